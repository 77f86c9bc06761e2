//! Batches on lease that will share one transaction, and when it is time for it.

use super::positions::Held;
use aqueduct_engine::clock::Instant;
use aqueduct_topology::model::Flush;

/// What waits for the next transaction.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) held: Vec<Held>,
    rows: usize,
    bytes: usize,
    due: Option<Instant>,
}

impl Pending {
    /// Takes a batch that has waited since `since` at most.
    pub(super) fn add(&mut self, held: Held, since: Instant, flush: &Flush) {
        self.rows += held.lease.rows.num_rows();
        self.bytes += held.lease.bytes();
        self.due.get_or_insert(since + flush.interval);
        self.held.push(held);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the oldest batch has waited long enough.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the transaction is large enough.
    pub(super) fn is_full(&self, flush: &Flush) -> bool {
        self.rows >= flush.rows as usize || self.bytes as u64 >= flush.bytes
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }
}
