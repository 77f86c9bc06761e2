//! What a gate knows of one key.

use super::columns::KeyValue;
use super::evidence::EVERY_US;
use super::limits;
use super::partitions::Place;
use super::rules::{Finding, State};
use super::verdict::Verdict;
use std::sync::Arc;

/// See the module.
pub(super) struct Key {
    /// As it stands in the table.
    pub(super) bytes: Arc<[u8]>,
    pub(super) values: Arc<[KeyValue]>,
    /// The partition its newest row came from: who has that, speaks of it.
    pub(super) home: Place,
    /// Which rules it has.
    pub(super) limits: limits::Place,
    pub(super) state: State,
    /// The rules of a silence that are at their limit, a bit each.
    silent: u16,
    pub(super) verdict: Verdict,
    /// Since when it is that, by the wall's clock.
    pub(super) since_us: i64,
    /// When a row last came, by the same.
    pub(super) seen_us: i64,
    /// The second in which rules last gave evidence, and which of them have.
    sampled: (i64, u16),
}

impl Key {
    pub(super) fn new(
        bytes: Arc<[u8]>,
        values: Arc<[KeyValue]>,
        (home, wall_us): (Place, i64),
        (limits, state): (limits::Place, State),
    ) -> Self {
        Self {
            bytes,
            values,
            home,
            limits,
            state,
            silent: 0,
            // Nothing is said of it before the first beat, which judges it.
            verdict: Verdict::Halt,
            since_us: wall_us,
            seen_us: wall_us,
            sampled: (i64::MIN, 0),
        }
    }

    /// Notes what a rule of a silence says; whether its limit was reached just now.
    pub(super) fn fell_silent(&mut self, finding: &Finding) -> bool {
        let bit = 1 << finding.rule;
        let was = self.silent & bit != 0;
        let is = finding.used >= 1.0;
        self.silent = if is { self.silent | bit } else { self.silent & !bit };
        is && !was
    }

    /// Whether `rule` may give a row as evidence now.
    pub(super) fn may_sample(&mut self, rule: usize, now_us: i64) -> bool {
        let second = now_us.div_euclid(EVERY_US);
        if self.sampled.0 != second {
            self.sampled = (second, 0);
        }
        let bit = 1 << rule;
        let may = self.sampled.1 & bit == 0;
        self.sampled.1 |= bit;
        may
    }

    /// Its values as a label.
    pub(super) fn label(&self) -> String {
        let mut label = String::new();
        for (index, value) in self.values.iter().enumerate() {
            if index > 0 {
                label.push('/');
            }
            value.write_label(&mut label);
        }
        label
    }
}
