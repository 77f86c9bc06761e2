//! Rows whose event is older than one that came before.

use super::super::windowed::{Window, Windowed};
use super::{Figure, Finding, OUT_OF_ORDER, used_share};

/// The newest event, and how many came behind it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Order {
    newest_us: Option<i64>,
    behind: Windowed<u32>,
}

impl Order {
    pub(super) fn observe(&mut self, window: Window, now_us: i64, event_us: i64) -> bool {
        let behind = self.newest_us.is_some_and(|newest| event_us < newest);
        self.newest_us = self.newest_us.max(Some(event_us));
        if behind {
            self.behind.add(window, now_us, 1);
        }
        behind
    }

    pub(super) fn judge(&self, window: Window, now_us: i64, limit: f64, rows: (u64, bool)) -> Finding {
        let count = self.behind.sum(window, now_us);
        let figure = Figure::OutOfOrder { count, of: rows.0 };
        Finding { rule: OUT_OF_ORDER, used: used_share(count, rows, limit), count, figure }
    }
}
