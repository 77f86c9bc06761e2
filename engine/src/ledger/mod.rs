//! The fate of every record, per partition and epoch.
//!
//! `read = written + dead_lettered + filtered + skipped + in_flight`; the difference is `unaccounted`, 0 always.
//!
//! A record's fate is decided once every *deciding* sink (the required ones; all, if none is required) has settled the
//! range in which it was read: dead-lettered if a required branch rejected any of its rows, else written if any of those
//! sinks wrote a row of it, else filtered. Everything may be said twice: batches are redelivered.
//!
//! It costs a lock per batch and sink, and one bit per record at most. Deliberately absent: who may say what; a stale
//! claim's words are about its own epoch, which nobody asks for any more.

mod epoch;
mod range;
mod spans;
#[cfg(test)]
mod tests;

use crate::batch::{Origin, PartitionKey, RawRecords};
use crate::claim::Claim;
use crate::invariants;
use crate::limits::LEDGER_EPOCHS_KEPT_MAX;
use crate::telemetry::Settled;
use epoch::{EpochLedger, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::iter::Sum;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The place of a sink in the ledger: its index in the list the ledger was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkIndex(pub usize);

/// A sink as the ledger needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// Its identity.
    pub id: Arc<str>,
    /// Whether a record counts as written only when this sink has it.
    pub required: bool,
    /// The sources whose records reach it; empty = all.
    pub sources: Vec<Arc<str>>,
}

/// Records by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Handed on by the source, or passed over by it.
    pub read: u64,
    /// Durable in every required sink.
    pub written: u64,
    /// Rejected by a required branch.
    pub dead_lettered: u64,
    /// Gave no row.
    pub filtered: u64,
    /// Gone from the log before they could be read; or, where no sink is required, passed over by a full branch.
    pub skipped: u64,
    /// Not decided yet.
    pub in_flight: u64,
}

impl Counts {
    /// What the sum lacks; anything but 0 is a bug worth an alarm.
    pub fn unaccounted(&self) -> i64 {
        invariants::unaccounted(
            self.read,
            [self.written, self.dead_lettered, self.filtered, self.skipped, self.in_flight],
        )
    }

    fn add(&mut self, other: Self) {
        self.read += other.read;
        self.written += other.written;
        self.dead_lettered += other.dead_lettered;
        self.filtered += other.filtered;
        self.skipped += other.skipped;
        self.in_flight += other.in_flight;
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, one| {
            sum.add(one);
            sum
        })
    }
}

/// The equation, in one line.
impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { read, written, dead_lettered, filtered, skipped, in_flight } = self;
        let unaccounted = self.unaccounted();
        write!(
            f,
            "read {read} = written {written} + dead-lettered {dead_lettered} + filtered {filtered} + skipped {skipped} \
             + in flight {in_flight}; unaccounted {unaccounted}"
        )
    }
}

/// One line of `/api/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// The topology.
    pub topology: Arc<str>,
    /// The source actor.
    pub source: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The claim. Old ones are summed up under the newest of them.
    pub epoch: i64,
    /// Records the source handed on, or passed over. When a claim is released, what was not decided is taken back: it
    /// is read again under the next.
    pub read: u64,
    /// Durable in every required sink.
    pub written: u64,
    /// Rejected by a required branch.
    pub dead_lettered: u64,
    /// Gave no row.
    pub filtered: u64,
    /// Passed over: gone from the log before it could be read.
    pub skipped: u64,
    /// Not decided yet.
    pub in_flight: u64,
    /// What the sum lacks; anything but 0 is a bug worth an alarm.
    pub unaccounted: i64,
}

impl LedgerRow {
    /// Its figures alone.
    pub fn counts(&self) -> Counts {
        let Self { read, written, dead_lettered, filtered, skipped, in_flight, .. } = *self;
        Counts { read, written, dead_lettered, filtered, skipped, in_flight }
    }
}

/// How far a sink has settled a partition without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledPosition {
    /// Which sink.
    pub sink: SinkIndex,
    /// Which partition.
    pub key: PartitionKey,
    /// Under which claim.
    pub epoch: i64,
    /// One past the last offset of that run.
    pub next: i64,
}

/// Shared by sources and sinks. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Mutex<Inner>>,
    settlement: Arc<Notify>,
}

#[derive(Debug)]
struct Inner {
    topology: Arc<str>,
    /// Every sink there ever was: an index means the same sink for as long as the ledger lives.
    sinks: Vec<Sink>,
    partitions: BTreeMap<PartitionKey, Partition>,
}

#[derive(Debug)]
struct Sink {
    spec: SinkSpec,
    /// Whether records are read for it now.
    live: bool,
    /// Records it was not given because its branch was full.
    passed_over: u64,
}

#[derive(Debug, Default)]
struct Partition {
    live: BTreeMap<i64, EpochLedger>,
    released: BTreeMap<i64, Counts>,
}

impl Ledger {
    /// A ledger for the sinks with these identities and whether each is required, every one fed by every source.
    pub fn new(topology: Arc<str>, sinks: Vec<(Arc<str>, bool)>) -> Self {
        let spec = |(id, required)| SinkSpec { id, required, sources: Vec::new() };
        Self::with_sinks(topology, sinks.into_iter().map(spec).collect())
    }

    /// A ledger for these sinks.
    pub fn with_sinks(topology: Arc<str>, sinks: Vec<SinkSpec>) -> Self {
        let sinks = sinks.into_iter().map(|spec| Sink { spec, live: true, passed_over: 0 }).collect();
        let inner = Inner { topology, sinks, partitions: BTreeMap::new() };
        Self { inner: Arc::new(Mutex::new(inner)), settlement: Arc::new(Notify::new()) }
    }

    /// The source hands on these records. Older epochs of the partition are released by it.
    pub fn read(&self, origin: &Origin, raw: &RawRecords) {
        let mut inner = self.lock();
        let epoch = inner.epoch_entry(&origin.key, origin.epoch);
        let first = epoch.end().map_or(origin.first, |end| end.max(origin.first));
        if first > origin.next {
            return;
        }
        let offsets = raw.offsets.values();
        let known = offsets.partition_point(|&offset| offset < first);
        epoch.read(first, origin.next, (offsets.len() - known) as u64);
    }

    /// A sink has made `origin.first..origin.next` durable. `written` are the offsets of its rows, ascending (repeats
    /// allowed).
    pub fn settled(&self, sink: SinkIndex, origin: &Origin, written: &[i64]) {
        if let Some(epoch) = self.lock().epoch(&origin.key, origin.epoch) {
            epoch.settled(sink, origin.first, origin.next, written);
        }
        self.settlement.notify_waiters();
    }

    /// A best-effort branch was full for too long: `sink` will never be given these records.
    pub fn passed_over(&self, sink: SinkIndex, origin: &Origin, records: u64) {
        let mut inner = self.lock();
        if let Some(epoch) = inner.epoch(&origin.key, origin.epoch) {
            epoch.passed_over(sink, origin.first, origin.next);
        }
        inner.sinks[sink.0].passed_over += records;
        drop(inner);
        self.settlement.notify_waiters();
    }

    /// `actor`, of a required branch, has rejected the record at `offset`, durably. Saying it twice is saying it once.
    pub fn dead_lettered(&self, key: &PartitionKey, epoch: i64, offset: i64, actor: &Arc<str>) {
        if let Some(epoch) = self.lock().epoch(key, epoch) {
            epoch.dead_lettered(offset, actor);
        }
    }

    /// Which records in `offsets` were rejected, each with who did, of those whose fate is not decided: whoever moves an
    /// offset over them leaves nothing of them but these letters.
    pub fn letters(&self, key: &PartitionKey, epoch: i64, offsets: Range<i64>) -> Vec<(i64, Arc<str>)> {
        self.lock().epoch(key, epoch).map(|epoch| epoch.letters(offsets)).unwrap_or_default()
    }

    /// The source passed over `count` records that the log no longer has.
    pub fn skipped(&self, key: &PartitionKey, epoch: i64, count: u64) {
        self.lock().epoch_entry(key, epoch).skip(count);
    }

    /// The claim is given up: its counts stay in the report, what was not decided is taken back, and later words about
    /// it are ignored.
    pub fn release(&self, key: &PartitionKey, epoch: i64) {
        if let Some(partition) = self.lock().partitions.get_mut(key) {
            partition.release_below(epoch + 1);
        }
        self.settlement.notify_waiters();
    }

    /// Completes once every record of that partition and epoch that was read is decided: settled by every required
    /// sink. At once if nothing is known of that epoch.
    pub async fn idle(&self, key: &PartitionKey, epoch: i64) {
        self.until(|inner| inner.epoch(key, epoch).is_none_or(|epoch| epoch.is_idle())).await;
    }

    /// Like [`idle`](Self::idle), best-effort sinks included.
    pub async fn idle_everywhere(&self, key: &PartitionKey, epoch: i64) {
        self.until(|inner| inner.epoch(key, epoch).is_none_or(|epoch| epoch.is_idle_everywhere())).await;
    }

    /// Whether nothing at all is in flight, to best-effort sinks included; but for what gates give, which never ceases.
    pub fn is_idle(&self) -> bool {
        let inner = self.lock();
        let read = inner.partitions.iter().filter(|(key, _)| !key.is_own_stream());
        let mut live = read.flat_map(|(_, partition)| partition.live.values());
        live.all(EpochLedger::is_idle_everywhere)
    }

    /// Whether the fate of everything is decided that was read of that source.
    pub(crate) fn is_idle_for(&self, source: &str) -> bool {
        let inner = self.lock();
        let of_source = inner.partitions.iter().filter(|(key, _)| *key.source == *source);
        let mut live = of_source.flat_map(|(_, partition)| partition.live.values());
        live.all(EpochLedger::is_idle)
    }

    /// How far each sink has settled each partition it has read, under the claims not released.
    pub fn positions(&self) -> Vec<SettledPosition> {
        let inner = self.lock();
        let mut positions = Vec::new();
        for (key, partition) in &inner.partitions {
            for (&epoch, ledger) in &partition.live {
                let place = |(sink, next)| SettledPosition { sink, key: key.clone(), epoch, next };
                positions.extend(ledger.positions().map(place));
            }
        }
        positions
    }

    /// How far the furthest-behind required sink has come in each partition under its newest claim, by source. What is
    /// settled is durable, so this is what the database says, without asking it; a source without a required sink has no
    /// line.
    pub(crate) fn settled_by_required(&self) -> BTreeMap<Arc<str>, Settled> {
        let inner = self.lock();
        let mut settled: BTreeMap<Arc<str>, Settled> = BTreeMap::new();
        for (key, partition) in &inner.partitions {
            let Some((&epoch, ledger)) = partition.live.last_key_value() else { continue };
            let required = ledger.positions().filter(|(sink, _)| inner.sinks[sink.0].spec.required);
            if let Some(next) = required.map(|(_, next)| next).min() {
                let lines = settled.entry(key.source.clone()).or_default();
                lines.insert((key.topic.clone(), key.partition), (epoch, next));
            }
        }
        settled
    }

    /// Records each sink was not given because its branch was full, by its identity.
    pub fn passed_over_records(&self) -> Vec<(Arc<str>, u64)> {
        let inner = self.lock();
        let live = inner.sinks.iter().filter(|sink| sink.live);
        live.map(|sink| (sink.spec.id.clone(), sink.passed_over)).collect()
    }

    /// Where each of `sinks` is, or will be after [`set_sinks`](Self::set_sinks): a sink is known by its identity.
    pub(crate) fn places_of(&self, sinks: &[SinkSpec]) -> Vec<SinkIndex> {
        let mut inner = self.lock();
        let place = |spec: &SinkSpec| {
            let known = inner.sinks.iter().position(|sink| sink.spec.id == spec.id);
            SinkIndex(known.unwrap_or_else(|| {
                inner.sinks.push(Sink { spec: spec.clone(), live: false, passed_over: 0 });
                inner.sinks.len() - 1
            }))
        };
        sinks.iter().map(place).collect()
    }

    /// From now on records are read for exactly these. An epoch keeps the sinks it was opened with, so the sources whose
    /// sinks change must claim anew.
    pub(crate) fn set_sinks(&self, sinks: &[SinkSpec]) {
        let places = self.places_of(sinks);
        let mut inner = self.lock();
        inner.sinks.iter_mut().for_each(|sink| sink.live = false);
        for (place, spec) in places.into_iter().zip(sinks) {
            let sink = &mut inner.sinks[place.0];
            (sink.spec, sink.live) = (spec.clone(), true);
        }
    }

    /// Whether a record counts as written only when that sink has it.
    pub(crate) fn is_required(&self, sink: SinkIndex) -> bool {
        self.lock().sinks[sink.0].spec.required
    }

    /// The offset below which the fate of every record was decided before `claim` was made: every sink that decides has
    /// it behind it. What is read below it is read for the others only.
    pub(crate) fn decided_before(&self, claim: &Claim) -> i64 {
        let inner = self.lock();
        let places = places(&inner.sinks, &claim.key.source);
        let deciding = places.iter().filter(|place| place.deciding);
        let begins = deciding.filter_map(|place| claim.sinks.get(&inner.sinks[place.sink.0].spec.id));
        begins.copied().min().unwrap_or(claim.start)
    }

    /// The identities of the required sinks.
    pub(crate) fn required_sinks(&self) -> Vec<Arc<str>> {
        let inner = self.lock();
        let required = inner.sinks.iter().filter(|sink| sink.live && sink.spec.required);
        required.map(|sink| sink.spec.id.clone()).collect()
    }

    /// Every line: partitions in order, epochs in order.
    pub fn rows(&self) -> Vec<LedgerRow> {
        let inner = self.lock();
        let mut rows = Vec::new();
        for (key, partition) in &inner.partitions {
            let live = partition.live.iter().map(|(&epoch, ledger)| (epoch, ledger.counts()));
            let all = partition.released.iter().map(|(&epoch, &counts)| (epoch, counts)).chain(live);
            rows.extend(all.map(|(epoch, counts)| row(&inner.topology, key, epoch, counts)));
        }
        rows
    }

    /// The sum over the lines of what was read; what gates give has lines of its own, and is no record of anybody's.
    pub fn totals(&self) -> Counts {
        let inner = self.lock();
        let mut totals = Counts::default();
        let read = inner.partitions.iter().filter(|(key, _)| !key.is_own_stream());
        for (_, partition) in read {
            partition.released.values().for_each(|&counts| totals.add(counts));
            partition.live.values().for_each(|ledger| totals.add(ledger.counts()));
        }
        totals
    }

    /// Completes once `holds`; asked again after every settlement.
    async fn until(&self, mut holds: impl FnMut(&mut Inner) -> bool) {
        loop {
            let settlement = self.settlement.notified();
            tokio::pin!(settlement);
            settlement.as_mut().enable();
            if holds(&mut self.lock()) {
                return;
            }
            settlement.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn epoch(&mut self, key: &PartitionKey, epoch: i64) -> Option<&mut EpochLedger> {
        self.partitions.get_mut(key)?.live.get_mut(&epoch)
    }

    /// That epoch of the partition, begun if need be; older ones are released.
    fn epoch_entry(&mut self, key: &PartitionKey, epoch: i64) -> &mut EpochLedger {
        if !self.partitions.contains_key(key) {
            self.partitions.insert(key.clone(), Partition::default());
        }
        let partition = self.partitions.get_mut(key).expect("invariant: just inserted");
        if !partition.live.contains_key(&epoch) {
            partition.release_below(epoch);
        }
        partition.live.entry(epoch).or_insert_with(|| EpochLedger::new(places(&self.sinks, &key.source)))
    }
}

impl Partition {
    /// Releases the epochs below `epoch`; sums up the oldest when there are too many.
    fn release_below(&mut self, epoch: i64) {
        let rest = self.live.split_off(&epoch);
        for (epoch, ledger) in std::mem::replace(&mut self.live, rest) {
            self.released.entry(epoch).or_default().add(ledger.release());
        }
        while self.released.len() > LEDGER_EPOCHS_KEPT_MAX {
            let (_, oldest) = self.released.pop_first().expect("invariant: more than a few");
            self.released.first_entry().expect("invariant: more than one").get_mut().add(oldest);
        }
    }
}

/// The sinks that records of `source` reach.
fn places(sinks: &[Sink], source: &Arc<str>) -> Vec<Place> {
    let fed =
        |sink: &&Sink| sink.live && (sink.spec.sources.is_empty() || sink.spec.sources.contains(source));
    let any_required = sinks.iter().filter(fed).any(|sink| sink.spec.required);
    let place = |(index, sink): (usize, &Sink)| Place {
        sink: SinkIndex(index),
        deciding: sink.spec.required || !any_required,
    };
    sinks.iter().enumerate().filter(|(_, sink)| fed(sink)).map(place).collect()
}

fn row(topology: &Arc<str>, key: &PartitionKey, epoch: i64, counts: Counts) -> LedgerRow {
    LedgerRow {
        topology: topology.clone(),
        source: key.source.clone(),
        topic: key.topic.clone(),
        partition: key.partition,
        epoch,
        read: counts.read,
        written: counts.written,
        dead_lettered: counts.dead_lettered,
        filtered: counts.filtered,
        skipped: counts.skipped,
        in_flight: counts.in_flight,
        unaccounted: counts.unaccounted(),
    }
}
