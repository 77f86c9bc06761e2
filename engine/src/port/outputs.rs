//! The links out of an actor.

use super::edge::Edge;
use crate::batch::Batch;
use crate::class::Error;
use crate::clock::Clock;
use crate::link::TryPushError;
use crate::status::Status;
use crate::tap::TapPoint;
use crate::trace::TracePoint;
use std::sync::Arc;

/// The links out of an actor. `Send`, so that a source's polling thread may push.
#[derive(Debug, Default)]
pub struct Outputs {
    edges: Vec<Edge>,
    /// Where people look at what is handed on.
    tap: Option<Arc<TapPoint>>,
    /// Who gives batches the span they belong to.
    trace: Option<Arc<TracePoint>>,
}

impl Outputs {
    /// Outputs that hand every batch to each of `edges`.
    pub fn new(edges: Vec<Edge>) -> Self {
        Self { edges, tap: None, trace: None }
    }

    /// Shows `tap` what is handed on.
    pub fn tapped(mut self, tap: Arc<TapPoint>) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Lets `trace`, if anybody traces, give each batch its span.
    pub(crate) fn traced(mut self, trace: Option<Arc<TracePoint>>) -> Self {
        self.trace = trace;
        self
    }

    /// How many edges.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether there is no edge: a sink's.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Hands `batch` to every edge that has room; gives it back if one had none. Push it again later, unchanged: the
    /// edges that took it will know it. A best-effort edge keeps the caller waiting no longer than
    /// [`BEST_EFFORT_WAIT_MAX`](crate::limits::BEST_EFFORT_WAIT_MAX) in all, then passes the batch over.
    #[expect(clippy::result_large_err, reason = "the batch comes back as it came")]
    pub fn try_push(&mut self, mut batch: Batch) -> Result<(), TryPushError> {
        if let Some(point) = &self.trace {
            point.hands_on(&mut batch);
        }
        let mut full = false;
        for edge in &mut self.edges {
            match edge.offer(batch.clone()) {
                Ok(waiting) => full |= waiting.is_some(),
                Err(_) => return Err(TryPushError::Closed(batch)),
            }
        }
        if full {
            return Err(TryPushError::Full(batch));
        }
        if let (Some(point), Some(context)) = (&self.trace, &batch.trace) {
            point.handed_on(context);
        }
        self.show(&batch);
        Ok(())
    }

    /// See [`crate::Context::room`].
    pub async fn room(&mut self, batch: &Batch, status: &Status) -> Result<(), Error> {
        for edge in &mut self.edges {
            edge.room(batch, status).await?;
        }
        Ok(())
    }

    /// See [`crate::Context::push`].
    pub async fn push(&mut self, mut batch: Batch, clock: &Clock, status: &Status) -> Result<(), Error> {
        let traced = self.trace.clone().map(|point| {
            point.hands_on(&mut batch);
            (point, batch.trace.clone())
        });
        // Before it is gone; whoever fails now hands it on again, and it is seen again.
        self.show(&batch);
        // First to all that have room, so that a full one delays no other.
        let mut full = Vec::new();
        let last = self.edges.len().saturating_sub(1);
        let mut batch = Some(batch);
        for (index, edge) in self.edges.iter_mut().enumerate() {
            let offered = if index == last { batch.take() } else { batch.clone() };
            let offered = offered.expect("invariant: only the last edge takes it away");
            if let Some(batch) = edge.offer(offered)? {
                full.push((index, batch));
            }
        }
        for (index, batch) in full {
            self.edges[index].send(batch, clock, status).await?;
        }
        if let Some((point, Some(context))) = traced {
            point.handed_on(&context);
        }
        Ok(())
    }

    #[inline]
    fn show(&self, batch: &Batch) {
        if let Some(tap) = &self.tap {
            tap.pass(batch);
        }
    }

    /// No batch will follow.
    pub fn close(&mut self) {
        self.edges.iter_mut().for_each(Edge::close);
    }
}
