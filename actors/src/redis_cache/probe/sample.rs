//! Whether a cache is as new as the table beside it, on a sample of keys: those of the newest rows, and those of rows
//! from some random time of what should still be there.
//!
//! The table has a row a moment before Redis has it, so a key that is missing or behind is looked at once more before it
//! counts: drift is what stays.

use crate::redis_cache::counterpart::{Counterpart, Standing};
use crate::redis_cache::pending::Entry;
use aqueduct_engine::Error;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rows of each half of a sample.
pub const SAMPLE_ROWS: usize = 256;
/// How long a key may be behind the table before it has drifted.
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(2);
/// Keys that are named to people.
const KEYS_NAMED_MAX: usize = 5;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Sample {
    /// Keys compared.
    pub keys: u64,
    /// Those that Redis does not have.
    pub missing: u64,
    /// Those that have an older value than the table.
    pub behind: u64,
    /// Those that something else than this cache holds.
    pub refused: u64,
    /// The most that one of them is behind, in seconds of event time.
    pub behind_seconds_max: f64,
    /// Some of the keys that are missing or behind.
    pub named: Vec<String>,
}

impl Sample {
    /// Keys that do not have what the table has.
    pub fn drifted(&self) -> u64 {
        self.missing + self.behind + self.refused
    }

    fn enter(&mut self, key: &str, standing: &Standing) {
        match standing {
            Standing::AsNew => return,
            Standing::Missing => self.missing += 1,
            Standing::Refused(_) => self.refused += 1,
            Standing::Behind { by_us } => {
                self.behind += 1;
                self.behind_seconds_max = self.behind_seconds_max.max(*by_us as f64 / 1e6);
            }
        }
        if self.named.len() < KEYS_NAMED_MAX {
            self.named.push(key.to_owned());
        }
    }
}

/// Compares at most `rows_max` rows of each half. `None`: the table is empty, or its rows have no event time.
pub(super) async fn take(
    counterpart: &Counterpart,
    rows_max: usize,
    chance: impl FnOnce(i64, i64) -> i64,
) -> Result<Option<Sample>, Error> {
    let Counterpart { table, clock, .. } = counterpart;
    let Some((oldest_us, newest_us)) = table.span_us(clock).await? else { return Ok(None) };
    let mut wanted: BTreeMap<Arc<str>, Entry> = BTreeMap::new();
    for before_us in [i64::MAX, chance(oldest_us, newest_us).saturating_add(1)] {
        let Some(batch) = table.sample(before_us, rows_max).await? else { continue };
        for (key, entry) in counterpart.wanted(&batch)?.entries {
            let kept = wanted.entry(key).or_insert_with(|| entry.clone());
            if kept.order < entry.order {
                *kept = entry;
            }
        }
    }
    let mut sample = Sample { keys: wanted.len() as u64, ..Sample::default() };
    let wanted: Vec<_> = wanted.into_iter().collect();
    let standings = counterpart.compare(&wanted).await?;
    let pairs = wanted.into_iter().zip(standings);
    let mut doubted: Vec<_> =
        pairs.filter(|(_, standing)| *standing != Standing::AsNew).map(|(entry, _)| entry).collect();
    if !doubted.is_empty() {
        clock.sleep(SECOND_LOOK_AFTER).await;
        let now_ms = clock.wall_us().div_euclid(1000);
        doubted.retain(|(_, entry)| entry.expires_at_ms.is_none_or(|at| at > now_ms));
        for ((key, _), standing) in doubted.iter().zip(counterpart.compare(&doubted).await?) {
            sample.enter(key, &standing);
        }
    }
    Ok(Some(sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drifted_is_counted_by_how_and_named_up_to_a_bound() {
        let mut sample = Sample::default();
        sample.enter("a", &Standing::AsNew);
        sample.enter("b", &Standing::Missing);
        sample.enter("c", &Standing::Behind { by_us: 1_500_000 });
        sample.enter("d", &Standing::Behind { by_us: 500_000 });
        sample.enter("e", &Standing::Refused("WRONGTYPE".to_owned()));
        for _ in 0..10 {
            sample.enter("f", &Standing::Missing);
        }
        assert_eq!((sample.missing, sample.behind, sample.refused), (11, 2, 1));
        assert_eq!(sample.drifted(), 14);
        assert_eq!(sample.behind_seconds_max, 1.5);
        assert_eq!(sample.named, ["b", "c", "d", "e", "f"]);
    }
}
