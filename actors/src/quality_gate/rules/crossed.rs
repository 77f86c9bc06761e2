//! A bid that is not below the ask: crossed, or locked. A quote that stands so is wrong for as long as it stands.

use super::super::windowed::{Window, Windowed};
use super::{CROSSED, Figure, Finding};
use aqueduct_topology::model::CrossedRule;

/// How often it was so, and whether it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Crossed {
    counted: Windowed<u32>,
    now: bool,
}

impl Crossed {
    pub(super) fn observe(&mut self, window: Window, now_us: i64, bid: f64, ask: f64) -> bool {
        self.now = bid >= ask;
        if self.now {
            self.counted.add(window, now_us, 1);
        }
        self.now
    }

    pub(super) fn judge(&self, window: Window, now_us: i64, rule: &CrossedRule) -> Finding {
        let count = self.counted.sum(window, now_us);
        let counted = count as f64 / f64::from(rule.limit.max(1));
        let used = if self.now && rule.limit == 1 { counted.max(1.0) } else { counted };
        Finding { rule: CROSSED, used, count, figure: Figure::Crossed { count, now: self.now } }
    }
}
