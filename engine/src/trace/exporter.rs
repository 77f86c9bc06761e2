//! The task that sends spans to the collector.
//!
//! Invariant: it holds one batch of spans and no more; while the collector is away the queue before it fills, and what
//! finds no room there is counted and dropped by who brings it. Deliberately absent: anything that ingest could wait for.

use super::counts::{Counts, Fate};
use super::span::{self, Resource, Span};
use super::{TraceSettings, post};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::limits::{
    TRACE_ATTEMPTS_MAX, TRACE_BATCH_SPANS_MAX, TRACE_EXPORT_EVERY, TRACE_EXPORT_WAIT_MAX, TRACE_FLUSH_MAX,
};
use crate::task::{self, Task};
use crate::telemetry::event_ids;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Not started yet.
#[derive(Debug)]
pub(crate) struct Exporter {
    settings: TraceSettings,
    resource: Resource,
    spans: mpsc::Receiver<Span>,
    counts: Counts,
    clock: Clock,
}

/// At work. Dropping it ends it at once.
pub(crate) struct Exporting {
    task: Task,
    finish: watch::Sender<bool>,
    done: watch::Receiver<bool>,
    clock: Clock,
}

impl Exporting {
    /// Sends what there is, within [`TRACE_FLUSH_MAX`], and ends.
    pub(crate) async fn finish(mut self) {
        self.finish.send_replace(true);
        let _ = self.clock.timeout(TRACE_FLUSH_MAX, self.done.wait_for(|done| *done)).await;
        drop(self.task);
    }
}

impl Exporter {
    pub(super) fn new(
        settings: TraceSettings,
        resource: Resource,
        spans: mpsc::Receiver<Span>,
        counts: Counts,
        clock: Clock,
    ) -> Self {
        Self { settings, resource, spans, counts, clock }
    }

    /// Starts it on this thread.
    pub(crate) fn start(self) -> Exporting {
        let (finish, finishing) = watch::channel(false);
        let (ended, done) = watch::channel(false);
        let clock = self.clock.clone();
        let task = task::spawn("traces", async move {
            self.run(finishing).await;
            ended.send_replace(true);
        });
        Exporting { task, finish, done, clock }
    }

    async fn run(mut self, mut finishing: watch::Receiver<bool>) {
        let mut taken = Vec::with_capacity(TRACE_BATCH_SPANS_MAX);
        loop {
            let is_last = tokio::select! {
                biased;
                _ = finishing.wait_for(|finish| *finish) => true,
                () = self.clock.sleep(TRACE_EXPORT_EVERY) => false,
            };
            // What came meanwhile goes in as many requests as it takes.
            while let Ok(first) = self.spans.try_recv() {
                taken.push(first);
                while taken.len() < TRACE_BATCH_SPANS_MAX
                    && let Ok(span) = self.spans.try_recv()
                {
                    taken.push(span);
                }
                self.export(&taken).await;
                taken.clear();
            }
            if is_last {
                return;
            }
        }
    }

    /// Sends `spans`, again if the collector is away or busy, and counts what became of them.
    async fn export(&self, spans: &[Span]) {
        let body = span::request(&self.resource, spans).to_string();
        let mut backoff = Backoff::outage();
        let mut why = String::new();
        for attempt in 1..=TRACE_ATTEMPTS_MAX {
            let sent =
                self.clock.timeout(TRACE_EXPORT_WAIT_MAX, post::post(&self.settings, body.as_bytes())).await;
            why = match sent {
                Ok(Ok(200..=299)) => return self.counts.add(Fate::Exported, spans.len()),
                Ok(Ok(status)) if !is_passing(status) => {
                    why = format!("the collector answers {status}");
                    break;
                }
                Ok(Ok(status)) => format!("the collector answers {status}"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {TRACE_EXPORT_WAIT_MAX:?}"),
            };
            if attempt < TRACE_ATTEMPTS_MAX {
                self.clock.sleep(backoff.next_wait().max(Duration::from_millis(1))).await;
            }
        }
        self.counts.add(Fate::Dropped, spans.len());
        let TraceSettings { host, port, .. } = &self.settings;
        tracing::warn!(
            event = event_ids::TRACES_DROPPED,
            collector = %format!("{host}:{port}"),
            spans = spans.len(),
            error = %why,
            "spans were dropped: look whether the collector of `traces.endpoint` is there; ingest goes on"
        );
    }
}

/// What OTLP/HTTP says may be sent again.
fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}
