//! The rate of the window beside the key's usual one: a mean over the windows before, in which the newer weigh more.

use super::{Figure, Finding, RATE};

/// What one more window weighs in the mean.
const WEIGHT: f64 = 0.1;
/// So many windows must have passed before there is something usual.
const WINDOWS_MIN: u32 = 6;

/// The usual rate, in rows of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    usual: f64,
    windows: u32,
    /// When the window that is measured began.
    since_us: i64,
}

impl Rate {
    pub(super) fn at(now_us: i64) -> Self {
        Self { since_us: now_us, ..Self::default() }
    }

    pub(super) fn judge(
        &mut self,
        (now_us, window_us): (i64, i64),
        rows: u64,
        limit: f64,
        rows_min: u64,
    ) -> Finding {
        let known = self.windows >= WINDOWS_MIN && self.usual >= rows_min as f64;
        let share = if known { rows as f64 / self.usual } else { 1.0 };
        if now_us - self.since_us >= window_us {
            self.take(rows as f64);
            self.since_us = now_us;
        }
        let used = ((1.0 - share) / (1.0 - limit)).max(0.0);
        Finding { rule: RATE, used, count: u64::from(used >= 1.0), figure: Figure::Rate { share } }
    }

    fn take(&mut self, rows: f64) {
        // At first a plain mean, so that the first window does not weigh for ever.
        let weight = WEIGHT.max(1.0 / (f64::from(self.windows) + 1.0));
        self.usual += (rows - self.usual) * weight;
        self.windows = self.windows.saturating_add(1);
    }
}
