//! What came of the reloads that were asked for, for metrics. Kept by the registry; who answers a reload counts it, since a
//! file that cannot be read never gets as far as the conductor.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How a reload that was asked for ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// What the file says is at work.
    Applied,
    /// Nothing was replaced.
    Refused,
    /// It was done and taken back.
    RolledBack,
}

impl ReloadOutcome {
    /// Every outcome with the word used in metrics.
    pub const WORDS: [(ReloadOutcome, &'static str); 3] = [
        (ReloadOutcome::Applied, "applied"),
        (ReloadOutcome::Refused, "refused"),
        (ReloadOutcome::RolledBack, "rolled_back"),
    ];
}

/// Counts by outcome, and the last of them. Shared.
#[derive(Debug, Default)]
pub struct ReloadTally {
    counts: [AtomicU64; 3],
    /// 0 before the first, else the outcome's place and one.
    last: AtomicUsize,
}

impl ReloadTally {
    /// One ended so.
    pub fn count(&self, outcome: ReloadOutcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.last.store(outcome as usize + 1, Ordering::Relaxed);
    }

    /// How many ended so.
    pub fn of(&self, outcome: ReloadOutcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Whether nobody has asked for anything that is not at work.
    pub fn is_applied(&self) -> bool {
        self.last.load(Ordering::Relaxed) <= ReloadOutcome::Applied as usize + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_outcome_says_whether_the_file_is_at_work() {
        let tally = ReloadTally::default();
        assert!(tally.is_applied(), "nobody asked");
        for (outcome, applied) in [
            (ReloadOutcome::Refused, false),
            (ReloadOutcome::Applied, true),
            (ReloadOutcome::RolledBack, false),
            (ReloadOutcome::Refused, false),
        ] {
            tally.count(outcome);
            assert_eq!(tally.is_applied(), applied, "{outcome:?}");
        }
        assert_eq!(ReloadOutcome::WORDS.map(|(outcome, _)| tally.of(outcome)), [1, 2, 1]);
    }
}
