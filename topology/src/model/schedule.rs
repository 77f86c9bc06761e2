//! What a `schedule` does, and when: a beat, or a line as cron has it.
//!
//! Invariant: a [`Cron`] comes again for ever: one that names no day of any year is refused when it is read. Deliberately
//! absent: clocks and zones. Times are microseconds since 1970 UTC, and a day is a day of UTC.

use super::{Export, Rollup};
use crate::Spanned;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

const MINUTE_US: i64 = 60_000_000;
const DAY_MINUTES: i64 = 1_440;
/// Within so many days every line that ever comes has come: leap days leave out at most eight years.
const DAYS_MAX: i64 = 8 * 366 + 1;

/// Options of `schedule`.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When it runs.
    pub every: Spanned<Beat>,
    /// What it runs.
    pub run: Spanned<Work>,
    /// Which roll-up, if that is its work.
    pub rollup: Option<Rollup>,
    /// Which export, if that is its work.
    pub export: Option<Export>,
}

/// What a schedule may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// Drops the chunks that are past the retention of their table.
    #[default]
    Retention,
    /// Fills a table of aggregates.
    Rollup,
    /// Writes what is closed to files.
    Export,
}

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// So long after the run before began.
    Every(Duration),
    /// At these minutes.
    Cron(Cron),
}

impl Beat {
    /// When it is due after a run that began at `us`.
    pub fn next_after(&self, us: i64) -> i64 {
        match self {
            Self::Every(every) => us.saturating_add(i64::try_from(every.as_micros()).unwrap_or(i64::MAX)),
            Self::Cron(cron) => cron.next_after(us),
        }
    }
}

/// As the file writes it.
impl Display for Beat {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => out.write_str(&crate::plan::write::duration(*every)),
            Self::Cron(cron) => out.write_str(&cron.text),
        }
    }
}

/// `minute hour day-of-month month day-of-week`, in UTC. Numbers, `*`, lists, ranges and steps; where both kinds of day are
/// limited, either will do, as with every cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day may be either of the two kinds.
    either_day: bool,
}

impl Cron {
    /// Reads a line; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!("it has {} fields and not 5", fields.len()));
        };
        let sunday = |mask: u64| (mask | mask >> 7) & 0x7f;
        let cron = Self {
            text: fields.join(" "),
            minutes: field(minutes, "minute", 0, 59)?,
            hours: field(hours, "hour", 0, 23)?,
            days: field(days, "day of the month", 1, 31)?,
            months: field(months, "month", 1, 12)?,
            weekdays: sunday(field(weekdays, "day of the week", 0, 7)?),
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        };
        match cron.first_after(0) {
            Some(_) => Ok(cron),
            None => Err("there is no such day".to_owned()),
        }
    }

    /// The first of its minutes after `us`.
    pub fn next_after(&self, us: i64) -> i64 {
        self.first_after(us).expect("invariant: a line that never comes is refused when it is read")
    }

    fn first_after(&self, us: i64) -> Option<i64> {
        let next = us.div_euclid(MINUTE_US) + 1;
        let (today, now) = (next.div_euclid(DAY_MINUTES), next.rem_euclid(DAY_MINUTES));
        let day = (today..=today + DAYS_MAX).filter(|&day| self.has_day(day));
        day.filter_map(|day| {
            let from = if day == today { now } else { 0 };
            let minute = (from..DAY_MINUTES).find(|&minute| self.has_minute(minute))?;
            Some((day * DAY_MINUTES + minute) * MINUTE_US)
        })
        .next()
    }

    fn has_minute(&self, minute: i64) -> bool {
        has(self.hours, minute / 60) && has(self.minutes, minute % 60)
    }

    fn has_day(&self, day: i64) -> bool {
        let (month, of_month) = month_and_day(day);
        // 1970 began on a Thursday.
        let (of_month, of_week) = (has(self.days, of_month), has(self.weekdays, (day + 4).rem_euclid(7)));
        let is_day = if self.either_day { of_month || of_week } else { of_month && of_week };
        has(self.months, month) && is_day
    }
}

fn has(mask: u64, bit: i64) -> bool {
    mask >> bit & 1 == 1
}

/// The numbers of one field, a bit each.
fn field(text: &str, what: &str, least: u32, most: u32) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no {what}: numbers from {least} to {most}, `*`, lists, ranges, steps");
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| text.parse::<u32>().ok()).flatten();
        number.filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
    };
    let mut mask = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if range == "*" => (least, most),
            None if step.is_some() => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        let step: usize = step.map_or(Ok(1), |step| step.parse().map_err(|_| wrong()))?;
        if from > to || step == 0 {
            return Err(wrong());
        }
        mask |= (from..=to).step_by(step).fold(0_u64, |mask, number| mask | 1 << number);
    }
    Ok(mask)
}

/// Month and day of the month, both from 1, of a day since 1970.
fn month_and_day(day: i64) -> (i64, i64) {
    // Years begin in March, so that a leap day is the last of its year.
    let day_of_cycle = (day + 719_468).rem_euclid(146_097);
    let year = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes since 1970 of a UTC date and time, by the language's own reader.
    fn at(text: &str) -> i64 {
        crate::lower::rfc3339_micros(text).expect("a time")
    }

    fn next(line: &str, after: &str) -> i64 {
        Cron::parse(line).expect("a line").next_after(at(after))
    }

    #[test]
    fn a_line_comes_at_its_next_minute_and_never_at_the_same_one() {
        let after = "2026-11-29T22:33:10Z";
        assert_eq!(next("* * * * *", after), at("2026-11-29T22:34:00Z"));
        assert_eq!(next("0 3 * * *", after), at("2026-11-30T03:00:00Z"));
        assert_eq!(next("0 3 * * *", "2026-11-30T03:00:00Z"), at("2026-12-01T03:00:00Z"));
        assert_eq!(next("*/15 8-10,20 * * *", after), at("2026-11-30T08:00:00Z"));
        assert_eq!(next("5/20 * * * *", after), at("2026-11-29T22:45:00Z"));
        assert_eq!(next("30 1 1 * *", after), at("2026-12-01T01:30:00Z"));
        assert_eq!(next("0 0 29 2 *", after), at("2028-02-29T00:00:00Z"));
        assert_eq!(next("0 0 * * 1", after), at("2026-11-30T00:00:00Z"));
        assert_eq!(next("0 0 * * 7", after), next("0 0 * * 0", after));
        // Either kind of day, where both are limited.
        assert_eq!(next("0 0 13 * 5", after), at("2026-12-04T00:00:00Z"));
    }

    #[test]
    fn what_is_no_line_or_never_comes_is_refused() {
        for wrong in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "* * * * mon",
            "1, * * * *",
            "-1 * * * *",
            "0 0 30 2 *",
            "* * * * * *",
        ] {
            assert!(Cron::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_beat_counts_from_the_run_before() {
        assert_eq!(Beat::Every(Duration::from_secs(60)).next_after(5), 60_000_005);
        assert_eq!(Beat::Every(Duration::MAX).next_after(5), i64::MAX);
    }
}
