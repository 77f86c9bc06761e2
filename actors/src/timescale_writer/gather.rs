//! Batches on lease that wait for a transaction, and which of them may share the next one.
//!
//! Invariants: a partition has at most one transaction in flight, so what waits of it stays until that one has landed;
//! what is taken of a partition is taken in the order in which it came.

use super::positions::Held;
use aqueduct_engine::PartitionKey;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_topology::model::Flush;
use std::collections::{BTreeSet, VecDeque};

/// How much some batches are together.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    rows: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, held: &Held) {
        self.rows += held.lease.rows.num_rows();
        self.bytes += held.lease.bytes();
    }

    fn is_full(&self, flush: &Flush) -> bool {
        self.rows >= flush.rows as usize || self.bytes as u64 >= flush.bytes
    }
}

/// What waits, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    held: VecDeque<Held>,
    /// What of it may go: that of partitions without a transaction in flight.
    free: Load,
    /// Partitions with a transaction in flight.
    busy: BTreeSet<PartitionKey>,
}

impl Gathered {
    pub(super) fn add(&mut self, held: Held) {
        if self.may_go(&held) {
            self.free.add(&held);
        }
        self.held.push_back(held);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether what may go is as much as a transaction takes; more is of no use then. What waits for those in flight is
    /// bounded by the links, on which it is on lease.
    pub(super) fn is_full(&self, flush: &Flush) -> bool {
        self.free.is_full(flush)
    }

    /// Takes what the next transaction is to write: the oldest that may go, until it is enough. Its partitions are busy
    /// until they have [landed](Self::landed).
    pub(super) fn take(&mut self, flush: &Flush) -> Vec<Held> {
        let mut taken = Vec::new();
        let mut load = Load::default();
        let mut left = VecDeque::with_capacity(self.held.len());
        for held in std::mem::take(&mut self.held) {
            if self.may_go(&held) && !load.is_full(flush) {
                load.add(&held);
                taken.push(held);
            } else {
                left.push_back(held);
            }
        }
        self.held = left;
        self.busy.extend(taken.iter().map(|held| held.claim.key.clone()));
        self.weigh();
        taken
    }

    /// The transaction of `held` is over.
    pub(super) fn landed(&mut self, held: &[Held]) {
        for Held { claim, .. } in held {
            self.busy.remove(&claim.key);
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        let mut free = Load::default();
        self.held.iter().filter(|held| self.may_go(held)).for_each(|held| free.add(held));
        self.free = free;
    }

    fn may_go(&self, held: &Held) -> bool {
        !self.busy.contains(&held.claim.key) || planted(Bug::WritesAPartitionTwiceAtOnce)
    }
}
