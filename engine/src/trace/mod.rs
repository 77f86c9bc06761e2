//! Traces: a span for each actor that has a sampled batch in its hands, sent to a collector over OTLP.
//!
//! A source decides once per batch ([`sample`]); the context travels beside the batch's origin, through slices, fan-out
//! and redelivery. Each start of an actor has a [`TracePoint`] at its links' ends, so kinds know nothing of it: a span
//! begins with a lease and ends with its settlement, and what is handed on meanwhile has it for parent. A kind that calls a
//! server may tell of that as a [`Step`] below.
//!
//! Invariants: a node that does not trace pays one look at an `Option` a batch; nothing here waits, and what finds no room
//! on the way to the collector is counted and dropped. Deliberately absent: metrics and logs over OTLP, which have their
//! own ways; TLS, which is the business of the collector beside the node.

mod context;
mod counts;
mod exporter;
mod point;
mod post;
mod sample;
mod span;
mod step;

pub use context::{SpanId, TraceContext, TraceId};
pub(crate) use exporter::Exporter;
pub(crate) use point::TracePoint;
pub use step::{Step, Steps, Work};

use crate::clock::Clock;
use crate::limits::TRACE_QUEUE_SPANS_MAX;
use crate::telemetry::Figures;
use counts::{Counts, Fate};
use span::{Resource, Span};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where spans go, and of how many batches.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceSettings {
    /// The collector's host, ..
    pub host: String,
    /// .. its port, ..
    pub port: u16,
    /// .. and the path to post to, with its slash.
    pub path: String,
    /// Of those whose records say nothing themselves, so many are traced; 0 to 1.
    pub ratio: f64,
}

/// Takes the spans of one application. It never waits.
#[derive(Debug)]
pub(crate) struct Tracer {
    ratio: f64,
    resource: Resource,
    queue: mpsc::Sender<Span>,
    counts: Counts,
    clock: Clock,
}

impl Tracer {
    /// A tracer, and what sends its spans once it is started.
    pub(crate) fn new(
        settings: &TraceSettings,
        (topology, node): (&Arc<str>, &Arc<str>),
        figures: Figures,
        clock: Clock,
    ) -> (Arc<Self>, Exporter) {
        let (queue, spans) = mpsc::channel(TRACE_QUEUE_SPANS_MAX);
        let resource = Resource { node: node.clone(), topology: topology.clone() };
        let counts = Counts::on(figures);
        let exporter =
            Exporter::new(settings.clone(), resource.clone(), spans, counts.clone(), clock.clone());
        (Arc::new(Self { ratio: settings.ratio, resource, queue, counts, clock }), exporter)
    }

    fn submit(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped();
        }
    }

    fn dropped(&self) {
        self.counts.add(Fate::Dropped, 1);
    }
}
