//! The bounds of an event's time: a wild timestamp would make a chunk of its own in the hypertable.
//!
//! Judged by the record's Kafka time, never by the clock, so that a replay judges alike.

use super::reject::{self, Problem};
use crate::expr::time::{DAY_US, days_from_civil, format_iso};
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_topology::model::{self, FieldType};
use std::time::Duration;

/// No event is older, whatever its record says.
const EARLIEST_US: i64 = days_from_civil(1990, 1, 1) * DAY_US;
/// No event of a record without time is newer.
const LATEST_US: i64 = days_from_civil(2200, 1, 1) * DAY_US;

/// Compiled bounds.
#[derive(Clone, Debug)]
pub(super) struct EventTime {
    pub(super) column: usize,
    name: Box<str>,
    past_max_us: Option<i64>,
    future_max_us: i64,
}

impl EventTime {
    /// Bounds for one of `columns`.
    pub(super) fn new(bounds: &model::EventTime, columns: &[model::Column]) -> Result<Self, String> {
        let name = bounds.field.value.as_str();
        let column = columns
            .iter()
            .position(|column| column.name == name && column.kind == FieldType::Timestamp)
            .ok_or_else(|| format!("`event_time`: there is no timestamp field `{name}`"))?;
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Ok(Self {
            column,
            name: name.into(),
            past_max_us: bounds.past_max.map(micros),
            future_max_us: micros(bounds.future_max),
        })
    }

    /// Whether `time` is plausible in a record of `record_time_ms`. A null time has no bounds.
    #[inline]
    pub(super) fn check(&self, time: Option<i64>, record_time_ms: Option<i64>) -> Result<(), Problem> {
        let Some(time) = time else { return Ok(()) };
        let record_us = match planted(Bug::JudgesByTheClock) {
            true => Some(aqueduct_engine::Clock::system().wall_us()),
            false => record_time_ms.map(|time| time.saturating_mul(1000)),
        };
        let earliest = match (self.past_max_us, record_us) {
            (Some(past_max), Some(record)) => record.saturating_sub(past_max),
            _ => EARLIEST_US,
        };
        let latest = record_us.map_or(LATEST_US, |record| record.saturating_add(self.future_max_us));
        if (earliest..=latest).contains(&time) { Ok(()) } else { Err(self.problem(time, earliest, latest)) }
    }

    #[cold]
    fn problem(&self, time: i64, earliest: i64, latest: i64) -> Problem {
        Problem::new(
            reject::EVENT_TIME,
            format!(
                "field `{}`: {} lies outside {} to {}, which the record's own time allows",
                self.name,
                format_iso(time),
                format_iso(earliest),
                format_iso(latest)
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::{Span, Spanned};

    const DAY: Duration = Duration::from_secs(86_400);
    const RECORD_MS: i64 = 1_700_000_000_000;

    fn allows(past_max: Option<Duration>, time_us: i64, record_ms: Option<i64>) -> bool {
        let field = Spanned::new("ts".to_owned(), Span::default());
        let bounds = model::EventTime { field, past_max, future_max: DAY };
        let column = model::Column { name: "ts".to_owned(), kind: FieldType::Timestamp, nullable: false };
        EventTime::new(&bounds, &[column]).unwrap().check(Some(time_us), record_ms).is_ok()
    }

    #[test]
    fn bounds_are_inclusive_and_relative_to_the_record() {
        let record_us = RECORD_MS * 1000;
        let day_us = DAY.as_micros() as i64;
        for (past_max, time, record, allowed) in [
            (None, record_us, Some(RECORD_MS), true),
            (None, record_us + day_us, Some(RECORD_MS), true),
            (None, record_us + day_us + 1, Some(RECORD_MS), false),
            (None, EARLIEST_US, Some(RECORD_MS), true),
            (None, EARLIEST_US - 1, Some(RECORD_MS), false),
            (Some(DAY), record_us - day_us, Some(RECORD_MS), true),
            (Some(DAY), record_us - day_us - 1, Some(RECORD_MS), false),
            (Some(DAY), EARLIEST_US, None, true),
            (None, LATEST_US, None, true),
            (None, LATEST_US + 1, None, false),
            (None, 0, None, false),
            (None, record_us, Some(i64::MAX), true),
            (Some(DAY), record_us, Some(i64::MIN), false),
        ] {
            assert_eq!(allows(past_max, time, record), allowed, "{past_max:?} {time} {record:?}");
        }
    }
}
