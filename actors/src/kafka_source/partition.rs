//! One partition as the polling thread sees it: what is being gathered, what waits for room.

use super::records::Gathering;
use super::talk::Grant;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::port::Outputs;
use aqueduct_engine::link::TryPushError;
use aqueduct_engine::{Batch, Ledger};
use std::collections::VecDeque;

/// A partition the group lets us have.
#[derive(Debug)]
pub struct Partition {
    /// The stretch.
    pub grant: Grant,
    /// Set once claimed and assigned.
    pub reading: Option<Reading>,
}

/// A partition that is being read.
#[derive(Debug)]
pub struct Reading {
    /// The claim.
    pub epoch: i64,
    /// What is being gathered.
    pub gathering: Gathering,
    /// When its first message came.
    pub since: Option<Instant>,
    /// Batches without room, oldest first; only the first was tried. At most three: the client is not asked for more.
    parked: VecDeque<Parked>,
    /// Whether the client was told to leave it alone.
    pub paused: bool,
    /// Whether its end was reached since the last message.
    pub at_end: bool,
    /// Whether its end was reached since the claim.
    pub reached_end: bool,
    /// The group asks for it back: nothing more is read.
    pub revoking: bool,
}

#[derive(Debug)]
struct Parked {
    batch: Batch,
    /// It is in the ledger, and some edge may have it: it must be handed on to the end.
    tried: bool,
}

/// How handing on went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// Nothing waits.
    All,
    /// No room.
    Full,
    /// The links are closed to us.
    Closed,
}

impl Reading {
    /// Begins.
    pub fn new(epoch: i64, gathering: Gathering) -> Self {
        Self {
            epoch,
            gathering,
            since: None,
            parked: VecDeque::new(),
            paused: false,
            at_end: false,
            reached_end: false,
            revoking: false,
        }
    }

    /// Queues `batch` behind what waits.
    pub fn park(&mut self, batch: Batch) {
        self.parked.push_back(Parked { batch, tried: false });
    }

    /// Ends what is being gathered and queues it.
    pub fn end_batch(&mut self) {
        self.since = None;
        if let Some(batch) = self.gathering.finish() {
            self.park(batch);
        }
    }

    /// Whether a batch waits for room.
    pub fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Whether all that was read is handed on and the end was reached.
    pub fn is_caught_up(&self) -> bool {
        self.at_end && self.reached_end && self.parked.is_empty() && self.gathering.is_empty()
    }

    /// Hands on what waits, in order, as far as there is room. A batch enters the ledger before it is tried.
    pub fn hand_on(&mut self, outputs: &mut Outputs, ledger: &Ledger) -> Handed {
        while let Some(parked) = self.parked.front_mut() {
            if !parked.tried {
                ledger.read(&parked.batch.origin, &parked.batch.raw);
                parked.tried = true;
            }
            // The links know a batch they have had, so a second try doubles nothing.
            match outputs.try_push(parked.batch.clone()) {
                Ok(()) => drop(self.parked.pop_front()),
                Err(TryPushError::Full(_)) => return Handed::Full,
                Err(TryPushError::Closed(_)) => return Handed::Closed,
            }
        }
        Handed::All
    }

    /// The group asks for it back: forgets what no link has seen. What was tried stays, to be handed on.
    pub fn forget_untried(&mut self) {
        self.revoking = true;
        self.parked.retain(|parked| parked.tried);
        self.since = None;
        let _ = self.gathering.finish();
    }
}
