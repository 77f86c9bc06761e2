//! A value that stays the same though rows come. A silence is not that: it is stale.

use super::{FROZEN, Figure, Finding, micros};
use aqueduct_topology::model::FrozenRule;

/// Since when it is the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frozen {
    value: Option<u64>,
    rows: u32,
    since_us: i64,
    last_us: i64,
}

impl Frozen {
    pub(super) fn observe(&mut self, now_us: i64, rule: &FrozenRule, value: u64) -> bool {
        if self.value != Some(value) {
            *self = Self { value: Some(value), rows: 1, since_us: now_us, last_us: now_us };
            return false;
        }
        self.rows = self.rows.saturating_add(1);
        self.last_us = now_us;
        self.used(rule) >= 1.0
    }

    fn used(&self, rule: &FrozenRule) -> f64 {
        let rows = rule.rows.map_or(0.0, |limit| f64::from(self.rows) / f64::from(limit.max(1)));
        let us = (self.last_us - self.since_us) as f64;
        let lasting = rule.lasting.map_or(0.0, |limit| us / micros(limit).max(1) as f64);
        rows.max(lasting)
    }

    pub(super) fn judge(&self, rule: &FrozenRule) -> Finding {
        let used = self.used(rule);
        let figure = Figure::Same { rows: self.rows.into(), us: self.last_us - self.since_us };
        Finding { rule: FROZEN, used, count: u64::from(used >= 1.0), figure }
    }
}
