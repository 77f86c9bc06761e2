//! Times: ISO 8601 text and numbers of a unit, to microseconds since 1970 UTC.
//!
//! Finer digits are cut, never rounded: a rounded time may lie in the future of its own event.

use super::decimal::Decimal;
use super::digits::leading;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Microseconds of a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds of a day.
pub const DAY_US: i64 = 86_400 * SECOND_US;
/// The first microsecond of the year 1.
pub const MIN_US: i64 = days_from_civil(1, 1, 1) * DAY_US;
/// Past the last microsecond of the year 9999.
pub const END_US: i64 = days_from_civil(10_000, 1, 1) * DAY_US;

/// Powers of ten.
const POWERS: [u64; 11] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFault {
    /// Not of the form `2026-11-23T10:00:00.123456Z`.
    Malformed,
    /// A local time, and no zone was said.
    NoZone,
    /// Outside the years 1 to 9999.
    OutOfRange,
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
pub const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let shifted_month = (month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `YYYY-MM-DDTHH:MM:SS`, any fraction, then `Z`, an offset, or nothing (a local time of `zone`).
/// `T` may be a space; a leap second counts as the second before it.
#[inline]
pub fn parse_iso(text: &str, zone: Option<&TimeZone>) -> Result<i64, TimeFault> {
    let bytes = text.as_bytes();
    let (fixed, after) = bytes.split_first_chunk::<19>().ok_or(TimeFault::Malformed)?;
    let separated = fixed[4] == b'-' && fixed[7] == b'-' && fixed[13] == b':' && fixed[16] == b':';
    if !separated || !matches!(fixed[10], b'T' | b't' | b' ') {
        return Err(TimeFault::Malformed);
    }
    // All digits at once: one branch in place of fourteen.
    let digit = |at: usize| u32::from(fixed[at].wrapping_sub(b'0'));
    let places = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18];
    if places.iter().fold(0, |most, &at| most.max(digit(at))) > 9 {
        return Err(TimeFault::Malformed);
    }
    let two = |at: usize| i64::from(digit(at) * 10 + digit(at + 1));
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return Err(TimeFault::Malformed);
    }
    if hour > 23 || minute > 59 || second > 60 {
        return Err(TimeFault::Malformed);
    }
    if year == 0 {
        return Err(TimeFault::OutOfRange);
    }
    let (micros, rest) = fraction(after)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    let local = seconds * SECOND_US + micros;
    let time = match rest {
        b"Z" | b"z" => local,
        [] => from_local(local, zone.ok_or(TimeFault::NoZone)?)?,
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let offset = offset_us(offset)?;
            if *sign == b'+' { local - offset } else { local + offset }
        }
        _ => return Err(TimeFault::Malformed),
    };
    known(time).ok_or(TimeFault::OutOfRange)
}

/// The time that the first `length` bytes of `text` are, if they are `YYYY-MM-DDTHH:MM:SS`, a point and digits or not, `Z`,
/// of a year that is in range. All else is for [`parse_iso`].
#[inline]
pub(crate) fn parse_utc(text: &[u8], length: usize) -> Option<i64> {
    /// Zeros in place of digits.
    const DATE: u64 = u64::from_le_bytes(*b"0000-00-");
    const DAY_AND_TIME: u64 = u64::from_le_bytes(*b"00T00:00");
    /// The bytes that are no digits.
    const DATE_SIGNS: u64 = 0xff00_00ff_0000_0000;
    const TIME_SIGNS: u64 = 0x0000_ff00_00ff_0000;
    const ABOVE_NINE: u64 = u64::from_le_bytes([0x76; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let (fixed, rest) = text.split_first_chunk::<20>()?;
    let word = |at: usize| fixed[at..].first_chunk::<8>().map(|word| u64::from_le_bytes(*word));
    let (date, time) = (word(0)? ^ DATE, word(8)? ^ DAY_AND_TIME);
    let not_digits = |word: u64| (word & !HIGHS).wrapping_add(ABOVE_NINE) | word;
    if (not_digits(date) | not_digits(time)) & HIGHS != 0 || date & DATE_SIGNS | time & TIME_SIGNS != 0 {
        return None;
    }
    // Each byte and the next as one number, which fits the byte: it is 99 at most.
    let pairs = |word: u64| word.wrapping_mul(10).wrapping_add(word >> 8);
    let (date, time) = (pairs(date), pairs(time));
    let two = |pairs: u64, at: u32| (pairs >> (8 * at) & 0xff) as u32;
    let (year, month, day) = (two(date, 0) * 100 + two(date, 2), two(date, 5), two(time, 0));
    let (hour, minute) = (two(time, 3), two(time, 6));
    let (tens, ones) = (fixed[17].wrapping_sub(b'0'), fixed[18].wrapping_sub(b'0'));
    if fixed[16] != b':' || tens > 5 || ones > 9 || hour > 23 || minute > 59 {
        return None;
    }
    let is_date = year > 0 && (1..=12).contains(&month) && day > 0;
    if !is_date || (day > 28 && i64::from(day) > days_of_month(year.into(), month.into())) {
        return None;
    }
    let micros = match fixed[19] {
        b'Z' if length == 20 => 0,
        b'.' => {
            let digits = leading(rest);
            let ends = rest.get(digits.count) == Some(&b'Z') && length == 21 + digits.count;
            if !ends || digits.count == 0 {
                return None;
            }
            match digits.count {
                count @ ..=6 => digits.value * POWERS[6 - count],
                count => digits.value / POWERS[count - 6],
            }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + minute * 60 + u32::from(tens * 10 + ones);
    // Years 1 to 9999: far from the ends of 64 bits.
    let days = days_of(year, month, day);
    Some(days.wrapping_mul(DAY_US).wrapping_add(i64::from(seconds) * SECOND_US).wrapping_add(micros as i64))
}

/// [`days_from_civil`] of a date that has been checked, without signs.
#[inline(always)]
fn days_of(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    i64::from(days) - 719_469
}

#[inline]
fn two(bytes: &[u8], at: usize) -> Result<i64, TimeFault> {
    let (tens, ones) = (bytes[at].wrapping_sub(b'0'), bytes[at + 1].wrapping_sub(b'0'));
    if tens > 9 || ones > 9 { Err(TimeFault::Malformed) } else { Ok(i64::from(tens * 10 + ones)) }
}

/// The microseconds of `.ddd..`, and what follows.
#[inline]
fn fraction(bytes: &[u8]) -> Result<(i64, &[u8]), TimeFault> {
    let Some(digits) = bytes.strip_prefix(b".").or_else(|| bytes.strip_prefix(b",")) else {
        return Ok((0, bytes));
    };
    let (mut micros, mut count) = (0, 0);
    while let Some(digit) = digits.get(count).filter(|byte| byte.is_ascii_digit()) {
        if count < 6 {
            micros = micros * 10 + i64::from(digit - b'0');
        }
        count += 1;
    }
    if count == 0 {
        return Err(TimeFault::Malformed);
    }
    for _ in count..6 {
        micros *= 10;
    }
    Ok((micros, &digits[count..]))
}

/// `HH:MM`, `HHMM` or `HH`.
fn offset_us(bytes: &[u8]) -> Result<i64, TimeFault> {
    let minutes = match bytes.len() {
        5 if bytes[2] == b':' => two(bytes, 0)? * 60 + two(bytes, 3)?,
        4 => two(bytes, 0)? * 60 + two(bytes, 2)?,
        2 => two(bytes, 0)? * 60,
        _ => return Err(TimeFault::Malformed),
    };
    if minutes >= 24 * 60 { Err(TimeFault::Malformed) } else { Ok(minutes * 60 * SECOND_US) }
}

/// A local time that occurs twice is the first of both; one that is skipped is read with the offset before the gap.
fn from_local(local: i64, zone: &TimeZone) -> Result<i64, TimeFault> {
    let timestamp = jiff::Timestamp::from_microsecond(local).map_err(|_| TimeFault::OutOfRange)?;
    let civil = TimeZone::UTC.to_datetime(timestamp);
    let utc = zone.to_ambiguous_timestamp(civil).compatible().map_err(|_| TimeFault::OutOfRange)?;
    Ok(utc.as_microsecond())
}

/// `text`, a number of units of which a second has `10^power`.
#[inline]
pub fn parse_number(text: &str, power: u32) -> Result<i64, TimeFault> {
    if let Some(time) = whole(text.as_bytes(), power) {
        return in_range(i128::from(time));
    }
    let number = Decimal::parse(text).map_err(|fault| match fault {
        super::decimal::NumberFault::Malformed => TimeFault::Malformed,
        super::decimal::NumberFault::Inexact => TimeFault::OutOfRange,
    })?;
    // units / 10^scale counts of 10^-power seconds, times 10^6, cut.
    let shift = 6 - i64::from(number.scale) - i64::from(power);
    let size = super::decimal::power_of_ten(shift.unsigned_abs() as u32);
    let micros = match (size, shift >= 0) {
        (Some(size), true) => number.units.checked_mul(size).ok_or(TimeFault::OutOfRange)?,
        (Some(size), false) => number.units.div_euclid(size),
        (None, true) => return Err(TimeFault::OutOfRange),
        (None, false) => number.units.signum().min(0),
    };
    in_range(micros)
}

/// The common case: up to 19 digits.
#[inline]
fn whole(bytes: &[u8], power: u32) -> Option<i64> {
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    let mut value = 0i64;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
    }
    micros(value, power)
}

/// `value` units of which a second has `10^power`, as microseconds.
#[inline]
pub(crate) fn micros(value: i64, power: u32) -> Option<i64> {
    match power {
        0 => value.checked_mul(1_000_000),
        3 => value.checked_mul(1_000),
        6 => Some(value),
        9 => Some(value / 1_000),
        _ => None,
    }
}

fn in_range(micros: i128) -> Result<i64, TimeFault> {
    if (i128::from(MIN_US)..i128::from(END_US)).contains(&micros) {
        Ok(micros as i64)
    } else {
        Err(TimeFault::OutOfRange)
    }
}

/// `micros`, if it is a time of the years 1 to 9999.
#[inline]
pub fn known(micros: i64) -> Option<i64> {
    (MIN_US..END_US).contains(&micros).then_some(micros)
}

/// The date and time of day in UTC. Unlike an instant of the library, it goes to the end of the year 9999.
pub(super) fn civil(micros: i64) -> Option<DateTime> {
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    epoch.checked_add(SignedDuration::from_micros(micros)).ok()
}

/// RFC 3339 in UTC with six digits.
pub fn format_iso(micros: i64) -> String {
    match civil(micros) {
        Some(time) => format!("{time:.6}Z"),
        None => format!("{micros} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::TimeFault::{Malformed, NoZone, OutOfRange};
    use super::*;

    const T: i64 = 1_700_000_000 * SECOND_US; // 2023-11-14T22:13:20Z

    #[test]
    fn iso_text_in_its_usual_spellings() {
        for (text, time) in [
            ("2023-11-14T22:13:20Z", Ok(T)),
            ("2023-11-14 22:13:20z", Ok(T)),
            ("2023-11-14t22:13:20.5Z", Ok(T + 500_000)),
            ("2023-11-14T22:13:20.123456Z", Ok(T + 123_456)),
            ("2023-11-14T22:13:20.1234567Z", Ok(T + 123_456)),
            ("2023-11-14T22:13:20.123456999Z", Ok(T + 123_456)),
            ("2023-11-15T07:13:20+09:00", Ok(T)),
            ("2023-11-15T07:13:20+0900", Ok(T)),
            ("2023-11-14T17:13:20-05", Ok(T)),
            ("2023-11-14T22:13:20", Err(NoZone)),
            ("1969-12-31T23:59:59.9999999Z", Ok(-1)),
            ("2016-12-31T23:59:60Z", Ok(1_483_228_799 * SECOND_US)),
            ("2024-02-29T00:00:00Z", Ok(1_709_164_800 * SECOND_US)),
            ("0001-01-01T00:00:00Z", Ok(MIN_US)),
            ("9999-12-31T23:59:59.999999Z", Ok(END_US - 1)),
            ("0000-12-31T00:00:00Z", Err(OutOfRange)),
            ("9999-12-31T23:59:59-01:00", Err(OutOfRange)),
            ("2023-02-29T00:00:00Z", Err(Malformed)),
            ("2023-13-01T00:00:00Z", Err(Malformed)),
            ("2023-11-14T24:00:00Z", Err(Malformed)),
            ("2023-11-14T22:13:20.Z", Err(Malformed)),
            ("2023-11-14T22:13:20+24:00", Err(Malformed)),
            ("2023-11-14T22:13:20 Z", Err(Malformed)),
            ("2023-11-14", Err(Malformed)),
            ("+12023-11-14T22:13:20Z", Err(Malformed)),
            ("2023-11-14T2é:13:20Z", Err(Malformed)),
            ("", Err(Malformed)),
        ] {
            assert_eq!(parse_iso(text, None), time, "{text}");
        }
    }

    /// What [`parse_utc`] takes of `text`, wherever that ends.
    fn utc(text: &str) -> Option<i64> {
        let alone = parse_utc(text.as_bytes(), text.len());
        for after in ["\"", "\",\"next\":12345678", "0"] {
            let longer = format!("{text}{after}");
            let found = parse_utc(longer.as_bytes(), text.len());
            assert!(found == alone || (alone.is_none() && found == parse_iso(text, None).ok()), "{longer}");
        }
        alone
    }

    #[test]
    fn the_short_way_to_a_time_gives_the_same_or_nothing() {
        let mut random = fastrand::Rng::with_seed(9);
        for _ in 0..100_000 {
            let time = random.i64(MIN_US..END_US);
            let text = format_iso(time);
            assert_eq!(utc(&text), Some(time), "{text}");
            let (seconds, digits) = text.split_at(20);
            for text in
                [format!("{}Z", &seconds[..19]), format!("{seconds}{}Z", &digits[..random.usize(1..7)])]
            {
                assert_eq!(utc(&text), parse_iso(&text, None).ok(), "{text}");
            }
            let mut changed = text.into_bytes();
            for _ in 0..random.usize(1..3) {
                let at = random.usize(..changed.len());
                changed[at] = b"0123456789-:.TZtz +,\"\0"[random.usize(..22)];
            }
            changed.truncate(random.usize(18..30));
            let changed = String::from_utf8(changed).expect("ASCII");
            let found = utc(&changed);
            assert!(found.is_none() || found == parse_iso(&changed, None).ok(), "{changed}");
        }
        for (text, taken) in [
            ("2024-02-29T23:59:59Z", true),
            ("2023-02-29T00:00:00Z", false),
            ("2023-04-31T00:00:00Z", false),
            ("2000-02-29T00:00:00.000000000Z", true),
            ("1900-02-29T00:00:00Z", false),
            ("2016-12-31T23:59:60Z", false),
            ("0000-01-01T00:00:00Z", false),
            ("2023-11-14T22:13:20.1234567890123456Z", true),
            ("2023-11-14T22:13:20.12345678901234567Z", false),
        ] {
            assert_eq!(utc(text).is_some(), taken, "{text}");
            assert!(!taken || utc(text) == parse_iso(text, None).ok(), "{text}");
        }
    }

    #[test]
    fn a_local_time_is_read_in_its_zone() {
        let seoul = TimeZone::get("Asia/Seoul").unwrap();
        assert_eq!(parse_iso("2023-11-15T07:13:20.123456", Some(&seoul)), Ok(T + 123_456));
        assert_eq!(parse_iso("2023-11-14T22:13:20Z", Some(&seoul)), Ok(T));
    }

    #[test]
    fn numbers_of_every_unit() {
        for (text, power, time) in [
            ("1700000000", 0, Ok(T)),
            ("1700000000.1234567", 0, Ok(T + 123_456)),
            ("1.7e9", 0, Ok(T)),
            ("1700000000123", 3, Ok(T + 123_000)),
            ("1700000000123.2642", 3, Ok(T + 123_264)),
            ("1700000000123456", 6, Ok(T + 123_456)),
            ("1700000000123456789", 9, Ok(T + 123_456)),
            ("-1", 9, Ok(-1)),
            ("0", 3, Ok(0)),
            ("99999999999999999", 0, Err(OutOfRange)),
            ("99999999999999999999999999", 3, Err(OutOfRange)),
            ("1e300", 3, Err(OutOfRange)),
            ("1e-30", 9, Ok(0)),
            ("abc", 3, Err(Malformed)),
            ("2023-11-14T22:13:20Z", 3, Err(Malformed)),
            ("", 3, Err(Malformed)),
        ] {
            assert_eq!(parse_number(text, power), time, "{text} of 10^-{power} s");
        }
    }

    #[test]
    fn formats_what_it_reads() {
        assert_eq!(format_iso(T + 123_456), "2023-11-14T22:13:20.123456Z");
        for time in [T, -1, MIN_US, END_US - 1] {
            assert_eq!(parse_iso(&format_iso(time), None), Ok(time));
        }
    }
}
