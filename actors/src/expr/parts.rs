//! The parts of a timestamp, in UTC or a time zone, and of a duration, as CEL counts them.

use super::eval::{Evaluated, Fault};
use super::functions::unable;
use super::time;
use super::value::Value;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    FullYear,
    /// From 0.
    Month,
    /// Of the month, from 1.
    Date,
    /// From 0.
    DayOfMonth,
    /// From 0, a Sunday.
    DayOfWeek,
    /// From 0.
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    /// Of `subject`, where it is in `zone`: an IANA name or an offset such as `+02:00`.
    pub(super) fn of<'a>(self, subject: &Value<'a>, zone: Option<&Value<'a>>) -> Evaluated<'a> {
        match (subject, zone) {
            (_, Some(Value::Null)) => Ok(Value::Null),
            (Value::Time(micros), zone) => self.of_time(*micros, zone),
            (Value::Duration(micros), None) => self.of_duration(*micros),
            _ => Err(unable("a part of a time", subject)),
        }
    }

    fn of_time<'a>(self, micros: i64, zone: Option<&Value<'a>>) -> Evaluated<'a> {
        let at = match zone {
            None => time::civil(micros),
            Some(Value::Text(name)) => {
                let zone = time_zone(name);
                let zone = zone.ok_or_else(|| Fault::new(format!("there is no time zone {name:?}")))?;
                Timestamp::from_microsecond(micros).ok().map(|at| zone.to_datetime(at))
            }
            Some(other) => return Err(unable("the name of a time zone", other)),
        };
        let at = at.ok_or_else(|| Fault::new("a time of the years 1 to 9999 has parts"))?;
        Ok(Value::Int(match self {
            Part::FullYear => i64::from(at.year()),
            Part::Month => i64::from(at.month()) - 1,
            Part::Date => i64::from(at.day()),
            Part::DayOfMonth => i64::from(at.day()) - 1,
            Part::DayOfWeek => i64::from(at.weekday().to_sunday_zero_offset()),
            Part::DayOfYear => i64::from(at.day_of_year()) - 1,
            Part::Hours => i64::from(at.hour()),
            Part::Minutes => i64::from(at.minute()),
            Part::Seconds => i64::from(at.second()),
            Part::Milliseconds => i64::from(at.millisecond()),
        }))
    }

    /// The whole duration in that unit, but for milliseconds, of which a duration has up to 999.
    fn of_duration<'a>(self, micros: i64) -> Evaluated<'a> {
        Ok(Value::Int(match self {
            Part::Hours => micros / 3_600_000_000,
            Part::Minutes => micros / 60_000_000,
            Part::Seconds => micros / 1_000_000,
            Part::Milliseconds => micros / 1_000 % 1_000,
            _ => return Err(Fault::new("a duration has hours, minutes, seconds and milliseconds")),
        }))
    }
}

fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| {
        let (sign, digits) = match name.strip_prefix(['+', '-']) {
            Some(digits) if name.starts_with('-') => (-1, digits),
            Some(digits) => (1, digits),
            None => (1, name),
        };
        let (hours, minutes) = digits.split_once(':')?;
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let seconds = sign * (hours * 3600 + minutes * 60);
        (minutes < 60).then(|| jiff::tz::Offset::from_seconds(seconds).ok()).flatten().map(TimeZone::fixed)
    })
}
