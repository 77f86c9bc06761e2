//! What a report measures, a part a file. Each takes the stage and gives figures; none of them knows the report's form.

pub mod drain;
pub mod kill;
pub mod nodes;
pub mod outage;
pub mod scale;
pub mod steady;
pub mod watch;

use serde::Serialize;
use std::fmt::Display;

/// Figures, or the reason why there are none.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome<T> {
    /// As measured.
    Measured(T),
    /// Nothing was measured, and nothing is claimed.
    NotRun {
        /// Why not.
        not_run_here: String,
    },
}

impl<T> Outcome<T> {
    /// Nothing was measured.
    pub fn not_run(why: impl Display) -> Self {
        Outcome::NotRun { not_run_here: format!("{why:#}") }
    }

    /// The figures, if there are any.
    pub fn figures(&self) -> Option<&T> {
        match self {
            Outcome::Measured(figures) => Some(figures),
            Outcome::NotRun { .. } => None,
        }
    }
}

impl<T> From<anyhow::Result<T>> for Outcome<T> {
    fn from(result: anyhow::Result<T>) -> Self {
        match result {
            Ok(figures) => Outcome::Measured(figures),
            Err(error) => Outcome::not_run(error),
        }
    }
}

/// Several runs of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of `values`; `None` where there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_all_runs() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]).map(|spread| spread.median), Some(2.5));
    }
}
