//! Brings what the stores have to the lag boards and figures: the only I/O of telemetry, each kind on a beat of its own and
//! cut when it takes too long, never at scrape time. So one store that hangs keeps nothing of the other from being told.
//!
//! The log's end is asked here only while no source does: stopped, crashed, or waiting for a server. What it sees of
//! offsets that were moved under us it tells to who claims.

use crate::batch::PartitionKey;
use crate::claim::{Claims, Holder, LogRange, Loss, OffsetStore, Position};
use crate::clock::Instant;
use crate::limits::{LAG_LOOK_AFTER, LAG_ORPHAN_AFTER, LAG_PROBE_EVERY, LAG_PROBE_WAIT_MAX, MEASURE_EVERY};
use crate::registry::{Entry, Registry, Roster};
use crate::supervisor::host::Role;
use crate::task::{self, Task};
use crate::telemetry::StoredOffset;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Where stored offsets are read; a reload may change the place.
pub(crate) type Store = watch::Receiver<Arc<dyn OffsetStore>>;

/// What the store said last, shared by the beats.
type Known = Arc<Mutex<Vec<Position>>>;

/// Asks the stores again and again. An answer that fails leaves the boards as they are: lag goes on rising with the log's
/// end, which is what it does while the store is away.
pub(crate) fn start(store: Store, registry: Arc<Registry>, claims: Claims) -> Vec<Task> {
    let known = Known::default();
    vec![
        task::spawn("stored offsets", read_offsets(store.clone(), registry.clone(), claims, known.clone())),
        task::spawn("log ends", look_at_logs(store.clone(), registry.clone(), known)),
        task::spawn("measures", measure(store, registry)),
    ]
}

async fn read_offsets(store: Store, registry: Arc<Registry>, claims: Claims, known: Known) {
    let clock = registry.clock.clone();
    let mut orphans = Orphans::new(clock.now());
    loop {
        let (offsets, asked) = (store.borrow().clone(), clock.now());
        match clock.timeout(LAG_PROBE_WAIT_MAX, offsets.positions()).await {
            Ok(Ok(positions)) => {
                notice_moved(&claims, &positions);
                orphans.see(asked, &positions);
                enter(&registry, &claims, &orphans, &positions);
                *known.lock().unwrap_or_else(PoisonError::into_inner) = positions;
            }
            Ok(Err(error)) => tracing::debug!(%error, "cannot read stored offsets"),
            Err(timed_out) => tracing::debug!(%timed_out, "cannot read stored offsets"),
        }
        clock.sleep(LAG_PROBE_EVERY).await;
    }
}

async fn look_at_logs(store: Store, registry: Arc<Registry>, known: Known) {
    let clock = registry.clock.clone();
    loop {
        let offsets = store.borrow().clone();
        let roster = registry.roster();
        for (entry, topic) in readers(roster.entries()) {
            let Some(logs) = offsets.logs() else { continue };
            if entry.status.lag().unlooked(LAG_LOOK_AFTER).is_empty() {
                continue;
            }
            let asked = clock.now();
            match clock.timeout(LAG_PROBE_WAIT_MAX, logs.ranges(topic)).await {
                Ok(Ok(ranges)) => {
                    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    note_logs((entry, topic), &ranges, asked, &known);
                }
                Ok(Err(error)) => tracing::debug!(%error, "cannot see where the log ends"),
                Err(timed_out) => tracing::debug!(%timed_out, "cannot see where the log ends"),
            }
        }
        clock.sleep(LAG_PROBE_EVERY).await;
    }
}

async fn measure(store: Store, registry: Arc<Registry>) {
    let clock = registry.clock.clone();
    let mut measured: Option<Arc<dyn OffsetStore>> = None;
    loop {
        let offsets = store.borrow().clone();
        // Another one has other connections and tables.
        if measured.as_ref().is_some_and(|before| !Arc::ptr_eq(before, &offsets)) {
            registry.figures.clear();
        }
        let cut = clock.timeout(LAG_PROBE_WAIT_MAX, offsets.measure(&registry.figures)).await;
        if let Err(timed_out) = cut {
            tracing::debug!(%timed_out, "cannot measure the store");
        }
        measured = Some(offsets);
        clock.sleep(MEASURE_EVERY).await;
    }
}

/// The sources that read a log, once each whatever their clones, with its topic.
fn readers<'a>(entries: impl Iterator<Item = &'a Entry>) -> impl Iterator<Item = (&'a Entry, &'a Arc<str>)> {
    entries
        .filter(|entry| entry.role == Role::Source)
        .filter_map(|entry| Some((entry, entry.topic.as_ref()?)))
}

/// An operator moved offsets under us: who has something to write finds out by itself, and who is idle would go on
/// waiting at the old place.
fn notice_moved(claims: &Claims, positions: &[Position]) {
    for position in positions.iter().filter(|position| position.moved) {
        if let Some(claim) = claims.get(&position.key).filter(|claim| claim.epoch < position.epoch) {
            claims.request_rewind(&position.key, claim.epoch, Loss::WentBack);
        }
    }
}

/// Tells each source's board what is stored of its partitions, and which of them this node tells of.
fn enter(registry: &Registry, claims: &Claims, orphans: &Orphans, positions: &[Position]) {
    let required = registry.ledger.required_sinks();
    let least = least(&required, positions);
    let roster = registry.roster();
    for entry in roster.entries().filter(|entry| entry.role == Role::Source) {
        let board = entry.status.lag();
        if let Some(topic) = &entry.topic {
            board.keep_only(topic);
        }
        for (key, position) in least.iter().filter(|(key, _)| key.source == entry.identity.id) {
            let Position { next_offset, epoch, resting, .. } = **position;
            let is_claimed = claims.get(key).is_some_and(|claim| claim.epoch >= epoch);
            let is_ours = is_claimed || position.holder == Holder::Ours || orphans.is_one(key);
            match &entry.topic {
                Some(topic) if *topic == key.topic && is_ours && !is_read_by_another(&roster, entry, key) => {
                    board.adopt(topic, key.partition, LAG_ORPHAN_AFTER);
                }
                _ if !is_ours => board.leave_to_others(&key.topic, key.partition),
                _ => {}
            }
            let stored = StoredOffset { next: next_offset, epoch, resting, asked: orphans.seen };
            board.stored(&key.topic, key.partition, stored);
        }
    }
}

/// Whether another clone of `entry` has that partition.
fn is_read_by_another(roster: &Roster, entry: &Entry, key: &PartitionKey) -> bool {
    let (id, name) = (&entry.identity.id, &entry.identity.name);
    let mut others =
        roster.entries().filter(|other| other.identity.id == *id && other.identity.name != *name);
    entry.identity.clone > 0 || others.any(|other| other.status.lag().has(&key.topic, key.partition))
}

/// What the furthest-behind required sink has stored, by partition; a source without a required sink goes by all of its own.
fn least<'a>(required: &[Arc<str>], positions: &'a [Position]) -> BTreeMap<&'a PartitionKey, &'a Position> {
    let mut least: BTreeMap<&PartitionKey, &Position> = BTreeMap::new();
    let is_required = |position: &&Position| required.contains(&position.sink);
    let strict: BTreeSet<&str> = positions.iter().filter(is_required).map(|one| &*one.key.source).collect();
    let counts = |position: &&Position| !strict.contains(&*position.key.source) || is_required(position);
    for position in positions.iter().filter(counts) {
        let known = least.entry(&position.key).or_insert(position);
        if position.next_offset < known.next_offset {
            *known = position;
        }
    }
    least
}

/// Where the logs of `entry` begin and end; partitions the topic has grown by while nobody reads it have lines, too, where
/// no other node could be about to take them.
fn note_logs(
    (entry, topic): (&Entry, &Arc<str>),
    ranges: &BTreeMap<i32, LogRange>,
    asked: Instant,
    known: &[Position],
) {
    let board = entry.status.lag();
    let of_topic = || {
        known
            .iter()
            .filter(|position| position.key.topic == *topic && position.key.source == entry.identity.id)
    };
    let alone = of_topic().next().is_some() && of_topic().all(|position| position.holder == Holder::Ours);
    let stored: BTreeSet<i32> = of_topic().map(|position| position.key.partition).collect();
    for (partition, range) in ranges {
        let is_new = alone && !stored.contains(partition) && !board.knows(topic, *partition);
        if is_new || board.has(topic, *partition) {
            board.log_asked(topic, *partition, range.start, range.end, asked);
        }
    }
}

/// Partitions whose last owner is gone, and since when.
struct Orphans {
    since: BTreeMap<PartitionKey, Instant>,
    seen: Instant,
}

impl Orphans {
    fn new(now: Instant) -> Self {
        Self { since: BTreeMap::new(), seen: now }
    }

    fn see(&mut self, now: Instant, positions: &[Position]) {
        let mut newest: BTreeMap<&PartitionKey, &Position> = BTreeMap::new();
        for position in positions {
            let known = newest.entry(&position.key).or_insert(position);
            if position.epoch > known.epoch {
                *known = position;
            }
        }
        let is_orphaned =
            |key: &PartitionKey| newest.get(key).is_some_and(|position| position.holder == Holder::Nobody);
        self.since.retain(|key, _| is_orphaned(key));
        for key in newest.keys().filter(|key| is_orphaned(key)) {
            self.since.entry((*key).clone()).or_insert(now);
        }
        self.seen = now;
    }

    /// Whether it has been one for long.
    fn is_one(&self, key: &PartitionKey) -> bool {
        self.since.get(key).is_some_and(|since| self.seen.duration_since(*since) >= LAG_ORPHAN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::ActorIdentity;
    use crate::clock::Clock;
    use crate::status::Status;

    fn position(partition: i32, sink: &str, next_offset: i64, holder: Holder) -> Position {
        Position {
            sink: sink.into(),
            key: PartitionKey { source: "ticks".into(), topic: "md".into(), partition },
            epoch: 1,
            next_offset,
            moved: false,
            holder,
            resting: std::time::Duration::ZERO,
        }
    }

    #[test]
    fn the_furthest_behind_required_sink_decides_and_without_one_every_sink_counts() {
        let positions = [
            position(0, "history", 50, Holder::Ours),
            position(0, "copy", 40, Holder::Ours),
            position(0, "cache", 10, Holder::Ours),
        ];
        let decides = |required: &[Arc<str>]| least(required, &positions)[&positions[0].key].next_offset;
        assert_eq!(decides(&["history".into(), "copy".into()]), 40);
        assert_eq!(decides(&[]), 10);
        assert_eq!(decides(&["a sink of another source".into()]), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_partition_is_orphaned_once_its_owner_has_been_gone_for_long() {
        let clock = Clock::system();
        let mut orphans = Orphans::new(clock.now());
        let (gone, there) = ([position(0, "h", 1, Holder::Nobody)], [position(0, "h", 1, Holder::Other)]);
        let key = gone[0].key.clone();
        orphans.see(clock.now(), &gone);
        assert!(!orphans.is_one(&key));
        clock.sleep(LAG_ORPHAN_AFTER).await;
        orphans.see(clock.now(), &gone);
        assert!(orphans.is_one(&key));
        orphans.see(clock.now(), &there);
        orphans.see(clock.now(), &gone);
        assert!(!orphans.is_one(&key), "somebody had it in between");
    }

    fn source() -> Entry {
        let name: Arc<str> = "ticks".into();
        Entry {
            identity: ActorIdentity {
                topology: "t".into(),
                name: name.clone(),
                id: name,
                kind: "kafka_source",
                clone: 0,
            },
            role: Role::Source,
            topic: Some("md".into()),
            supervisor: "root".into(),
            status: Status::new(Clock::system()),
            inputs: Vec::new(),
            outputs: Vec::new(),
            required: true,
            behind_gate: false,
            record: Arc::default(),
        }
    }

    /// What a look at three partitions tells of a topic of which one is stored, by its holder.
    fn told_after_growth(holder: Holder) -> Vec<(i32, i64)> {
        let (entry, topic): (Entry, Arc<str>) = (source(), "md".into());
        let board = entry.status.lag();
        if holder == Holder::Ours {
            board.adopt(&topic, 0, LAG_ORPHAN_AFTER);
        }
        let range = LogRange { start: 2, end: 9, initial: 2 };
        let ranges = (0..3).map(|partition| (partition, range)).collect();
        note_logs((&entry, &topic), &ranges, Clock::system().now(), &[position(0, "h", 9, holder)]);
        board.lines(&Default::default()).iter().map(|lag| (lag.partition, lag.records)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn partitions_the_topic_has_grown_by_are_told_of_where_no_other_node_could_have_them() {
        assert_eq!(told_after_growth(Holder::Ours), [(0, 7), (1, 7), (2, 7)]);
        assert_eq!(told_after_growth(Holder::Other), []);
    }
}
