//! Offsets in memory, with the meaning they have beside the rows.

use crate::batch::PartitionKey;
use crate::claim::{Claim, ClaimRequest, Holder, OffsetStore, Owner, Position, SinkIdentity};
use crate::class::{Class, Error};
use futures::future::LocalBoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// An [`OffsetStore`] that keeps its rows in memory. Cloning shares them; two of them over the same rows are two
/// processes of one topology.
#[derive(Clone, Debug)]
pub struct MemoryOffsets {
    /// The sinks of this process's topology.
    sinks: Arc<[SinkIdentity]>,
    /// How far a best-effort sink may lie behind the required ones.
    heal_max: i64,
    exactly_once: bool,
    rows: Arc<Mutex<Rows>>,
}

#[derive(Clone, Debug, Default)]
struct Rows {
    offsets: BTreeMap<(Arc<str>, PartitionKey), Row>,
    /// Which sink feeds which place.
    targets: BTreeMap<Arc<str>, Arc<str>>,
    failures: VecDeque<Error>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    epoch: i64,
    owner: Owner,
    next_offset: i64,
}

/// Moving a sink's offset forward, if it is still ours and still where we left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Which sink.
    pub sink: Arc<str>,
    /// Which partition.
    pub key: PartitionKey,
    /// The claim.
    pub epoch: i64,
    /// Its token.
    pub owner: Owner,
    /// Where we left it.
    pub previous: i64,
    /// Where it goes.
    pub next: i64,
}

/// What became of a [`Commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It moved.
    Moved,
    /// Still ours, but it stands here: higher = an earlier commit had succeeded after all, lower = the store went back.
    Elsewhere(i64),
    /// Somebody else's claim, with this epoch: newer = we are fenced, older = our claim was lost.
    Foreign(i64),
    /// There is no such row.
    Missing,
}

impl MemoryOffsets {
    /// No rows yet. Best-effort sinks are clamped to `heal_max` records behind the required ones.
    pub fn new(sinks: Vec<SinkIdentity>, heal_max: i64) -> Self {
        Self { sinks: sinks.into(), heal_max, exactly_once: true, rows: Arc::default() }
    }

    /// Another process's view of the same rows, with its own idea of the sinks.
    pub fn with_sinks(&self, sinks: Vec<SinkIdentity>) -> Self {
        Self { sinks: sinks.into(), ..self.clone() }
    }

    /// Says that offsets follow the rows instead of riding in their transaction.
    pub fn at_least_once(mut self) -> Self {
        self.exactly_once = false;
        self
    }

    /// Puts `sink` at `next`, as an earlier run or somebody with SQL would have left it; whose claim it is stays.
    pub fn place(&self, sink: &str, key: &PartitionKey, next: i64) {
        let unclaimed = || Row { epoch: 0, owner: Owner::random(), next_offset: next };
        let mut rows = self.lock();
        rows.offsets.entry((sink.into(), key.clone())).or_insert_with(unclaimed).next_offset = next;
    }

    /// The next claim fails with this; several queue up.
    pub fn fail_next_claim(&self, error: Error) {
        self.lock().failures.push_back(error);
    }

    /// Compares and sets the offsets of one transaction: all of them move, or none does and each that did not match
    /// says why.
    pub fn commit(&self, commits: &[Commit]) -> Result<(), Vec<(Commit, Committed)>> {
        let mut rows = self.lock();
        let judged = commits.iter().map(|commit| (commit.clone(), rows.judge(commit)));
        let missed: Vec<_> = judged.filter(|(_, judged)| *judged != Committed::Moved).collect();
        if !missed.is_empty() {
            return Err(missed);
        }
        for commit in commits {
            let row = rows.offsets.get_mut(&(commit.sink.clone(), commit.key.clone()));
            row.expect("invariant: just judged").next_offset = commit.next;
        }
        Ok(())
    }

    /// What a backup would hold.
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot(self.lock().clone())
    }

    /// Goes back to a snapshot, as a failover to a lagging standby does.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        *self.lock() = snapshot.0.clone();
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of a [`MemoryOffsets`] at one moment.
#[derive(Clone, Debug)]
pub struct MemorySnapshot(Rows);

impl Rows {
    fn judge(&self, commit: &Commit) -> Committed {
        match self.offsets.get(&(commit.sink.clone(), commit.key.clone())) {
            None => Committed::Missing,
            Some(row) if (row.epoch, row.owner) != (commit.epoch, commit.owner) => {
                Committed::Foreign(row.epoch)
            }
            Some(row) if row.next_offset != commit.previous => Committed::Elsewhere(row.next_offset),
            Some(_) => Committed::Moved,
        }
    }

    /// Enters the sinks' identities: renames adopted ones, refuses places fed under another.
    fn identify(&mut self, sinks: &[SinkIdentity]) -> Result<(), Error> {
        for sink in sinks {
            if let Some(feeder) = self.targets.get(&sink.target)
                && *feeder != sink.id
                && sink.adopts.as_ref() != Some(feeder)
            {
                return Err(Error::new(
                    Class::Config,
                    format!(
                        "sink `{}`: `{}` is already fed by sink `{feeder}`; if this is the same sink under a new \
                         name, write `adopts: {feeder}`, else choose another target",
                        sink.id, sink.target
                    ),
                ));
            }
            if let Some(old) = &sink.adopts {
                self.rename(old, &sink.id);
            }
            self.targets.insert(sink.target.clone(), sink.id.clone());
        }
        Ok(())
    }

    /// Hands the rows of `old` to `new`, except where `new` has its own already.
    fn rename(&mut self, old: &Arc<str>, new: &Arc<str>) {
        let old_rows: Vec<_> = self.offsets.keys().filter(|(sink, _)| sink == old).cloned().collect();
        for place in old_rows {
            let row = self.offsets.remove(&place).expect("invariant: just listed");
            self.offsets.entry((new.clone(), place.1)).or_insert(row);
        }
    }

    fn has_begun(&self, sinks: &[SinkIdentity], source: &str, topic: &str) -> bool {
        let mut rows = self.offsets.keys().filter(|(_, key)| *key.source == *source && *key.topic == *topic);
        rows.any(|(of, _)| sinks.iter().any(|sink| sink.id == *of))
    }

    fn claim(&mut self, request: &ClaimRequest, sinks: &[SinkIdentity], heal_max: i64) -> Claim {
        let row = |sink: &SinkIdentity| self.offsets.get(&(sink.id.clone(), request.key.clone()));
        let epoch = sinks.iter().filter_map(row).map(|row| row.epoch).max().unwrap_or(0) + 1;
        let stored: Vec<Option<i64>> =
            sinks.iter().map(|sink| row(sink).map(|row| row.next_offset)).collect();
        let (offsets, skipped) = starting_offsets(sinks, &stored, request.log.initial, heal_max);
        let owner = Owner::random();
        for (sink, &next_offset) in &offsets {
            self.offsets.insert((sink.clone(), request.key.clone()), Row { epoch, owner, next_offset });
        }
        let start = offsets.values().copied().min().unwrap_or(request.log.initial);
        Claim { key: request.key.clone(), epoch, owner, start, sinks: offsets, skipped }
    }
}

/// Where each sink begins, and what a best-effort one will not see for being too far behind.
fn starting_offsets(
    sinks: &[SinkIdentity],
    stored: &[Option<i64>],
    initial: i64,
    heal_max: i64,
) -> (BTreeMap<Arc<str>, i64>, BTreeMap<Arc<str>, i64>) {
    let known = || sinks.iter().zip(stored).filter_map(|(sink, next)| Some((sink, (*next)?)));
    let required = known().filter(|(sink, _)| sink.required).map(|(_, next)| next).min();
    let floor = required.map_or(i64::MIN, |next| next - heal_max);
    let clamped = |sink: &SinkIdentity, next: i64| if sink.required { next } else { next.max(floor) };
    let joins_at = known().map(|(sink, next)| clamped(sink, next)).min().unwrap_or(initial);
    let (mut offsets, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for (sink, next) in sinks.iter().zip(stored) {
        let begin = next.map_or(joins_at, |next| clamped(sink, next));
        offsets.insert(sink.id.clone(), begin);
        if let Some(lost) = next.map(|next| begin - next).filter(|lost| *lost > 0) {
            skipped.insert(sink.id.clone(), lost);
        }
    }
    (offsets, skipped)
}

impl OffsetStore for MemoryOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(async move {
            let mut rows = self.lock();
            if let Some(error) = rows.failures.pop_front() {
                return Err(error);
            }
            // One transaction: refused as a whole.
            let mut changed = rows.clone();
            changed.identify(&self.sinks)?;
            let claims =
                requests.iter().map(|request| changed.claim(request, &self.sinks, self.heal_max)).collect();
            *rows = changed;
            Ok(claims)
        })
    }

    fn has_begun<'a>(&'a self, source: &'a str, topic: &'a str) -> LocalBoxFuture<'a, Result<bool, Error>> {
        Box::pin(std::future::ready(Ok(self.lock().has_begun(&self.sinks, source, topic))))
    }

    fn begin<'a>(
        &'a self,
        source: &'a str,
        topic: &'a str,
        starts: &'a BTreeMap<i32, i64>,
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        let mut rows = self.lock();
        if !rows.has_begun(&self.sinks, source, topic) {
            for (&partition, &next_offset) in starts {
                let key = PartitionKey { source: source.into(), topic: topic.into(), partition };
                let row = Row { epoch: 0, owner: Owner::random(), next_offset };
                let places = self.sinks.iter().map(|sink| (sink.id.clone(), key.clone()));
                rows.offsets.extend(places.map(|place| (place, row)));
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(async move {
            let rows = self.lock();
            let position = |((sink, key), row): (&(Arc<str>, PartitionKey), &Row)| Position {
                sink: sink.clone(),
                key: key.clone(),
                epoch: row.epoch,
                next_offset: row.next_offset,
                moved: false,
                holder: Holder::Ours,
                resting: Duration::ZERO,
            };
            Ok(rows.offsets.iter().map(position).collect())
        })
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::LogRange;
    use crate::testing::partition;
    use futures::FutureExt;

    #[test]
    fn an_advance_moves_the_claims_own_row_forward_only() {
        let store = MemoryOffsets::new(vec![sink("cache", true)], 10);
        let key = partition(0);
        let request =
            ClaimRequest { key: key.clone(), log: LogRange { start: 0, end: 9, initial: 3 }, begun: false };
        let claim = store.claim(&[request]).now_or_never().unwrap().unwrap().remove(0);
        let next_after = |epoch, next| {
            store.advance("cache", &[(key.clone(), epoch, next)]).now_or_never().unwrap().unwrap();
            store.positions().now_or_never().unwrap().unwrap()[0].next_offset
        };
        assert_eq!(next_after(claim.epoch, 5), 5);
        assert_eq!(next_after(claim.epoch, 4), 5, "not back");
        assert_eq!(next_after(claim.epoch + 1, 9), 5, "not under another claim");
    }

    fn sink(id: &str, required: bool) -> SinkIdentity {
        SinkIdentity { id: id.into(), adopts: None, target: format!("{id}.table").into(), required }
    }

    fn claim(store: &MemoryOffsets) -> Result<Claim, Error> {
        let request = ClaimRequest {
            key: partition(0),
            log: LogRange { start: 0, end: 900, initial: 40 },
            begun: false,
        };
        let claims = store.claim(&[request]).now_or_never().unwrap()?;
        Ok(claims.into_iter().next().unwrap())
    }

    fn commit(claim: &Claim, sink: &str, previous: i64, next: i64) -> Commit {
        Commit {
            sink: sink.into(),
            key: claim.key.clone(),
            epoch: claim.epoch,
            owner: claim.owner,
            previous,
            next,
        }
    }

    #[test]
    fn a_fresh_topology_begins_where_the_source_says() {
        let store = MemoryOffsets::new(vec![sink("writer", true), sink("cache", false)], 100);
        let claim = claim(&store).unwrap();
        assert_eq!((claim.epoch, claim.start), (1, 40));
        assert!(claim.sinks.values().all(|next| *next == 40));
    }

    #[test]
    fn a_second_claim_fences_the_first() {
        let store = MemoryOffsets::new(vec![sink("writer", true)], 100);
        let old = claim(&store).unwrap();
        store.commit(&[commit(&old, "writer", 40, 50)]).unwrap();
        let new = claim(&store).unwrap();
        assert_eq!((new.epoch, new.start), (2, 50));
        let missed = store.commit(&[commit(&old, "writer", 50, 60)]).unwrap_err();
        assert_eq!(missed[0].1, Committed::Foreign(2));
        store.commit(&[commit(&new, "writer", 50, 60)]).unwrap();
        let missed = store.commit(&[commit(&new, "writer", 50, 60)]).unwrap_err();
        assert_eq!(missed[0].1, Committed::Elsewhere(60));
    }

    #[test]
    fn a_transaction_moves_all_offsets_or_none() {
        let store = MemoryOffsets::new(vec![sink("a", true), sink("b", true)], 100);
        let claim = claim(&store).unwrap();
        store.commit(&[commit(&claim, "a", 40, 50), commit(&claim, "b", 41, 50)]).unwrap_err();
        store.commit(&[commit(&claim, "a", 40, 50), commit(&claim, "b", 40, 50)]).unwrap();
    }

    #[test]
    fn a_best_effort_sink_far_behind_is_clamped_and_says_what_it_will_not_see() {
        let store = MemoryOffsets::new(vec![sink("writer", true), sink("cache", false)], 100);
        let first = claim(&store).unwrap();
        store.commit(&[commit(&first, "writer", 40, 640)]).unwrap();
        let second = claim(&store).unwrap();
        assert_eq!(second.start, 540);
        assert_eq!((second.sinks["writer"], second.sinks["cache"], second.skipped["cache"]), (640, 540, 500));
    }

    #[test]
    fn a_sink_without_a_row_joins_at_the_least_of_the_others() {
        let store = MemoryOffsets::new(vec![sink("a", true), sink("b", true)], 100);
        let first = claim(&store).unwrap();
        store.commit(&[commit(&first, "a", 40, 70), commit(&first, "b", 40, 60)]).unwrap();
        let grown = store.with_sinks(vec![sink("a", true), sink("b", true), sink("c", true)]);
        assert_eq!(claim(&grown).unwrap().sinks["c"], 60);
    }

    #[test]
    fn a_renamed_sink_adopts_its_rows_and_a_place_has_one_feeder() {
        let store = MemoryOffsets::new(vec![sink("old", true)], 100);
        let first = claim(&store).unwrap();
        store.commit(&[commit(&first, "old", 40, 55)]).unwrap();
        let renamed = SinkIdentity { id: "new".into(), ..sink("old", true) };
        let refused = claim(&store.with_sinks(vec![renamed.clone()])).unwrap_err();
        assert_eq!(refused.class, Class::Config);
        assert!(refused.message.contains("`adopts: old`"), "{refused}");
        let adopting = SinkIdentity { adopts: Some("old".into()), ..renamed };
        let second = claim(&store.with_sinks(vec![adopting])).unwrap();
        assert_eq!((second.epoch, second.sinks["new"]), (2, 55));
        // The old name is no longer the feeder.
        assert_eq!(claim(&store).unwrap_err().class, Class::Config);
    }

    #[test]
    fn a_refused_claim_changes_nothing_and_failures_come_in_turn() {
        let store = MemoryOffsets::new(vec![sink("writer", true)], 100);
        store.fail_next_claim(Error::new(Class::Transient, "away"));
        assert_eq!(claim(&store).unwrap_err().class, Class::Transient);
        assert_eq!(claim(&store).unwrap().epoch, 1);
    }

    #[test]
    fn a_store_that_went_back_shows_the_lost_claim() {
        let store = MemoryOffsets::new(vec![sink("writer", true)], 100);
        let first = claim(&store).unwrap();
        let backup = store.snapshot();
        let second = claim(&store).unwrap();
        store.restore(&backup);
        let missed = store.commit(&[commit(&second, "writer", 40, 50)]).unwrap_err();
        assert_eq!(missed[0].1, Committed::Foreign(first.epoch));
    }
}
