//! One partition as the polling thread sees it: what is being gathered, what waits for room.

use super::talk::Grant;
use crate::kafka::records::Gathering;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::link::TryPushError;
use aqueduct_engine::port::Outputs;
use aqueduct_engine::{Batch, Ledger, Status};
use std::collections::VecDeque;

/// A partition the group lets us have.
#[derive(Debug)]
pub(super) struct Partition {
    /// The stretch.
    pub(super) grant: Grant,
    /// Set once claimed and assigned.
    pub(super) reading: Option<Reading>,
}

/// A partition that is being read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The claim.
    pub(super) epoch: i64,
    /// What is being gathered.
    pub(super) gathering: Gathering,
    /// When its first message came.
    pub(super) since: Option<Instant>,
    /// Batches without room, oldest first; only the first was tried. No more than what one taking from the client holds.
    parked: VecDeque<Parked>,
    /// Whether the client was told to leave it alone.
    pub(super) paused: bool,
    /// Whether something has come through the intake: it leads there for good.
    pub(super) flowing: bool,
    /// Where its end was told to be, until the next thing comes. The client may then go on one message too far; see
    /// [`Taken::End`](crate::kafka::intake::Taken::End).
    ended_at: Option<i64>,
    /// Whether its end was reached since the last message.
    pub(super) at_end: bool,
    /// Whether its end was reached since the claim.
    pub(super) reached_end: bool,
    /// The group asks for it back: nothing more is read.
    pub(super) revoking: bool,
    /// The log begins after what was read last: nothing more is read under this claim.
    loss: Option<Loss>,
}

/// Whether the actor knows that part of the log is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Not yet; the log begins there.
    Untold(i64),
    Told,
}

#[derive(Debug)]
struct Parked {
    batch: Batch,
    /// It is in the ledger, and some edge may have it: it must be handed on to the end.
    tried: bool,
}

/// How handing on went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handed {
    /// Nothing waits.
    All,
    /// No room.
    Full,
    /// The links are closed to us.
    Closed,
}

impl Reading {
    /// Begins.
    pub(super) fn new(epoch: i64, gathering: Gathering) -> Self {
        Self {
            epoch,
            gathering,
            since: None,
            parked: VecDeque::new(),
            paused: false,
            flowing: false,
            ended_at: None,
            at_end: false,
            reached_end: false,
            revoking: false,
            loss: None,
        }
    }

    /// The log begins at `start`, after what was read last.
    pub(super) fn lose(&mut self, start: i64) {
        self.end_batch();
        (self.at_end, self.reached_end) = (false, false);
        self.loss.get_or_insert(Loss::Untold(start));
    }

    /// Whether nothing more may be read under this claim.
    pub(super) fn is_over(&self) -> bool {
        self.revoking || self.loss.is_some()
    }

    /// What was lost, once: when all that was read before is handed on.
    pub(super) fn tells_loss(&mut self) -> Option<(i64, i64)> {
        let Some(Loss::Untold(start)) = self.loss.filter(|_| !self.is_parked()) else { return None };
        self.loss = Some(Loss::Told);
        Some((self.gathering.next(), start))
    }

    /// Something at `offset` came: whether the client may have left out what lies before it, so that it must go back.
    /// Told once for each end, so what comes then is believed.
    pub(super) fn leaps(&mut self, offset: i64) -> bool {
        self.ended_at.take().is_some_and(|end| offset > end)
    }

    /// The client tells that it has reached the end, at `offset`.
    pub(super) fn end_at(&mut self, offset: i64) {
        self.ended_at = Some(offset);
        self.at_end = true;
        self.reached_end = true;
    }

    /// Queues `batch` behind what waits.
    pub(super) fn park(&mut self, batch: Batch) {
        self.parked.push_back(Parked { batch, tried: false });
    }

    /// Ends what is being gathered and queues it.
    pub(super) fn end_batch(&mut self) {
        self.since = None;
        if let Some(batch) = self.gathering.finish() {
            self.park(batch);
        }
    }

    /// Whether a batch waits for room.
    pub(super) fn is_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// Whether all that was read is handed on and the end was reached.
    pub(super) fn is_caught_up(&self) -> bool {
        self.at_end && self.reached_end && self.parked.is_empty() && self.gathering.is_empty()
    }

    /// Hands on what waits, in order, as far as there is room. A batch enters the ledger before it is tried.
    pub(super) fn hand_on(&mut self, outputs: &mut Outputs, ledger: &Ledger, status: &Status) -> Handed {
        while let Some(parked) = self.parked.front_mut() {
            if !parked.tried {
                ledger.read(&parked.batch.origin, &parked.batch.raw);
                parked.tried = true;
            }
            // The links know a batch they have had, so a second try doubles nothing.
            match outputs.try_push(parked.batch.clone()) {
                Ok(()) => {
                    Self::note(&parked.batch, status);
                    self.parked.pop_front();
                }
                Err(TryPushError::Full(_)) => return Handed::Full,
                Err(TryPushError::Closed(_)) => return Handed::Closed,
            }
        }
        Handed::All
    }

    /// For the lag in seconds, and the watchdog.
    fn note(batch: &Batch, status: &Status) {
        let first = (!batch.raw.is_empty()).then(|| batch.raw.time_ms(0)).flatten();
        let key = &batch.origin.key;
        status.lag().passed(&key.topic, key.partition, batch.origin.next);
        if let Some(time_ms) = first {
            status.lag().read(&key.topic, key.partition, batch.origin.next, time_ms);
        }
        status.progressed();
    }

    /// The group asks for it back: forgets what no link has seen. What was tried stays, to be handed on.
    pub(super) fn forget_untried(&mut self) {
        self.revoking = true;
        self.parked.retain(|parked| parked.tried);
        self.since = None;
        let _ = self.gathering.finish();
    }
}
