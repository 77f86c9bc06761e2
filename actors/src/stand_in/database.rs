//! The schema `aqueduct` in memory: offsets and letters, with the meaning they have in the database.
//!
//! Invariant: a claim, and a commit, happen as a whole or not at all, and a commit only under the newest claim and from
//! the offset its writer left. What a claim decides is decided by the database's own code. Deliberately absent: locks,
//! but those of a transaction whose client is gone ([`Orphan`]); one that another claim would have had to wait for is
//! ended, as its session would be.

use super::trouble::Way;
use crate::timescale::offsets::{ClaimRow, open_from, plan_claim};
use crate::timescale::{Advance, LetterStore, Stored, limits};
use crate::timescale_writer::store::{Failure, Owed, all_hit};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::{
    Claim, ClaimRequest, Error, Holder, Letter, OffsetStore, Owner, PartitionKey, Position, SinkIdentity,
};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The key under which a letter is stored once, however often it is judged.
type Place = (PartitionKey, i64, i32, Arc<str>);

/// See the module. Cloning shares it.
#[derive(Clone)]
pub(super) struct Database {
    /// The process that asks.
    process: Arc<Process>,
    /// The sinks behind each source, by its identity.
    sinks: Arc<BTreeMap<Arc<str>, Vec<SinkIdentity>>>,
    /// Offsets ride in the rows' transaction, and letters are held against their claims.
    exactly_once: bool,
    /// Whether letters come here.
    keeps_letters: Arc<AtomicBool>,
    rows: Arc<Mutex<Rows>>,
    /// The way of claims.
    claims: Way,
    /// The way of letters.
    letters: Way,
}

/// What one process knows of its own claims. A database that goes back forgets them; links do not.
#[derive(Debug, Default)]
struct Process {
    claims: Mutex<BTreeMap<PartitionKey, (i64, Owner)>>,
}

#[derive(Default)]
struct Rows {
    durable: Durable,
    orphans: Vec<Orphan>,
    /// How often it went to another server. Sessions with the one before are of no more use.
    server: u64,
}

/// What lies on the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Durable {
    /// By sink and partition.
    offsets: BTreeMap<(Arc<str>, PartitionKey), Stored>,
    letters: BTreeMap<Place, Letter>,
}

/// A transaction that the server still works at, though its client is gone. Its rows are locked until then.
pub(super) struct Orphan {
    pub(super) due: Instant,
    pub(super) sink: Arc<str>,
    pub(super) advances: Vec<Advance>,
    pub(super) letters: Vec<Letter>,
    pub(super) apply: Box<dyn FnOnce() + Send>,
}

impl Orphan {
    fn holds(&self, key: &PartitionKey) -> bool {
        self.advances.iter().any(|advance| advance.key == *key)
    }
}

impl Database {
    pub(super) fn new(
        sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
        exactly_once: bool,
        (claims, letters): (Way, Way),
    ) -> Self {
        let process = Arc::default();
        let (sinks, keeps_letters) = (Arc::new(sinks), Arc::new(AtomicBool::new(true)));
        Self { process, sinks, exactly_once, keeps_letters, rows: Arc::default(), claims, letters }
    }

    /// Letters are kept elsewhere, so nobody looks for them here.
    pub(super) fn forgo_letters(&self) {
        self.keeps_letters.store(false, Relaxed);
    }

    /// The same database, as another process sees it.
    pub(super) fn seen_by_another_process(&self) -> Self {
        Self { process: Arc::default(), ..self.clone() }
    }

    /// What is there now: orphans whose time has come are done first.
    fn lock(&self) -> MutexGuard<'_, Rows> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.finish_orphans(self.claims.clock.now());
        rows
    }

    pub(super) fn stored(&self, sink: &Arc<str>, key: &PartitionKey) -> Option<Stored> {
        self.lock().durable.offsets.get(&(sink.clone(), key.clone())).cloned()
    }

    /// Moves the offsets within a transaction: once nobody else holds them, and if every one of them hits.
    pub(super) async fn advance_within(&self, sink: &Arc<str>, advances: &[Advance]) -> Result<(), Failure> {
        while let Some(due) = self.held_until(sink, advances) {
            let clock = &self.claims.clock;
            clock.sleep(due.saturating_duration_since(clock.now())).await;
        }
        self.lock().durable.hit(sink, advances)
    }

    /// Until when an orphan holds one of these offsets.
    fn held_until(&self, sink: &Arc<str>, advances: &[Advance]) -> Option<Instant> {
        let rows = self.lock();
        let mut holding = rows.orphans.iter().filter(|orphan| {
            orphan.sink == *sink && advances.iter().any(|advance| orphan.holds(&advance.key))
        });
        holding.next().map(|orphan| orphan.due)
    }

    /// Leaves a transaction to the server, which ends it later.
    pub(super) fn orphan(&self, orphan: Orphan) {
        self.lock().orphans.push(orphan);
    }

    /// Lets what is due happen.
    pub(super) fn catch_up(&self) {
        drop(self.lock());
    }

    /// Which server it is on.
    pub(super) fn server(&self) -> u64 {
        self.lock().server
    }

    /// What lies on the disk.
    pub(super) fn durable(&self) -> Durable {
        self.lock().durable.clone()
    }

    /// Goes to a server that has `durable` and knows of nothing since.
    pub(super) fn fail_over(&self, durable: Durable) {
        let mut rows = self.lock();
        rows.orphans.clear();
        rows.durable = durable;
        rows.server += 1;
    }

    /// Moves the offsets and keeps the letters, if every advance hits; `apply` happens in the same step.
    pub(super) fn commit(
        &self,
        sink: &Arc<str>,
        advances: &[Advance],
        letters: Vec<Letter>,
        apply: impl FnOnce(),
    ) -> bool {
        self.lock().durable.commit(sink, advances, letters, apply)
    }

    /// The records of `range` that `actor` rejected.
    pub(super) fn rejected(
        &self,
        actor: &Arc<str>,
        key: &PartitionKey,
        range: &Range<i64>,
    ) -> Vec<(i64, Arc<str>)> {
        let rows = self.lock();
        let of_sink =
            rows.durable.letters.values().filter(|letter| letter.actor == *actor && letter.key == *key);
        let within = of_sink.filter(|letter| range.contains(&letter.offset));
        within.map(|letter| (letter.offset, letter.reason.clone())).collect()
    }

    /// Whether that letter should be here and is not.
    pub(super) fn lacks(&self, owed: &Owed) -> bool {
        let Owed { key, offset, actor } = owed;
        let from: Place = (key.clone(), *offset, i32::MIN, "".into());
        let rows = self.lock();
        let mut of_record =
            rows.durable.letters.range(from..).take_while(|((of, at, ..), _)| (of, at) == (key, offset));
        self.keeps_letters.load(Relaxed) && !of_record.any(|((.., by), _)| by == actor)
    }

    /// All letters, by partition, offset and row.
    pub(super) fn all_letters(&self) -> Vec<Letter> {
        self.lock().durable.letters.values().cloned().collect()
    }

    /// Every stored offset.
    pub(super) fn all_positions(&self) -> Vec<Position> {
        let position = |((sink, key), row): (&(Arc<str>, PartitionKey), &Stored)| Position {
            sink: sink.clone(),
            key: key.clone(),
            epoch: row.epoch,
            next_offset: row.next_offset,
            moved: false,
            holder: Holder::Ours,
            resting: Duration::ZERO,
        };
        self.lock().durable.offsets.iter().map(position).collect()
    }

    /// Another claims every partition of `source` (or that one), and is heard of no more.
    pub(super) fn usurp(&self, source: &str, partition: Option<u32>) {
        let owner = Owner::random();
        for ((_, key), row) in &mut self.lock().durable.offsets {
            if *key.source == *source && partition.is_none_or(|one| key.partition == one as i32) {
                (row.epoch, row.owner) = (row.epoch + 1, owner);
            }
        }
    }

    fn claim_all(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        let mut rows = self.lock();
        let mut known = self.process.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = Vec::with_capacity(requests.len());
        for request in requests {
            let sinks = self.sinks.get(&request.key.source).map(Vec::as_slice).unwrap_or_default();
            let last = known.get(&request.key).map_or(0, |(epoch, _)| *epoch);
            let decided = plan_claim(request, sinks, &rows.durable.of(&request.key), last)?;
            let (key, owner) = (request.key.clone(), Owner::random());
            let (epoch, start) = (decided.epoch, decided.start);
            claims.push(Claim { key, epoch, owner, start, sinks: decided.sinks, skipped: decided.skipped });
        }
        for claim in &claims {
            rows.orphans.retain(|orphan| !orphan.holds(&claim.key));
            rows.durable.claim(claim);
            if self.exactly_once {
                let sinks = self.sinks.get(&claim.key.source).map(Vec::as_slice).unwrap_or_default();
                rows.durable.forget_letters(claim, open_from(claim, sinks));
            }
            known.insert(claim.key.clone(), (claim.epoch, claim.owner));
        }
        Ok(claims)
    }
}

impl Rows {
    /// In the order in which they are due.
    fn finish_orphans(&mut self, now: Instant) {
        while let Some(index) = self.orphans.iter().position(|orphan| orphan.due <= now) {
            let Orphan { sink, advances, letters, apply, .. } = self.orphans.remove(index);
            self.durable.commit(&sink, &advances, letters, apply);
        }
    }
}

impl Durable {
    /// Whether every advance hits, as the condition of the database's own statement.
    fn hit(&self, sink: &Arc<str>, advances: &[Advance]) -> Result<(), Failure> {
        let row = |advance: &Advance| self.offsets.get(&(sink.clone(), advance.key.clone()));
        let hit = advances.iter().filter(|advance| row(advance).is_some_and(|row| advance.hits(row)));
        all_hit(hit.count(), advances)
    }

    fn commit(
        &mut self,
        sink: &Arc<str>,
        advances: &[Advance],
        letters: Vec<Letter>,
        apply: impl FnOnce(),
    ) -> bool {
        if self.hit(sink, advances).is_err() {
            return false;
        }
        for advance in advances {
            let row = self.offsets.get_mut(&(sink.clone(), advance.key.clone()));
            if let Some(row) = row.filter(|row| advance.hits(row)) {
                row.next_offset = advance.next;
            }
        }
        letters.into_iter().for_each(|letter| self.keep(letter));
        apply();
        true
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
            let claim = || self.claim_all(requests);
            Ok(self.claims.apply("claim partitions", limits::STATEMENT_WAIT_MAX, claim).await?)
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
            let known = self.process.claims.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, epoch, next) in positions {
                let row = rows.durable.offsets.get_mut(&(Arc::from(sink), key.clone()));
                let ours =
                    |row: &&mut Stored| known.get(key) == Some(&(*epoch, row.owner)) && row.epoch == *epoch;
                if let Some(row) = row.filter(ours) {
                    row.next_offset = row.next_offset.max(*next);
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
                    let newest = rows.durable.of(&letter.key).iter().map(|row| row.epoch).max();
                    if !self.exactly_once || newest == Some(letter.epoch) {
                        rows.durable.keep(letter.clone());
                    }
                }
                Ok(())
            };
            if letters.is_empty() {
                // Whether the place for letters is there.
                return Ok(self.letters.reach("store dead letters", limits::STATEMENT_WAIT_MAX).await?);
            }
            Ok(self.letters.apply("store dead letters", limits::STATEMENT_WAIT_MAX, keep).await?)
        })
    }
}
