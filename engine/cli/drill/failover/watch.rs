//! How far the rows of each partition are on one server, as time goes by.

use crate::drill::stage::wait;
use anyhow::{Context, Result};
use aqueduct_engine::clock::{Clock, Instant};
use aqueduct_stack::Reader;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What a reader of the database sees: the offsets are those of the rows, for they are moved in the same transaction.
const PROGRESS: &str = "\
    SELECT coalesce(string_agg(partition::text || ':' || next_offset::text, ',' ORDER BY partition), '') \
    FROM aqueduct.offsets WHERE sink = 'history'";

/// The next offset of each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets(BTreeMap<i32, i64>);

impl Offsets {
    /// What a server holds now.
    pub(super) fn read(reader: &Reader) -> Result<Self> {
        let text = reader.text(PROGRESS)?.unwrap_or_default();
        Self::parse(&text).with_context(|| format!("`{text}` is no list of offsets"))
    }

    fn parse(text: &str) -> Option<Self> {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (partition, next) = pair.split_once(':')?;
            Some((partition.parse().ok()?, next.parse().ok()?))
        };
        pairs.map(pair).collect::<Option<_>>().map(Self)
    }

    /// How many records are written in all.
    pub(super) fn total(&self) -> i64 {
        self.0.values().sum()
    }

    /// How many of these records another server does not have.
    pub(super) fn lacking(&self, other: &Self) -> i64 {
        let had = |partition| other.0.get(partition).copied().unwrap_or(0);
        self.0.iter().map(|(partition, next)| (next - had(partition)).max(0)).sum()
    }

    /// Whether every partition is further than it was.
    fn passed(&self, former: &Self) -> bool {
        former.0.iter().all(|(partition, was)| self.0.get(partition).is_some_and(|next| next > was))
    }
}

/// A change, and when it was seen.
#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    offsets: Offsets,
}

/// Watches a server until it is dropped; while that is silent, nothing changes.
pub(super) struct Watch {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    pub(super) fn start(reader: Reader) -> Self {
        let watch = Self { samples: Arc::default(), stop: Arc::default() };
        let (samples, stop) = (watch.samples.clone(), watch.stop.clone());
        std::thread::spawn(move || {
            let clock = Clock::system();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(offsets) = Offsets::read(&reader) {
                    let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
                    if samples.last().is_none_or(|last| last.offsets != offsets) {
                        samples.push(Sample { at: clock.now(), offsets });
                    }
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        watch
    }

    /// What was seen last.
    pub(super) fn last(&self) -> Offsets {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.last().map(|sample| sample.offsets.clone()).unwrap_or_default()
    }

    /// Waits until so many records are written.
    pub(super) fn await_total(&self, count: i64, longest: Duration) -> Result<()> {
        let come = wait(longest, || Ok((self.last().total() >= count).then_some(())))?;
        come.with_context(|| {
            format!("{} of {count} records were written after {longest:?}", self.last().total())
        })
    }

    /// Waits until every partition is further than `former`; seconds after `began`.
    pub(super) fn await_all(&self, former: &Offsets, began: Instant, longest: Duration) -> Result<f64> {
        let first = || {
            let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
            let found = samples.iter().find(|sample| sample.at > began && sample.offsets.passed(former));
            Ok(found.map(|sample| sample.at.duration_since(began).as_secs_f64()))
        };
        wait(longest, first)?.with_context(|| format!("not every partition had new rows after {longest:?}"))
    }

    /// When something changed, seconds after `began`.
    pub(super) fn changes_since(&self, began: Instant) -> Vec<f64> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let later = samples.iter().filter(|sample| sample.at > began);
        later.map(|sample| sample.at.duration_since(began).as_secs_f64()).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// How long no new row was to be seen, from the loss at 0 until rows came and kept coming: the end of the last standstill
/// that was longer than `still`, or the first change if there was none. `None`: nothing changed.
pub(super) fn outage(changes: &[f64], still: f64) -> Option<f64> {
    let first = *changes.first()?;
    let befores = std::iter::once(0.0).chain(changes.iter().copied());
    let ends = befores.zip(changes).filter(|(before, at)| *at - before > still).map(|(_, at)| *at);
    Some(ends.last().unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(text: &str) -> Offsets {
        Offsets::parse(text).expect(text)
    }

    #[test]
    fn what_a_server_lacks_is_counted_by_partition() {
        let primary = offsets("0:10,1:5,3:7");
        assert_eq!(primary.total(), 22);
        assert_eq!(primary.lacking(&offsets("0:10,1:9,3:7")), 0, "one that is ahead makes up for nobody");
        assert_eq!(primary.lacking(&offsets("0:4,1:9")), 6 + 7);
        assert_eq!(offsets(""), Offsets::default());
        assert!(Offsets::parse("0:ten").is_none() && Offsets::parse("0").is_none());
    }

    #[test]
    fn a_takeover_is_done_when_no_partition_is_where_it_was() {
        let before = offsets("0:10,1:5");
        assert!(!offsets("0:11,1:5").passed(&before) && !offsets("0:99").passed(&before));
        assert!(offsets("0:11,1:6").passed(&before));
    }

    #[test]
    fn an_outage_ends_when_rows_keep_coming() {
        assert_eq!(outage(&[4.0, 4.1, 4.2], 1.0), Some(4.0));
        // What was on its way when the region was lost is no recovery, nor is a row between two standstills.
        assert_eq!(outage(&[0.1, 5.0, 5.1, 9.0, 9.1], 1.0), Some(9.0));
        assert_eq!(outage(&[0.2, 0.9], 1.0), Some(0.2));
        assert_eq!(outage(&[], 1.0), None);
    }
}
