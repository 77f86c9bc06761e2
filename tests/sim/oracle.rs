//! One question after every run: has each record exactly one fate, and the right one? And what was watched meanwhile.

use super::schedule::CRASHES_MAX;
use super::stage::Seen;
use super::workload::{BEGINS_MS, Fate, Sent, Workload};
use aqueduct_actors::stand_in::{Content, Hash, Row, StandIns};
use aqueduct_engine::application::Handle;
use aqueduct_engine::limits::DELIVERIES_MAX;
use aqueduct_engine::registry::LinkView;
use aqueduct_engine::{Letter, invariants};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

/// The panics that a run itself asks for.
const ASKED_FOR: &str = "the test asked for a panic";

/// Pieces into which a batch of one run may be cut to find who kills its receiver.
const PIECES_MAX: usize = 12;

/// Events that are kept of a run.
const EVENTS_MAX: usize = 2000;

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// A record is nowhere.
    Lost,
    /// It is there more than once, or both written and rejected.
    Doubled,
    /// It has another fate than its own.
    Fate,
    /// A letter does not hold the record as it came.
    Letter,
    /// The rows of a partition are not in its order.
    Order,
    /// A key of the cache does not hold its newest value.
    Cache,
    /// Not everything came to be decided.
    Settles,
    /// An offset is not the last one + 1.
    Offset,
    /// The ledger does not add up, or something is left in flight.
    Ledger,
    /// A link held more than its bounds.
    Bounds,
    /// An actor panicked unasked: an assertion of the product's own.
    Law,
    /// A drain did not finish what there was.
    Drain,
}

/// What a run did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: Check,
    pub detail: String,
}

/// What is watched while a run goes on.
#[derive(Debug)]
pub struct Watch {
    /// The most batches, and bytes, of a link.
    link: (usize, usize),
    /// Pieces into which one of its batches may come to be cut.
    pieces: usize,
    /// Processes started.
    pub starts: usize,
    /// What the processes told of themselves first, for people.
    pub events: Vec<String>,
    violations: Vec<Violation>,
}

impl Watch {
    pub fn new(workload: &Workload) -> Self {
        let pieces = if workload.deadly().is_empty() { 0 } else { PIECES_MAX };
        Self { link: workload.link, pieces, starts: 0, events: Vec::new(), violations: Vec::new() }
    }

    fn note(&mut self, check: Check, detail: String) {
        // The first of a kind tells enough.
        if self.violations.iter().all(|violation| violation.check != check) {
            self.violations.push(Violation { check, detail });
        }
    }

    /// Bounds and sums that hold at every moment.
    pub fn look(&mut self, handle: &Handle) {
        for actor in handle.registry().actors() {
            for link in &actor.inputs {
                if !invariants::within_bounds((link.batches, link.bytes), self.link, self.pieces) {
                    let (name, from) = (&actor.name, &link.from);
                    self.note(Check::Bounds, format!("{from} to {name}: {link:?} above {:?}", self.link));
                }
                if !invariants::charge_is_consistent(link.batches, link.bytes) {
                    self.note(Check::Bounds, format!("{}: bytes of no batch: {link:?}", actor.name));
                }
            }
        }
        self.sums(handle);
    }

    fn sums(&mut self, handle: &Handle) {
        for row in handle.registry().ledger().rows().into_iter().filter(|row| row.unaccounted != 0) {
            self.note(Check::Ledger, format!("{row:?}"));
        }
    }

    /// What a process told of itself since it was last heard, and what it counts.
    pub fn listen(&mut self, handle: &Handle, heard: &Cell<u64>) {
        self.sums(handle);
        let node = handle.registry().node();
        for event in handle.registry().events().after(heard.get()) {
            heard.set(event.id);
            let at = (event.at_us - BEGINS_MS * 1000) as f64 / 1e6;
            if self.events.len() < EVENTS_MAX {
                self.events
                    .push(format!("{at:>10.3}s {node}: {} {}: {}", event.subject, event.what, event.detail));
            }
            let unasked = event.detail.contains("panicked at") && !event.detail.contains(ASKED_FOR);
            if unasked || event.what == "gave_up" {
                self.note(Check::Law, format!("{} {}: {}", event.subject, event.what, event.detail));
            }
        }
    }

    pub fn undecided(&mut self, handle: &Handle, around: &StandIns) {
        let registry = handle.registry();
        let holds = |link: &LinkView| link.batches > 0;
        let actors = registry.actors().into_iter().filter(|actor| actor.inputs.iter().any(holds));
        let held: Vec<String> = actors.map(|actor| format!("{} {:?}", actor.name, actor.inputs)).collect();
        let detail = format!(
            "not ready: {:?}; {:?}; on links: {held:?}; settled {:?}; stored {:?}; sent {:?}",
            registry.not_ready(),
            registry.ledger().totals(),
            registry.ledger().positions(),
            around.positions(),
            around.lengths(),
        );
        self.note(Check::Settles, detail);
    }
}

/// Everything that is wrong with what was seen.
pub fn judge(workload: &Workload, seen: &Seen) -> Vec<Violation> {
    let mut judge = Judge { workload, seen, violations: seen.watch.violations.clone() };
    if seen.decided {
        judge.offsets();
        judge.fates();
        judge.cache();
        judge.drained();
        judge.totals();
    }
    judge.violations
}

struct Judge<'a> {
    workload: &'a Workload,
    seen: &'a Seen,
    violations: Vec<Violation>,
}

/// A record's partition and offset.
type Spot = (i32, i64);

impl Judge<'_> {
    fn wrong(&mut self, check: Check, detail: String) {
        self.violations.push(Violation { check, detail });
    }

    fn offsets(&mut self) {
        let lengths = self.seen.around.lengths();
        for position in self.seen.around.positions() {
            let end = lengths[&(position.key.source.to_string(), position.key.partition as u32)];
            if position.next_offset != end {
                self.wrong(Check::Offset, format!("{position:?}, but the log ends at {end}"));
            }
        }
    }

    fn rows(&self, table: &str) -> Vec<Row> {
        let content = self.seen.around.contents().into_iter().find(|(name, _)| name == table);
        match content {
            Some((_, Content::Rows(rows))) => rows,
            other => panic!("{table} is a table: {other:?}"),
        }
    }

    fn fates(&mut self) {
        let letters = self.seen.around.letters();
        let mut by_spot: BTreeMap<Spot, Vec<&Letter>> = BTreeMap::new();
        for letter in &letters {
            by_spot.entry((letter.key.partition, letter.offset)).or_default().push(letter);
        }
        for table in if self.workload.copy { &["history", "copy"][..] } else { &["history"] } {
            let rows = self.rows(table);
            self.order(table, &rows);
            let mut counts: BTreeMap<Spot, usize> = BTreeMap::new();
            for row in &rows {
                *counts.entry((row.place.partition, row.place.offset)).or_default() += 1;
            }
            for partition in 0..self.workload.partitions {
                for (offset, sent) in self.workload.of_partition(partition) {
                    let spot = (partition as i32, offset);
                    let rows = counts.remove(&spot).unwrap_or(0);
                    let letters = by_spot.get(&spot).map(Vec::as_slice).unwrap_or_default();
                    self.fate(table, spot, sent, rows, letters);
                }
            }
            if let Some((spot, _)) = counts.first_key_value() {
                self.wrong(Check::Fate, format!("{table}: a row from nowhere: {spot:?}"));
            }
        }
        for letter in &letters {
            self.letter(letter);
        }
    }

    /// One record in one table, and its letters.
    fn fate(&mut self, table: &str, spot: Spot, sent: &Sent, rows: usize, letters: &[&Letter]) {
        // A letter of another writer says nothing of this table.
        let mut concerning: Vec<(&str, &str)> = letters
            .iter()
            .map(|letter| (&*letter.actor, &*letter.reason))
            .filter(|(actor, _)| *actor == table || *actor == "trades")
            .collect();
        if rows == 0 && concerning.len() > 1 && !self.workload.deadly().is_empty() {
            // Whoever stands beside a culprit may be condemned, though somebody else has rejected it before.
            concerning.retain(|(_, reason)| *reason != "crash");
        }
        let decide_apart = self.workload.copy || self.workload.cache_required;
        if sent.fate == Fate::Deadly("trades") && decide_apart && rows == 1 {
            // One sink was past it with its letter when another process, which was spared, gave it to the other.
            concerning.retain(|(_, reason)| *reason != "crash");
        }
        let reasons: BTreeSet<(&str, &str)> = concerning.iter().copied().collect();
        let what = || {
            format!(
                "{table}: record {} at {spot:?} ({:?}): {rows} rows, letters {reasons:?}",
                sent.id, sent.fate
            )
        };
        let filtered = matches!(sent.fate, Fate::Filtered | Fate::Marker);
        match rows + concerning.len() {
            0 if !filtered => return self.wrong(Check::Lost, what()),
            2.. => return self.wrong(Check::Doubled, what()),
            _ => {}
        }
        let right = match sent.fate {
            Fate::Written => rows == 1,
            Fate::Filtered | Fate::Marker => rows == 0 && reasons.is_empty(),
            Fate::Rejected(actor, reason) => reasons.contains(&(actor, reason)),
            Fate::Refused if table == "history" => reasons.contains(&("history", "check_violation")),
            Fate::Refused => rows == 1,
            Fate::Deadly(actor) if actor == "trades" || actor == table => {
                rows == 1 || reasons.contains(&(actor, "crash"))
            }
            Fate::Deadly(_) => rows == 1,
        };
        let excused = rows == 0 && self.may_be_condemned(&reasons);
        if !(right || excused) {
            self.wrong(Check::Fate, what());
        }
    }

    /// Whether so many crashes were asked for that a record beside them may have been taken for the culprit.
    fn may_be_condemned(&self, reasons: &BTreeSet<(&str, &str)>) -> bool {
        let crashes = 2 * CRASHES_MAX + self.workload.deadly().len() as u32 * 16;
        crashes > DELIVERIES_MAX + 1 && reasons.iter().any(|(_, reason)| *reason == "crash")
    }

    /// Within a partition rows are in the order of their offsets; a database that went back begins anew in between.
    fn order(&mut self, table: &str, rows: &[Row]) {
        for partition in 0..self.workload.partitions as i32 {
            let own = rows.iter().filter(|row| row.place.partition == partition);
            let offsets: Vec<i64> = own.map(|row| row.place.offset).collect();
            if let Some(at) = invariants::out_of_order(&offsets) {
                self.wrong(Check::Order, format!("{table}, partition {partition}: {offsets:?}, at {at}"));
            }
        }
    }

    fn letter(&mut self, letter: &Letter) {
        let sent = self.workload.of_partition(letter.key.partition as u32);
        let sent = sent.into_iter().find(|(offset, _)| *offset == letter.offset);
        let as_sent = sent.is_some_and(|(_, sent)| {
            let message = sent.message();
            (&letter.payload, &letter.record_key, letter.record_time_ms)
                == (&message.value, &message.key, message.time_ms)
        });
        if !as_sent {
            self.wrong(Check::Letter, format!("{letter:?}"));
        }
    }

    fn cache(&mut self) {
        let content = self.seen.around.contents().into_iter().find(|(name, _)| name == "last");
        let Some((_, Content::Hashes(hashes))) = content else { panic!("last is a cache") };
        let mut by_key: BTreeMap<String, Vec<(i64, u32, i64, &Sent)>> = BTreeMap::new();
        for partition in 0..self.workload.partitions {
            for (offset, sent) in self.workload.of_partition(partition) {
                if sent.is_cached() || matches!(sent.fate, Fate::Deadly(_)) {
                    let values = by_key.entry(format!("last:{}", sent.who)).or_default();
                    values.push((sent.time_ms, partition, offset, sent));
                }
            }
        }
        for key in hashes.keys().filter(|key| !by_key.contains_key(*key)) {
            self.violations.push(Violation { check: Check::Cache, detail: format!("{key} from nowhere") });
        }
        for (key, mut values) in by_key {
            values
                .sort_by_key(|(time, partition, offset, _)| std::cmp::Reverse((*time, *partition, *offset)));
            let hash = hashes.get(&key);
            if !is_newest(hash, &values) {
                let newest = values.first();
                self.wrong(Check::Cache, format!("{key}: {hash:?}, but the newest is {newest:?}"));
            }
        }
    }

    /// Where nothing goes wrong every record is counted once, under its own fate.
    fn totals(&mut self) {
        if !self.seen.calm || !self.workload.deadly().is_empty() {
            return;
        }
        let with =
            |is: fn(Fate) -> bool| self.workload.records.iter().filter(|sent| is(sent.fate)).count() as u64;
        let expected = (
            with(|fate| fate == Fate::Written),
            with(|fate| matches!(fate, Fate::Rejected(..) | Fate::Refused)),
            with(|fate| fate == Fate::Filtered),
        );
        let rows = self.seen.outcomes.iter().flatten().flat_map(|outcome| &outcome.ledger);
        let counted = rows.fold((0, 0, 0), |(written, rejected, filtered), row| {
            (written + row.written, rejected + row.dead_lettered, filtered + row.filtered)
        });
        if counted != expected {
            self.wrong(
                Check::Ledger,
                format!("written, rejected, filtered: {counted:?}, but it was {expected:?}"),
            );
        }
    }

    fn drained(&mut self) {
        for outcome in &self.seen.outcomes {
            match outcome {
                Some(outcome) if outcome.exit_code == 0 && outcome.manifest.is_empty() => {}
                other => self.wrong(Check::Drain, format!("{other:?}")),
            }
        }
    }
}

/// Whether a key holds its newest value; one of a record that kills may be there or not.
fn is_newest(hash: Option<&Hash>, newest_first: &[(i64, u32, i64, &Sent)]) -> bool {
    let id = hash.and_then(|hash| {
        let (_, id) = hash.fields.iter().find(|(field, _)| field == "id")?;
        id.parse::<i64>().ok()
    });
    for (.., sent) in newest_first {
        if id == Some(sent.id) {
            return true;
        }
        if !matches!(sent.fate, Fate::Deadly(_)) {
            return false;
        }
    }
    id.is_none()
}
