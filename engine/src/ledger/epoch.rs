//! One partition under one claim: its ranges, in the order of reading, and its counts.
//!
//! Invariant: `in_flight` is counted from the ranges that are not decided, never as a difference. So what a sink loses
//! shows: it is in no column, hence `unaccounted`.

use super::range::Range;
use super::{Counts, SinkIndex};
use crate::limits::LEDGER_PASSED_RANGES_MAX;
use crate::planted::{Bug, planted};
use std::collections::{BTreeMap, VecDeque};
use std::ops;
use std::sync::Arc;

/// A sink as seen from one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) sink: SinkIndex,
    /// Its settlement is needed to decide a fate.
    pub(super) deciding: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct EpochLedger {
    counts: Counts,
    sinks: Vec<Place>,
    /// How many of `sinks` are deciding.
    deciding: usize,
    /// What somebody still waits for, ascending.
    ranges: VecDeque<Range>,
    /// Rejected before they were read, and by whom.
    early: BTreeMap<i64, Vec<Arc<str>>>,
    /// One past the last offset read.
    end: Option<i64>,
    /// Ranges not decided and not passed.
    open: usize,
    /// Ranges that a deciding sink has passed, kept in case it comes back to them.
    passed: usize,
}

impl EpochLedger {
    pub(super) fn new(sinks: Vec<Place>) -> Self {
        let deciding = sinks.iter().filter(|place| place.deciding).count();
        let counts = Counts::default();
        let (ranges, early) = (VecDeque::new(), BTreeMap::new());
        Self { counts, sinks, deciding, ranges, early, end: None, open: 0, passed: 0 }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// One past the last offset read.
    pub(super) fn end(&self) -> Option<i64> {
        self.end
    }

    /// The source hands on `records` records in `first..next`, all beyond what it handed on before.
    pub(super) fn read(&mut self, first: i64, next: i64, records: u64) {
        assert!(self.end.is_none_or(|end| end <= first), "offsets are read once in an epoch");
        self.end = Some(next);
        if first == next {
            return;
        }
        let mut range = Range::new(first, next, records, self.sinks.len());
        for (offset, actors) in take_range(&mut self.early, first, next) {
            actors.iter().for_each(|actor| range.reject(offset, actor));
        }
        self.counts.read += records;
        self.counts.in_flight += records;
        self.open += 1;
        self.ranges.push_back(range);
    }

    /// The log no longer has `count` records.
    pub(super) fn skip(&mut self, count: u64) {
        self.counts.read += count;
        self.counts.skipped += count;
    }

    /// `sink` has settled `first..next`, in which `written` are the offsets of its rows.
    pub(super) fn settled(&mut self, sink: SinkIndex, first: i64, next: i64, written: &[i64]) {
        let alone = self.deciding == 1;
        let settled = self.each(sink, first, next, |range, deciding| {
            if deciding {
                range.write(written, alone && first <= range.first && range.next <= next);
            }
        });
        if let Some((index, start)) = settled {
            self.pass(index, start);
        }
        self.forget();
    }

    /// `sink` will never see `first..next`: its branch was full for too long.
    pub(super) fn passed_over(&mut self, sink: SinkIndex, first: i64, next: i64) {
        // It says nothing of what the sink was given before: that is still on its way.
        self.each(sink, first, next, |range, deciding| range.skipped |= deciding);
        self.forget();
    }

    /// The record at `offset` was rejected by `actor`, of a required branch.
    pub(super) fn dead_lettered(&mut self, offset: i64, actor: &Arc<str>) {
        if self.end.is_none_or(|end| offset >= end) {
            self.early.entry(offset).or_default().push(actor.clone());
            return;
        }
        let index = self.ranges.partition_point(|range| range.next <= offset);
        match self.ranges.get_mut(index) {
            Some(range) if range.pending && range.first <= offset => range.reject(offset, actor),
            // Decided long ago, and said again by a redelivery.
            _ => {}
        }
    }

    /// The letters of the records in `offsets` whose fate is not decided.
    pub(super) fn letters(&self, offsets: ops::Range<i64>) -> Vec<(i64, Arc<str>)> {
        let start = self.ranges.partition_point(|range| range.next <= offsets.start);
        let within = self.ranges.range(start..).take_while(|range| range.first < offsets.end);
        within.flat_map(|range| range.letters(&offsets)).cloned().collect()
    }

    /// How many ranges somebody waits for, or might come back to.
    #[cfg(test)]
    pub(super) fn ranges_kept(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing waits for the deciding sinks.
    pub(super) fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// Whether nothing waits for any sink.
    pub(super) fn is_idle_everywhere(&self) -> bool {
        let waits = |range: &Range| {
            let owed = |(index, place): (usize, &Place)| !place.deciding && !range.is_settled_by(index);
            self.sinks.iter().enumerate().any(owed)
        };
        self.open == 0 && !self.ranges.iter().any(waits)
    }

    /// The sinks and how far each has settled without a gap.
    pub(super) fn positions(&self) -> impl Iterator<Item = (SinkIndex, i64)> {
        self.sinks.iter().enumerate().filter_map(|(index, place)| {
            let first_open = self.ranges.iter().find(|range| !range.is_settled_by(index));
            Some((place.sink, first_open.map(|range| range.settled_to(index)).or(self.end)?))
        })
    }

    /// The final counts, without what is not decided: that will be read again under the next claim, here or elsewhere.
    pub(super) fn release(mut self) -> Counts {
        self.counts.read -= std::mem::take(&mut self.counts.in_flight);
        self.counts
    }

    /// Settles `first..next` for one sink; `note` is told each range that is not decided yet, and whether this sink has
    /// a say in it. Gives its place among the sinks and the first range touched, if any was.
    fn each(
        &mut self,
        sink: SinkIndex,
        first: i64,
        next: i64,
        mut note: impl FnMut(&mut Range, bool),
    ) -> Option<(usize, usize)> {
        let index = self.sinks.iter().position(|place| place.sink == sink)?;
        let deciding = self.sinks[index].deciding;
        let start = self.ranges.partition_point(|range| range.next <= first);
        let end = self.ranges.partition_point(|range| range.first < next);
        for at in start..end {
            let range = &mut self.ranges[at];
            if range.pending {
                note(range, deciding);
            }
            range.settle(index, first, next);
            if deciding && range.pending {
                self.decide(at);
            }
        }
        (start < end).then_some((index, start))
    }

    /// Decides a range if every deciding sink has settled it.
    fn decide(&mut self, at: usize) {
        let range = &mut self.ranges[at];
        let mut deciding = self.sinks.iter().enumerate().filter(|(_, place)| place.deciding);
        let first_of_them = planted(Bug::DecidesAtTheFirst);
        if !deciding.all(|(index, _)| range.is_settled_by(index)) && !first_of_them {
            return;
        }
        if std::mem::take(&mut range.passed) {
            self.passed -= 1;
        } else {
            self.open -= 1;
            self.counts.in_flight -= range.records;
        }
        let fates = range.decide();
        self.counts.written += fates.written;
        self.counts.dead_lettered += fates.dead_lettered;
        self.counts.filtered += fates.filtered;
        self.counts.skipped += fates.skipped;
    }

    /// Sinks settle in order: what lies before the `start`th range and is not settled, this one has passed.
    fn pass(&mut self, index: usize, start: usize) {
        let deciding = self.sinks[index].deciding;
        for range in self.ranges.range_mut(..start).rev() {
            if range.passed || range.is_settled_by(index) {
                break;
            }
            if !deciding {
                // A best-effort sink owes nothing.
                range.settle(index, range.first, range.next);
            } else if range.pending {
                range.passed = true;
                self.passed += 1;
                self.open -= 1;
                self.counts.in_flight -= range.records;
            }
        }
    }

    /// Forgets the first ranges as long as nobody waits for them.
    fn forget(&mut self) {
        while let Some(range) = self.ranges.front() {
            let done = !range.pending && (0..self.sinks.len()).all(|index| range.is_settled_by(index));
            let lost = range.passed && self.passed > LEDGER_PASSED_RANGES_MAX;
            if !done && !lost {
                return;
            }
            self.passed -= usize::from(range.passed);
            self.ranges.pop_front();
        }
    }
}

/// Takes the offsets in `first..next` out of the map.
fn take_range<T>(map: &mut BTreeMap<i64, T>, first: i64, next: i64) -> BTreeMap<i64, T> {
    if map.is_empty() {
        return BTreeMap::new();
    }
    let mut taken = map.split_off(&first);
    map.append(&mut taken.split_off(&next));
    taken
}
