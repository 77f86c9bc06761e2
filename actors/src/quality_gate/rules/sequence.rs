//! A number that should rise by one from row to row: what it leaves out (`gap`), and where it does not rise (`repeat`).
//!
//! What the gate itself was not given is no fault of the venue: after a hole of its own making (another run) a sequence is
//! taken up where it is. A venue that begins its numbers anew is followed after a few rows.

use super::super::windowed::{Window, Windowed};
use super::{Figure, Finding, GAP, REPEAT};
use aqueduct_topology::model::CountRule;

/// So many rows in succession below the greatest number: the sequence has begun anew.
const BEGUN_ANEW_ROWS: u32 = 8;

/// Where a sequence is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sequence {
    /// The greatest number, and the run it was seen in.
    last: Option<(i64, u32)>,
    /// Rows in succession that were not above it.
    below: u32,
    counted: Windowed<u32>,
}

/// Where a number stands to those before it.
enum Step {
    /// Nothing is known of what came before.
    First,
    /// Above the greatest; so many were left out between.
    Above(u64),
    NotAbove,
}

impl Sequence {
    fn step(&mut self, (number, run): (i64, u32)) -> Step {
        let step = match self.last {
            Some((last, known)) if known == run && number > last => {
                Step::Above((i128::from(number) - i128::from(last) - 1) as u64)
            }
            Some((_, known)) if known == run && self.below + 1 < BEGUN_ANEW_ROWS => {
                self.below += 1;
                return Step::NotAbove;
            }
            Some((_, known)) if known == run => Step::NotAbove,
            _ => Step::First,
        };
        (self.last, self.below) = (Some((number, run)), 0);
        step
    }

    /// Whether numbers were left out before this one.
    pub(super) fn left_out(&mut self, window: Window, now_us: i64, at: (i64, u32)) -> bool {
        let Step::Above(missing @ 1..) = self.step(at) else { return false };
        self.counted.add(window, now_us, u32::try_from(missing).unwrap_or(u32::MAX));
        true
    }

    /// Whether the number does not rise.
    pub(super) fn went_back(&mut self, window: Window, now_us: i64, at: (i64, u32)) -> bool {
        let Step::NotAbove = self.step(at) else { return false };
        self.counted.add(window, now_us, 1);
        true
    }

    pub(super) fn judge_gap(&self, window: Window, now_us: i64, rule: &CountRule) -> Finding {
        let count = self.counted.sum(window, now_us);
        Finding { rule: GAP, used: used(count, rule), count, figure: Figure::Missing(count) }
    }

    pub(super) fn judge_repeat(&self, window: Window, now_us: i64, rule: &CountRule) -> Finding {
        let count = self.counted.sum(window, now_us);
        Finding { rule: REPEAT, used: used(count, rule), count, figure: Figure::Repeated(count) }
    }
}

fn used(count: u64, rule: &CountRule) -> f64 {
    count as f64 / f64::from(rule.limit.max(1))
}
