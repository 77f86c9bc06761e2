//! How many rows a tap may take of a batch now: so many a second, and few of one batch.
//!
//! Deliberately absent: clocks and rows. The caller passes `now`, so tests need no sleep.

use crate::clock::Instant;
use crate::limits::{TAP_LOOKS_PER_SECOND, TAP_ROWS_PER_BATCH_MAX};

/// See the module's page.
#[derive(Debug)]
pub(super) struct Sampler {
    rows: Allowance,
    /// Batches that may be searched for rows of a certain kind: none may match, and looking costs too.
    looks: Allowance,
}

/// Fills by so much a second, up to a second's worth.
#[derive(Debug)]
struct Allowance {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second, at: now }
    }

    fn fill(&mut self, now: Instant) -> usize {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.left, self.at) = ((self.left + filled).min(self.per_second), now);
        self.left as usize
    }
}

impl Sampler {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        Self { rows: Allowance::new(per_second, now), looks: Allowance::new(TAP_LOOKS_PER_SECOND, now) }
    }

    /// Rows that may be taken of a batch at `now`; `searching` spends a look, too.
    pub(super) fn allowance(&mut self, now: Instant, searching: bool) -> usize {
        let rows = self.rows.fill(now).min(TAP_ROWS_PER_BATCH_MAX);
        if rows == 0 || !searching {
            return rows;
        }
        if self.looks.fill(now) == 0 {
            return 0;
        }
        self.looks.left -= 1.0;
        rows
    }

    /// So many were taken.
    pub(super) fn took(&mut self, rows: usize) {
        self.rows.left = (self.rows.left - rows as f64).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use std::time::Duration;

    #[test]
    fn a_batch_gives_few_rows_and_a_second_no_more_than_was_asked() {
        let start = Clock::system().now();
        let mut sampler = Sampler::new(10, start);
        let mut taken = |after_ms| {
            let rows = sampler.allowance(start + Duration::from_millis(after_ms), false);
            sampler.took(rows);
            rows
        };
        assert_eq!(
            [taken(0), taken(0), taken(0), taken(100), taken(60_000), taken(60_000)],
            [8, 2, 0, 1, 8, 2]
        );
    }

    #[test]
    fn looking_in_vain_is_bounded_too() {
        let start = Clock::system().now();
        let mut sampler = Sampler::new(10, start);
        let looks = (0..10 * TAP_LOOKS_PER_SECOND).filter(|_| sampler.allowance(start, true) > 0).count();
        assert_eq!(looks, TAP_LOOKS_PER_SECOND as usize);
    }
}
