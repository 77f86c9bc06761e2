//! Nothing came for too long, by the gate's own clock: what an event says of its time does not keep a key alive.

use super::{Figure, Finding, STALE};

/// When a row last came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stale {
    last_us: i64,
}

impl Stale {
    pub(super) fn at(now_us: i64) -> Self {
        Self { last_us: now_us }
    }

    pub(super) fn observe(&mut self, now_us: i64) {
        self.last_us = now_us;
    }

    pub(super) fn judge(&self, now_us: i64, limit_us: i64) -> Finding {
        let us = (now_us - self.last_us).max(0);
        let used = us as f64 / limit_us.max(1) as f64;
        Finding { rule: STALE, used, count: u64::from(used >= 1.0), figure: Figure::Silence { us } }
    }
}
