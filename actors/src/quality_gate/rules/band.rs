//! A value far from the median of those before it. A median does not follow a single wrong value, as a mean would; it does
//! follow a market that has moved, once half of what it is made of has.

use super::super::windowed::{Window, Windowed};
use super::{BAND, Figure, Finding};
use aqueduct_topology::model::BandRule;

/// So many values must be known before one is judged by them.
const VALUES_MIN: usize = 8;

/// The newest values.
#[derive(Clone, Debug, Default)]
pub(super) struct Band {
    /// In the order they came, a ring from `next` on.
    values: Vec<f64>,
    next: usize,
    /// The same, ascending.
    sorted: Vec<f64>,
    farthest: Windowed<f32>,
    outside: Windowed<u32>,
}

impl Band {
    pub(super) fn observe(&mut self, window: Window, now_us: i64, rule: &BandRule, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        let distance = self.distance(value);
        self.take(value, rule.median_of as usize);
        let Some(distance) = distance else { return false };
        self.farthest.raise(window, now_us, distance as f32);
        let outside = distance > rule.within;
        if outside {
            self.outside.add(window, now_us, 1);
        }
        outside
    }

    /// From the median, as a share of it.
    fn distance(&self, value: f64) -> Option<f64> {
        if self.sorted.len() < VALUES_MIN {
            return None;
        }
        let median = self.sorted[self.sorted.len() / 2];
        (median != 0.0).then(|| ((value - median) / median).abs())
    }

    fn take(&mut self, value: f64, most: usize) {
        if self.values.len() < most {
            self.values.push(value);
        } else {
            let oldest = std::mem::replace(&mut self.values[self.next], value);
            let at = self.sorted.partition_point(|kept| kept.total_cmp(&oldest).is_lt());
            self.sorted.remove(at);
        }
        self.next = (self.next + 1) % most;
        let at = self.sorted.partition_point(|kept| kept.total_cmp(&value).is_lt());
        self.sorted.insert(at, value);
    }

    pub(super) fn judge(&self, window: Window, now_us: i64, rule: &BandRule) -> Finding {
        let farthest = f64::from(self.farthest.max(window, now_us));
        let count = self.outside.sum(window, now_us);
        let used = farthest / rule.within;
        // What is just at the limit is within it, whatever was lost in the narrower number.
        let used = if count == 0 { used.min(MOST_WITHIN) } else { used.max(1.0) };
        Finding { rule: BAND, used, count, figure: Figure::Distance(farthest) }
    }
}

/// Nearly all of a limit.
const MOST_WITHIN: f64 = 0.999;
