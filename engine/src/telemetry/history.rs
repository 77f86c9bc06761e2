//! How the last hour went: a ring of samples, one every [`HISTORY_STEP`], for the charts of the page.
//!
//! Invariant: the samples lie one step apart and never number more than [`HISTORY_SAMPLES_MAX`]; what was missed while
//! the thread was busy is a gap, not a neighbour. Deliberately absent: a disk; who needs yesterday scrapes `/metrics`.

use crate::clock::Instant;
use crate::ledger::Counts;
use crate::limits::{HISTORY_SAMPLES_MAX, HISTORY_STEP};
use crate::registry::Registry;
use crate::task::{self, Task};
use crate::telemetry::Settled;
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// What is sampled, in this order.
pub(super) const SERIES: [&str; 9] = [
    "read_per_second",
    "written_per_second",
    "dead_lettered_per_second",
    "in_flight_records",
    "lag_records",
    "lag_seconds",
    "link_fill_ratio_max",
    "restarts",
    "not_ready_actors",
];

/// One value for each of [`SERIES`]; not a number where there is none.
type Sample = [f64; SERIES.len()];

/// The samples of one application.
#[derive(Debug, Default)]
pub struct History {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    samples: VecDeque<Sample>,
    /// When the newest was taken, microseconds since 1970 UTC.
    newest_us: i64,
    /// As JSON, once somebody has asked since the newest: many look at one hour.
    rendered: Option<Bytes>,
}

impl History {
    /// Enters a sample after so many that were missed.
    fn enter(&self, missed: usize, sample: Sample, at_us: i64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let gaps = if ring.samples.is_empty() { 0 } else { missed.min(HISTORY_SAMPLES_MAX) };
        for sample in std::iter::repeat_n([f64::NAN; SERIES.len()], gaps).chain([sample]) {
            if ring.samples.len() == HISTORY_SAMPLES_MAX {
                ring.samples.pop_front();
            }
            ring.samples.push_back(sample);
        }
        (ring.newest_us, ring.rendered) = (at_us, None);
    }

    /// All of them, as `/api/history` gives them.
    pub fn json(&self) -> Bytes {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendered) = &ring.rendered {
            return rendered.clone();
        }
        let rendered: Bytes = serde_json::to_vec(&*ring).expect("invariant: samples are plain data").into();
        ring.rendered = Some(rendered.clone());
        rendered
    }
}

impl Serialize for Ring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span_us = HISTORY_STEP.as_micros() as i64 * self.samples.len().saturating_sub(1) as i64;
        let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
        let series: serde_json::Map<String, serde_json::Value> = SERIES
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let values: Vec<f64> = self.samples.iter().map(|sample| rounded(sample[index])).collect();
                ((*name).to_owned(), values.into())
            })
            .collect();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("step_seconds", &HISTORY_STEP.as_secs())?;
        map.serialize_entry("from_us", &(self.newest_us - span_us))?;
        map.serialize_entry("series", &series)?;
        map.end()
    }
}

/// Samples again and again, on a beat that a late sample does not move.
pub(crate) fn start(registry: Arc<Registry>) -> Task {
    task::spawn("history", async move {
        let clock = registry.clock.clone();
        let born = clock.now();
        let (mut steps, mut before) = (0u32, (born, registry.ledger.totals()));
        loop {
            let due = born + HISTORY_STEP * (steps + 1);
            clock.sleep(due.saturating_duration_since(clock.now())).await;
            let (now, counts) = (clock.now(), registry.ledger.totals());
            let passed = (now.duration_since(born).as_micros() / HISTORY_STEP.as_micros()) as u32;
            let missed = passed.max(steps + 1) - (steps + 1);
            registry.history.enter(
                missed as usize,
                sample(&registry, &before, (now, &counts)),
                clock.wall_us(),
            );
            (steps, before) = (steps + 1 + missed, (now, counts));
        }
    })
}

fn sample(registry: &Registry, before: &(Instant, Counts), (now, counts): (Instant, &Counts)) -> Sample {
    let seconds = now.duration_since(before.0).as_secs_f64();
    // A ledger forgets nothing, but a rate below 0 would be nonsense whatever it did.
    let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
    let roster = registry.roster();
    let (mut lag_records, mut lag_seconds, mut fill) = (0.0, 0.0f64, 0.0f64);
    let (mut restarts, mut not_ready) = (0, 0);
    let settled = registry.ledger.settled_by_required();
    let none = Settled::new();
    for entry in roster.entries() {
        for lag in entry.status.lag().lines(settled.get(&entry.identity.id).unwrap_or(&none)) {
            lag_records += lag.records as f64;
            lag_seconds = lag_seconds.max(lag.seconds);
        }
        fill = entry.inputs.iter().map(|input| input.link.fill().ratio).fold(fill, f64::max);
        restarts += entry.record.restarts.load(Ordering::Relaxed);
        not_ready += u32::from(!entry.status.state().0.is_ready());
    }
    [
        rate(counts.read, before.1.read),
        rate(counts.written, before.1.written),
        rate(counts.dead_lettered, before.1.dead_lettered),
        counts.in_flight as f64,
        lag_records,
        lag_seconds,
        fill,
        restarts as f64,
        f64::from(not_ready),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(history: &History) -> serde_json::Value {
        serde_json::from_slice(&history.json()).unwrap()
    }

    #[test]
    fn the_ring_keeps_an_hour_and_knows_when_it_began() {
        let history = History::default();
        let step_us = HISTORY_STEP.as_micros() as i64;
        for index in 0..HISTORY_SAMPLES_MAX as i64 + 5 {
            history.enter(0, [index as f64; SERIES.len()], 1_000 + index * step_us);
        }
        let json = json(&history);
        let read = json["series"]["read_per_second"].as_array().unwrap();
        assert_eq!((read.len(), read[0].as_f64()), (HISTORY_SAMPLES_MAX, Some(5.0)));
        assert_eq!(json["from_us"], 1_000 + 5 * step_us);
    }

    #[test]
    fn what_was_missed_is_a_gap() {
        let history = History::default();
        history.enter(7, [1.0; SERIES.len()], 0);
        history.enter(2, [2.0004; SERIES.len()], 0);
        let series = json(&history)["series"]["lag_seconds"].clone();
        assert_eq!(series, serde_json::json!([1.0, null, null, 2.0]), "nothing was missed before the first");
    }
}
