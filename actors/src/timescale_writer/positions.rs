//! How far this sink has come in each partition, as far as we know, and what follows for batches that wait.
//!
//! Invariant: an offset is moved only from a value that was read or written under our claim on this connection; after
//! any doubt (a miss, a new connection) it is read again first.

use super::ahead::Encoded;
use super::rows::Piece;
use crate::timescale::fence::{Verdict, judge};
use crate::timescale::{Advance, Stored};
use aqueduct_engine::invariants;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Claim, Lease, Loss, PartitionKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A batch on lease, and the claim it was read under.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) claim: Arc<Claim>,
    /// What of its rows is encoded already.
    pub(super) encoded: Option<Encoded>,
}

/// What of some batches is to be written, and how the offsets move with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// The first row of each batch to write; `None` = nothing of it, its claim does not hold.
    from: Vec<Option<usize>>,
    pub(super) advances: Vec<Advance>,
}

impl Course {
    /// The rows to write, of the batches it was planned for.
    pub(super) fn pieces<'a>(&self, held: &'a [Held]) -> Vec<Piece<'a>> {
        assert_eq!(held.len(), self.from.len(), "a course of other batches");
        let piece = |(held, from): (&'a Held, &Option<usize>)| {
            let (batch, start, encoded) = (&*held.lease, (*from)?, held.encoded.as_ref());
            Some(Piece { batch, start, length: batch.row_offsets().len() - start, encoded })
        };
        held.iter().zip(&self.from).filter_map(piece).collect()
    }
}

#[derive(Debug)]
struct Position {
    epoch: i64,
    /// Everything below was committed.
    durable: i64,
    /// Read or written since the last doubt.
    certain: bool,
}

/// Of one writer. Lost with it; its successor reads them anew.
#[derive(Debug, Default)]
pub(super) struct Positions {
    known: BTreeMap<PartitionKey, Position>,
    /// Partitions whose claim of that epoch does not hold.
    lost: BTreeMap<PartitionKey, i64>,
}

impl Positions {
    /// Nothing is certain any more.
    pub(super) fn doubt(&mut self) {
        if planted(Bug::DoubtsNothing) {
            return;
        }
        for position in self.known.values_mut() {
            position.certain = false;
        }
    }

    /// Whether the claim is known not to hold.
    pub(super) fn is_lost(&self, claim: &Claim) -> bool {
        self.lost.get(&claim.key).is_some_and(|epoch| claim.epoch <= *epoch)
    }

    /// Whether an offset of these must be read before it is moved.
    pub(super) fn doubts(&self, held: &[Held]) -> bool {
        !self.doubtful(held).is_empty()
    }

    /// The first batch of each partition whose offset must be read before it is moved.
    pub(super) fn doubtful<'a>(&self, held: &'a [Held]) -> Vec<&'a Held> {
        let mut first: BTreeMap<&PartitionKey, &Held> = BTreeMap::new();
        for batch in held.iter().filter(|batch| !self.is_lost(&batch.claim)) {
            let known = self.known.get(&batch.claim.key);
            if !known.is_some_and(|position| position.certain && position.epoch == batch.claim.epoch) {
                first.entry(&batch.claim.key).or_insert(batch);
            }
        }
        first.into_values().collect()
    }

    /// Takes in what is stored for the partition of `batch`, the first that waits. `Err`: its claim does not hold.
    pub(super) fn learn(
        &mut self,
        batch: &Held,
        stored: Option<&Stored>,
        required: bool,
        sink: &str,
    ) -> Result<i64, Loss> {
        let claim = &batch.claim;
        let verdict = match self.judge(claim, stored, sink) {
            // A successor knows nothing its predecessor committed; what is missing before its first batch betrays it.
            Verdict::Ours(next)
                if required && self.of(claim).is_none() && batch.lease.origin.first > next =>
            {
                Verdict::WentBack
            }
            verdict => verdict,
        };
        let next = self.held(claim, verdict)?;
        let position = Position { epoch: claim.epoch, durable: next, certain: true };
        self.known.insert(claim.key.clone(), position);
        Ok(next)
    }

    fn judge(&self, claim: &Claim, stored: Option<&Stored>, sink: &str) -> Verdict {
        let begun = claim.sinks.get(sink).copied().unwrap_or(claim.start);
        judge(stored, claim, self.of(claim).map_or(begun, |known| known.durable))
    }

    /// `claim` does not hold: nothing more is written under it.
    pub(super) fn give_up(&mut self, claim: &Claim) {
        self.known.remove(&claim.key);
        self.lost.insert(claim.key.clone(), claim.epoch);
    }

    fn of(&self, claim: &Claim) -> Option<&Position> {
        self.known.get(&claim.key).filter(|position| position.epoch == claim.epoch)
    }

    /// What stands there, if the claim holds.
    fn held(&mut self, claim: &Claim, verdict: Verdict) -> Result<i64, Loss> {
        let loss = match verdict {
            Verdict::Ours(next) => return Ok(next),
            Verdict::Fenced => Loss::Fenced,
            Verdict::WentBack | Verdict::ClaimLost => Loss::WentBack,
        };
        self.give_up(claim);
        Err(loss)
    }

    /// Takes in what is stored where this process had settled all up to `settled` under `claim`, whoever did. `Err`: it does
    /// not hold.
    pub(super) fn look_back(
        &mut self,
        claim: &Claim,
        stored: Option<&Stored>,
        settled: i64,
    ) -> Result<(), Loss> {
        self.held(claim, judge(stored, claim, settled)).map(drop)
    }

    /// What of `held` is still to be written, and how the offsets move with it.
    pub(super) fn plan(&self, held: &[Held]) -> Course {
        let mut from = Vec::with_capacity(held.len());
        let mut advances: BTreeMap<&PartitionKey, Advance> = BTreeMap::new();
        for Held { lease, claim, .. } in held {
            if self.is_lost(claim) {
                from.push(None);
                continue;
            }
            let durable = self.known.get(&claim.key).map_or(claim.start, |position| position.durable);
            let advance = advances.entry(&claim.key).or_insert_with(|| Advance {
                key: claim.key.clone(),
                epoch: claim.epoch,
                owner: claim.owner,
                previous: durable,
                next: durable,
            });
            let offsets = lease.row_offsets();
            let reached = if planted(Bug::WritesAgain) { i64::MIN } else { advance.next };
            from.push(Some(offsets.partition_point(|offset| *offset < reached)));
            advance.next = advance.next.max(lease.origin.next);
        }
        for (Held { lease, claim, .. }, from) in held.iter().zip(&from) {
            let Some(from) = from else { continue };
            let (rows, advance) = (&lease.row_offsets()[*from..], &advances[&claim.key]);
            let moves = (advance.previous, advance.next);
            assert!(invariants::rides_with(rows, moves), "rows outside of {advance:?}");
        }
        let advances = advances.into_values().filter(|advance| advance.next > advance.previous).collect();
        Course { from, advances }
    }

    /// Below which everything of that claim is durable, as far as we know.
    pub(super) fn durable(&self, claim: &Claim) -> Option<i64> {
        let known = self.known.get(&claim.key).filter(|position| position.epoch == claim.epoch);
        known.map(|position| position.durable)
    }

    /// They were committed.
    pub(super) fn committed(&mut self, advances: &[Advance]) {
        for advance in advances {
            let position = Position { epoch: advance.epoch, durable: advance.next, certain: true };
            self.known.insert(advance.key.clone(), position);
        }
    }
}
