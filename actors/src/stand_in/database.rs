//! The schema `aqueduct` in memory: offsets and letters, with the meaning they have in the database.
//!
//! Invariant: a claim, and a commit, happen as a whole or not at all, and a commit only under the newest claim and from
//! the offset its writer left. What a claim decides is decided by the database's own code. Deliberately absent: locks;
//! a transaction that another claim would have had to wait for is ended, as its session would be.

use super::trouble::Way;
use crate::timescale::offsets::{ClaimRow, open_from, plan_claim};
use crate::timescale::{Advance, LetterStore, Stored, limits};
use aqueduct_engine::{
    Claim, ClaimRequest, Error, Letter, OffsetStore, Owner, PartitionKey, Position, SinkIdentity,
};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The key under which a letter is stored once, however often it is judged.
type Place = (PartitionKey, i64, i32, Arc<str>);

/// See the module. Cloning shares it.
#[derive(Clone)]
pub(super) struct Database {
    /// The sinks behind each source, by its identity.
    sinks: Arc<BTreeMap<Arc<str>, Vec<SinkIdentity>>>,
    /// Offsets ride in the rows' transaction, and letters are held against their claims.
    exactly_once: bool,
    rows: Arc<Mutex<Rows>>,
    /// The way of claims.
    claims: Way,
    /// The way of letters.
    letters: Way,
}

#[derive(Debug, Default)]
struct Rows {
    /// By sink and partition.
    offsets: BTreeMap<(Arc<str>, PartitionKey), Stored>,
    letters: BTreeMap<Place, Letter>,
}

impl Database {
    pub(super) fn new(
        sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
        exactly_once: bool,
        (claims, letters): (Way, Way),
    ) -> Self {
        Self { sinks: Arc::new(sinks), exactly_once, rows: Arc::default(), claims, letters }
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stored(&self, sink: &Arc<str>, key: &PartitionKey) -> Option<Stored> {
        self.lock().offsets.get(&(sink.clone(), key.clone())).cloned()
    }

    /// Whether every advance would hit.
    pub(super) fn hits(&self, sink: &Arc<str>, advances: &[Advance]) -> bool {
        self.lock().hit(sink, advances)
    }

    /// Moves the offsets and keeps the letters, if every advance hits; `apply` happens in the same step.
    pub(super) fn commit(
        &self,
        sink: &Arc<str>,
        advances: &[Advance],
        letters: Vec<Letter>,
        apply: impl FnOnce(),
    ) -> bool {
        let mut rows = self.lock();
        if !rows.hit(sink, advances) {
            return false;
        }
        for advance in advances {
            if let Some(row) = rows.offsets.get_mut(&(sink.clone(), advance.key.clone())) {
                row.next_offset = advance.next;
            }
        }
        letters.into_iter().for_each(|letter| rows.keep(letter));
        apply();
        true
    }

    /// The records of `range` that `actor` rejected.
    pub(super) fn rejected(
        &self,
        actor: &Arc<str>,
        key: &PartitionKey,
        range: &Range<i64>,
    ) -> Vec<(i64, Arc<str>)> {
        let rows = self.lock();
        let of_sink = rows.letters.values().filter(|letter| letter.actor == *actor && letter.key == *key);
        let within = of_sink.filter(|letter| range.contains(&letter.offset));
        within.map(|letter| (letter.offset, letter.reason.clone())).collect()
    }

    /// All letters, by partition, offset and row.
    pub(super) fn all_letters(&self) -> Vec<Letter> {
        self.lock().letters.values().cloned().collect()
    }

    /// Every stored offset.
    pub(super) fn all_positions(&self) -> Vec<Position> {
        let position = |((sink, key), row): (&(Arc<str>, PartitionKey), &Stored)| Position {
            sink: sink.clone(),
            key: key.clone(),
            epoch: row.epoch,
            next_offset: row.next_offset,
            moved: false,
        };
        self.lock().offsets.iter().map(position).collect()
    }

    /// Another claims every partition of `source` (or that one), and is heard of no more.
    pub(super) fn usurp(&self, source: &str, partition: Option<u32>) {
        let owner = Owner::random();
        for ((_, key), row) in &mut self.lock().offsets {
            if *key.source == *source && partition.is_none_or(|one| key.partition == one as i32) {
                (row.epoch, row.owner) = (row.epoch + 1, owner);
            }
        }
    }

    fn claim_all(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        let mut rows = self.lock();
        let mut claims = Vec::with_capacity(requests.len());
        for request in requests {
            let sinks = self.sinks.get(&request.key.source).map(Vec::as_slice).unwrap_or_default();
            let decided = plan_claim(request, sinks, &rows.of(&request.key), 0)?;
            let (key, owner) = (request.key.clone(), Owner::random());
            let (epoch, start) = (decided.epoch, decided.start);
            claims.push(Claim { key, epoch, owner, start, sinks: decided.sinks, skipped: decided.skipped });
        }
        for claim in &claims {
            rows.claim(claim);
            if self.exactly_once {
                let sinks = self.sinks.get(&claim.key.source).map(Vec::as_slice).unwrap_or_default();
                rows.forget_letters(claim, open_from(claim, sinks));
            }
        }
        Ok(claims)
    }
}

impl Rows {
    fn hit(&self, sink: &Arc<str>, advances: &[Advance]) -> bool {
        advances.iter().all(|advance| {
            self.offsets.get(&(sink.clone(), advance.key.clone())).is_some_and(|row| {
                (row.epoch, row.owner, row.next_offset) == (advance.epoch, advance.owner, advance.previous)
            })
        })
    }

    fn keep(&mut self, letter: Letter) {
        let place = (letter.key.clone(), letter.offset, letter.row, letter.actor.clone());
        self.letters.entry(place).or_insert(letter);
    }

    /// What a claim of that partition reads.
    fn of(&self, key: &PartitionKey) -> Vec<ClaimRow> {
        let rows = self.offsets.iter().filter(|((_, of), _)| of == key);
        let row = |((sink, _), row): (&(Arc<str>, PartitionKey), &Stored)| ClaimRow {
            sink: sink.to_string(),
            epoch: row.epoch,
            next_offset: row.next_offset,
            session: String::new(),
        };
        rows.map(row).collect()
    }

    fn claim(&mut self, claim: &Claim) {
        for (sink, next_offset) in &claim.sinks {
            let row = Stored { epoch: claim.epoch, owner: claim.owner, next_offset: *next_offset };
            self.offsets.insert((sink.clone(), claim.key.clone()), row);
        }
    }

    /// What is open again, from `open` on. A sink rejects a record only after it had none of it, so its own letters below its
    /// offset stay.
    fn forget_letters(&mut self, claim: &Claim, open: i64) {
        let from = |actor: &Arc<str>| claim.sinks.get(actor).copied().unwrap_or(open);
        self.letters.retain(|_, letter| letter.key != claim.key || letter.offset < from(&letter.actor));
    }
}

impl OffsetStore for Database {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(async move {
            self.claims
                .apply("claim partitions", limits::STATEMENT_WAIT_MAX, || self.claim_all(requests))
                .await
        })
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(std::future::ready(Ok(self.all_positions())))
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.claims.reach("advance offsets", limits::STATEMENT_WAIT_MAX).await?;
            let mut rows = self.lock();
            for (key, epoch, next) in positions {
                let row = rows.offsets.get_mut(&(Arc::from(sink), key.clone()));
                if let Some(row) = row.filter(|row| row.epoch == *epoch && row.next_offset < *next) {
                    row.next_offset = *next;
                }
            }
            Ok(())
        })
    }

    fn exactly_once(&self) -> bool {
        self.exactly_once
    }
}

impl LetterStore for Database {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let keep = || {
                let mut rows = self.lock();
                for letter in letters {
                    let newest = rows.of(&letter.key).iter().map(|row| row.epoch).max();
                    if !self.exactly_once || newest == Some(letter.epoch) {
                        rows.keep(letter.clone());
                    }
                }
                Ok(())
            };
            if letters.is_empty() {
                // Whether the place for letters is there.
                return self.letters.reach("store dead letters", limits::STATEMENT_WAIT_MAX).await;
            }
            self.letters.apply("store dead letters", limits::STATEMENT_WAIT_MAX, keep).await
        })
    }
}
