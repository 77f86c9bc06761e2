//! One range of offsets the source handed on, until every sink has settled it.
//!
//! Invariant: it is decided once, when every deciding sink has settled the whole of it; afterwards it only waits for the
//! others.

use super::spans::Spans;
use std::collections::BTreeSet;
use std::ops;
use std::sync::Arc;

/// Which offsets of a range, by a bit each; nothing is allocated until one is set.
#[derive(Debug, Default)]
struct Marks {
    bits: Vec<u64>,
    count: u64,
}

impl Marks {
    /// Marks `offsets` in the range of `length` offsets that begins at `first`. Fast where they ascend.
    fn mark(&mut self, first: i64, length: usize, offsets: &[i64]) {
        if self.bits.is_empty() {
            self.bits.resize(length.div_ceil(64), 0);
        }
        let (mut word, mut bits) = (0, 0);
        for &offset in offsets {
            let index = (offset - first) as usize;
            if index / 64 != word {
                self.set(word, bits);
                (word, bits) = (index / 64, 0);
            }
            bits |= 1u64 << (index % 64);
        }
        self.set(word, bits);
    }

    fn set(&mut self, word: usize, bits: u64) {
        self.count += u64::from((bits & !self.bits[word]).count_ones());
        self.bits[word] |= bits;
    }

    /// How many are marked here and not in `other`.
    fn count_without(&self, other: &Self) -> u64 {
        if other.count == 0 {
            return self.count;
        }
        let shared =
            self.bits.iter().zip(&other.bits).map(|(a, b)| u64::from((a & b).count_ones())).sum::<u64>();
        self.count - shared
    }
}

/// The fates of a range's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fates {
    pub(super) written: u64,
    pub(super) dead_lettered: u64,
    pub(super) filtered: u64,
    pub(super) skipped: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) first: i64,
    pub(super) next: i64,
    pub(super) records: u64,
    /// Not decided yet.
    pub(super) pending: bool,
    /// A deciding sink went on without settling all of it.
    pub(super) passed: bool,
    /// A deciding branch was full for too long and did not get it.
    pub(super) skipped: bool,
    /// What each sink has settled of it, in the order of the epoch's sinks.
    settled: Box<[Spans]>,
    written: Marks,
    rejected: Marks,
    /// Who has rejected what: the letters without which these records would be nowhere.
    letters: BTreeSet<(i64, Arc<str>)>,
    /// Counted instead of marked, where one settlement decides.
    written_at_once: u64,
}

impl Range {
    pub(super) fn new(first: i64, next: i64, records: u64, sinks: usize) -> Self {
        Self {
            first,
            next,
            records,
            pending: true,
            passed: false,
            skipped: false,
            settled: vec![Spans::default(); sinks].into(),
            written: Marks::default(),
            rejected: Marks::default(),
            letters: BTreeSet::new(),
            written_at_once: 0,
        }
    }

    /// Sink number `sink` has settled what of `first..next` lies within.
    pub(super) fn settle(&mut self, sink: usize, first: i64, next: i64) {
        self.settled[sink].add(first.max(self.first), next.min(self.next));
    }

    /// Whether sink number `sink` has settled all of it.
    pub(super) fn is_settled_by(&self, sink: usize) -> bool {
        self.settled[sink].covers(self.first, self.next)
    }

    /// How far sink number `sink` has settled it without a gap.
    pub(super) fn settled_to(&self, sink: usize) -> i64 {
        self.settled[sink].reached_from(self.first)
    }

    /// Rows of these messages (ascending, repeats allowed, some perhaps outside) are durable. `at_once`: this
    /// settlement is the first and decides the whole range.
    pub(super) fn write(&mut self, offsets: &[i64], at_once: bool) {
        let start = offsets.partition_point(|&offset| offset < self.first);
        let end = start + offsets[start..].partition_point(|&offset| offset < self.next);
        let offsets = &offsets[start..end];
        if at_once && self.written.count == 0 && self.rejected.count == 0 {
            self.written_at_once = count_distinct(offsets);
            return;
        }
        self.written.mark(self.first, (self.next - self.first) as usize, offsets);
    }

    /// The message at `offset`, which lies within, was rejected by `actor`.
    pub(super) fn reject(&mut self, offset: i64, actor: &Arc<str>) {
        self.rejected.mark(self.first, (self.next - self.first) as usize, &[offset]);
        self.letters.insert((offset, actor.clone()));
    }

    /// The letters of the messages in `offsets`, until the range is decided.
    pub(super) fn letters(&self, offsets: &ops::Range<i64>) -> impl Iterator<Item = &(i64, Arc<str>)> {
        self.letters.iter().filter(|(offset, _)| offsets.contains(offset))
    }

    /// The fates, now that every deciding sink has settled it. Forgets what it needed to know them.
    pub(super) fn decide(&mut self) -> Fates {
        assert!(self.pending, "a range is decided once");
        self.pending = false;
        self.letters.clear();
        let (written, rejected) = (std::mem::take(&mut self.written), std::mem::take(&mut self.rejected));
        let dead_lettered = rejected.count;
        if self.skipped {
            return Fates {
                dead_lettered,
                skipped: self.records.saturating_sub(dead_lettered),
                ..Fates::default()
            };
        }
        let written = self.written_at_once + written.count_without(&rejected);
        // An offset that was never read would make the sum exceed `read`: that shows, as unaccounted.
        let filtered = self.records.saturating_sub(written + dead_lettered);
        Fates { written, dead_lettered, filtered, skipped: 0 }
    }
}

/// How many different values an ascending list holds.
fn count_distinct(ascending: &[i64]) -> u64 {
    // Wrapping, because a checked addition would keep the compiler from counting several at once.
    let steps =
        ascending.windows(2).fold(0u64, |steps, pair| steps.wrapping_add(u64::from(pair[0] != pair[1])));
    steps + u64::from(!ascending.is_empty())
}
