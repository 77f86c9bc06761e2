//! Rows that broke a rule, the last few of each key, so that a verdict can be looked into.
//!
//! Invariant: bounded in rows and bytes, whatever the number of keys. That it is cheap however many rows are wrong is the
//! caller's part: a rule of a key gives a row once a second at most ([`EVERY_US`]).

use crate::json::rows::Rows;
use ahash::AHashMap;
use aqueduct_engine::quality::EvidenceView;
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows kept of one key.
const OF_KEY_MAX: usize = 5;
/// Rows kept altogether.
const ROWS_MAX: usize = 2_000;
/// The longest row kept whole, in bytes of its JSON.
const ROW_BYTES_MAX: usize = 2_048;
/// How often a rule of one key may give a row.
pub(super) const EVERY_US: i64 = 1_000_000;

struct Sample {
    key: Arc<[u8]>,
    at_us: i64,
    rule: &'static str,
    row: String,
}

/// See the module.
#[derive(Default)]
pub(super) struct Evidence {
    /// In the order they came.
    samples: VecDeque<Sample>,
    /// How many of each key are among them.
    of_key: AHashMap<Arc<[u8]>, usize>,
}

impl Evidence {
    /// Takes the row that broke `rule` at `at_us` by the wall's clock.
    pub(super) fn take(&mut self, key: &[u8], rule: &'static str, at_us: i64, (rows, row): (&Rows, usize)) {
        let kept = self.of_key.get_key_value(key).map(|(key, count)| (key.clone(), *count));
        let (key, count) = kept.unwrap_or_else(|| (key.into(), 0));
        if count >= OF_KEY_MAX {
            let first = self.samples.iter().position(|sample| sample.key == key);
            first.into_iter().for_each(|first| self.remove(first));
        } else if self.samples.len() >= ROWS_MAX {
            self.remove(0);
        }
        let mut text = Vec::new();
        rows.write(row, &mut text);
        text.truncate(ROW_BYTES_MAX);
        *self.of_key.entry(key.clone()).or_default() += 1;
        let row = String::from_utf8_lossy(&text).into_owned();
        self.samples.push_back(Sample { key, at_us, rule, row });
    }

    fn remove(&mut self, index: usize) {
        let Some(sample) = self.samples.remove(index) else { return };
        if let Some(count) = self.of_key.get_mut(&sample.key) {
            *count -= 1;
            if *count == 0 {
                self.of_key.remove(&sample.key);
            }
        }
    }

    /// What there is of `key`, newest first. What is not JSON any more, because it was cut, is text.
    pub(super) fn of(&self, key: &[u8]) -> Vec<EvidenceView> {
        if !self.of_key.contains_key(key) {
            return Vec::new();
        }
        let view = |sample: &Sample| EvidenceView {
            at_us: sample.at_us,
            rule: sample.rule,
            row: serde_json::from_str(&sample.row).unwrap_or_else(|_| sample.row.clone().into()),
        };
        self.samples.iter().rev().filter(|sample| *sample.key == *key).map(view).collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }
}
