//! The ends of links as an actor sees them: inputs it leases from, outputs it pushes to.

use crate::batch::Batch;
use crate::claim::Claims;
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::link::{Closed, Lease, Receiver, Sender, TryPushError};
use crate::status::Status;

/// The links into an actor.
#[derive(Debug, Default)]
pub struct Inputs {
    receivers: Vec<Receiver>,
    next: usize,
}

impl Inputs {
    /// Inputs that lease from `receivers` in turn.
    pub fn new(receivers: Vec<Receiver>) -> Self {
        Self { receivers, next: 0 }
    }

    /// See [`crate::Context::lease`].
    pub async fn lease(&mut self, claims: &Claims, status: &Status) -> Option<Lease> {
        let _ = (claims, status);
        self.next = 0;
        self.receivers.first()?.lease().await
    }

    /// See [`crate::Context::try_lease`].
    pub fn try_lease(&mut self, claims: &Claims) -> Option<Lease> {
        let _ = claims;
        self.receivers.first()?.try_lease()
    }
}

/// One edge out of an actor: a link per clone of the reader.
#[derive(Debug)]
pub struct Edge {
    clones: Vec<Sender>,
    best_effort: bool,
}

impl Edge {
    /// An edge to `clones` of one reader; a partition always goes to the same clone.
    pub fn new(clones: Vec<Sender>, best_effort: bool) -> Self {
        Self { clones, best_effort }
    }

    fn route(&self, batch: &Batch) -> &Sender {
        &self.clones[batch.origin.key.partition as usize % self.clones.len()]
    }
}

/// The links out of an actor. `Send`, so that a source's polling thread may push.
#[derive(Debug, Default)]
pub struct Outputs {
    edges: Vec<Edge>,
}

impl Outputs {
    /// Outputs that hand every batch to each of `edges`.
    pub fn new(edges: Vec<Edge>) -> Self {
        Self { edges }
    }

    /// Hands `batch` to every edge that has room; gives it back if one had none. Push it again later, unchanged: the
    /// edges that took it will know it.
    pub fn try_push(&mut self, batch: Batch) -> Result<(), TryPushError> {
        let mut full = false;
        for edge in &self.edges {
            match edge.route(&batch).try_push(batch.clone()) {
                Ok(()) => {}
                Err(TryPushError::Full(_)) if edge.best_effort => {}
                Err(TryPushError::Full(_)) => full = true,
                Err(TryPushError::Closed(batch)) => return Err(TryPushError::Closed(batch)),
            }
        }
        if full { Err(TryPushError::Full(batch)) } else { Ok(()) }
    }

    /// See [`crate::Context::push`].
    pub async fn push(&mut self, batch: Batch, clock: &Clock, status: &Status) -> Result<(), Error> {
        let _ = (clock, status);
        for edge in &self.edges {
            edge.route(&batch)
                .push(batch.clone())
                .await
                .map_err(|Closed| Error::new(Class::Fenced, "the output is closed"))?;
        }
        Ok(())
    }

    /// No batch will follow.
    pub fn close(&mut self) {
        for sender in self.edges.iter().flat_map(|edge| &edge.clones) {
            sender.close();
        }
    }
}
