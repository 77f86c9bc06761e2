//! What actors measure of themselves: a board of counters, gauges and histograms per actor.
//!
//! A board lives as long as what it describes, so a series goes with its actor, its pool or its table. Invariant: no more
//! than [`FIGURE_SERIES_MAX`] series of a metric, whatever labels come: counters and histograms beyond are summed under
//! `other`, gauges beyond are left out, and either shows in a figure of its own.
//!
//! Setting a figure takes a lock and a look-up: once a batch, never once a row. Deliberately absent: I/O.

use super::exposition::cut;
use super::names::{Kind, Metric};
use crate::limits::FIGURE_SERIES_MAX;
use serde::Serialize;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values of labels, in the order of the metric's own.
type Labels = Vec<(&'static str, String)>;

/// Where those go that find no place.
const OTHER: &str = "other";

/// Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

/// The series of one metric.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) metric: Metric,
    pub(super) series: BTreeMap<Labels, Value>,
    /// Whether some series found no place.
    is_full: bool,
}

/// A value, or many of them by size.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Histogram(Histogram),
}

/// Observations by size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    /// Observations up to each bound and beyond the one before; the last beyond all of them.
    pub(super) counts: Vec<u64>,
    pub(super) sum: f64,
}

/// One figure, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The metric's name; a histogram gives two, its `_count` and its `_sum`.
    pub name: String,
    /// Beyond those of its actor.
    pub labels: BTreeMap<&'static str, String>,
    /// Its value.
    pub value: f64,
}

impl Figures {
    /// The value of a gauge, or the state of a counter that somebody else keeps.
    pub fn set(&self, metric: Metric, labels: &[(&'static str, &str)], value: f64) {
        self.with(metric, labels, false, |known| *known = Value::Number(value));
    }

    /// Adds to a counter, or to a gauge.
    pub fn add(&self, metric: Metric, labels: &[(&'static str, &str)], value: f64) {
        self.with(metric, labels, true, |known| {
            if let Value::Number(known) = known {
                *known += value;
            }
        });
    }

    /// Enters an observation into a histogram.
    pub fn observe(&self, metric: Metric, labels: &[(&'static str, &str)], value: f64) {
        self.with(metric, labels, true, |known| {
            if let Value::Histogram(histogram) = known {
                histogram.observe(metric.kind.bounds(), value);
            }
        });
    }

    /// Replaces every series of a gauge; what comes first has its place first.
    pub fn show<'a>(
        &self,
        metric: Metric,
        series: impl IntoIterator<Item = (Vec<(&'static str, &'a str)>, f64)>,
    ) {
        self.forget(metric);
        for (labels, value) in series {
            self.set(metric, &labels, value);
        }
    }

    /// Drops every series of `metric`.
    pub fn forget(&self, metric: Metric) {
        self.lock().remove(metric.name);
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Everything, for people and programs.
    pub fn list(&self) -> Vec<Figure> {
        let families = self.lock();
        let listed = |family: &Family| {
            let name = family.metric.name;
            let figure = |labels: &Labels, name: String, value| Figure {
                name,
                labels: labels.iter().cloned().collect(),
                value,
            };
            let of_one = |(labels, value): (&Labels, &Value)| match value {
                Value::Number(value) => vec![figure(labels, name.to_owned(), *value)],
                Value::Histogram(histogram) => vec![
                    figure(labels, format!("{name}_count"), histogram.count() as f64),
                    figure(labels, format!("{name}_sum"), histogram.sum),
                ],
            };
            family.series.iter().flat_map(of_one).collect::<Vec<_>>()
        };
        families.values().flat_map(listed).collect()
    }

    /// Metrics some of whose series found no place.
    pub(super) fn full(&self) -> usize {
        self.lock().values().filter(|family| family.is_full).count()
    }

    /// A copy to write out without holding anybody up.
    pub(super) fn families(&self) -> Vec<Family> {
        self.lock().values().cloned().collect()
    }

    fn with(
        &self,
        metric: Metric,
        labels: &[(&'static str, &str)],
        summed: bool,
        change: impl FnOnce(&mut Value),
    ) {
        let labels: Labels = labels.iter().map(|(name, value)| (*name, cut(value).to_owned())).collect();
        let mut families = self.lock();
        let family = families.entry(metric.name).or_insert_with(|| Family {
            metric,
            series: BTreeMap::new(),
            is_full: false,
        });
        if let Some(value) = family.place(labels, summed) {
            change(value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    /// The place of that series; with none left, of the one they are summed under, if they can be.
    fn place(&mut self, labels: Labels, summed: bool) -> Option<&mut Value> {
        let first = initial(self.metric.kind);
        let full = self.series.len() >= FIGURE_SERIES_MAX;
        let labels = if full && !self.series.contains_key(&labels) {
            self.is_full = true;
            if !summed {
                return None;
            }
            labels.into_iter().map(|(name, _)| (name, OTHER.to_owned())).collect()
        } else {
            labels
        };
        Some(match self.series.entry(labels) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(first),
        })
    }
}

fn initial(kind: Kind) -> Value {
    match kind {
        Kind::Counter | Kind::Gauge => Value::Number(0.0),
        Kind::Histogram(bounds) => {
            Value::Histogram(Histogram { counts: vec![0; bounds.len() + 1], sum: 0.0 })
        }
    }
}

impl Histogram {
    fn observe(&mut self, bounds: &[f64], value: f64) {
        let place = bounds.partition_point(|&bound| bound < value);
        self.counts[place] += 1;
        self.sum += value;
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::names;

    fn value(figures: &Figures, name: &str) -> f64 {
        figures.list().iter().filter(|figure| figure.name == name).map(|figure| figure.value).sum()
    }

    #[test]
    fn a_counter_adds_up_and_a_gauge_is_what_it_was_set_to() {
        let figures = Figures::default();
        figures.add(names::CACHE_WRITES_TOTAL, &[], 2.0);
        figures.add(names::CACHE_WRITES_TOTAL, &[], 3.0);
        figures.set(names::DEAD_LETTERS, &[("state", "new")], 9.0);
        figures.set(names::DEAD_LETTERS, &[("state", "new")], 4.0);
        assert_eq!(value(&figures, names::CACHE_WRITES_TOTAL.name), 5.0);
        assert_eq!(value(&figures, names::DEAD_LETTERS.name), 4.0);
        figures.forget(names::DEAD_LETTERS);
        assert_eq!(figures.list().len(), 1);
    }

    #[test]
    fn an_observation_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let figures = Figures::default();
        for seconds in [0.001, 0.0011, 1000.0] {
            figures.observe(names::FLUSH_SECONDS, &[], seconds);
        }
        let families = figures.families();
        let Some(Value::Histogram(histogram)) = families[0].series.values().next() else {
            panic!("{families:?}")
        };
        assert_eq!((histogram.counts[0], histogram.counts[1], *histogram.counts.last().unwrap()), (1, 1, 1));
        assert_eq!(histogram.count(), 3);
    }

    #[test]
    fn a_million_symbols_take_bounded_room_and_lose_no_count() {
        let figures = Figures::default();
        for symbol in 0..1_000_000 {
            figures.add(names::DEAD_LETTERS_TOTAL, &[("reason", &format!("S{symbol}"))], 1.0);
        }
        let series = figures.list();
        assert!(series.len() <= FIGURE_SERIES_MAX + 1, "{}", series.len());
        assert_eq!(value(&figures, names::DEAD_LETTERS_TOTAL.name), 1_000_000.0);
        assert_eq!(figures.full(), 1);
    }

    #[test]
    fn gauges_beyond_the_bound_are_left_out_and_that_is_said() {
        let figures = Figures::default();
        let names: Vec<String> = (0..FIGURE_SERIES_MAX + 7).map(|table| format!("t{table}")).collect();
        let all = || names.iter().map(|name| (vec![("table", name.as_str())], 1.0));
        figures.show(names::CHUNKS, all());
        figures.show(names::CHUNKS, all());
        assert_eq!((figures.list().len(), figures.full()), (FIGURE_SERIES_MAX, 1));
    }

    #[test]
    fn labels_that_are_cut_to_the_same_are_one_series() {
        let figures = Figures::default();
        let long = "x".repeat(10_000);
        figures.add(names::DEAD_LETTERS_TOTAL, &[("reason", &long)], 1.0);
        figures.add(names::DEAD_LETTERS_TOTAL, &[("reason", &format!("{long}y"))], 1.0);
        let listed = figures.list();
        assert_eq!((listed.len(), listed[0].value), (1, 2.0));
    }
}
