//! Times as text: RFC 3339 in UTC, which every field of type `timestamp` reads, whatever unit the schema counts in.

use crate::expr::time::days_from_civil;
use crate::json::Draft;

/// The first and the last second that RFC 3339 can say.
const FIRST: i64 = days_from_civil(0, 1, 1) * 86_400;
const LAST: i64 = days_from_civil(10_000, 1, 1) * 86_400 - 1;

/// Writes the instant `seconds` and `fraction` (of `digits` digits) after 1970. One of another era is the number of its
/// seconds.
pub(super) fn write_instant(draft: &mut Draft, seconds: i64, fraction: u32, digits: u32) {
    if !(FIRST..=LAST).contains(&seconds) {
        return draft.int(seconds);
    }
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    draft.plain(|text| {
        digits_of(text, year, 4);
        text.push('-');
        digits_of(text, month, 2);
        text.push('-');
        digits_of(text, day, 2);
        text.push('T');
        digits_of(text, second / 3600, 2);
        text.push(':');
        digits_of(text, second / 60 % 60, 2);
        text.push(':');
        digits_of(text, second % 60, 2);
        if digits > 0 {
            text.push('.');
            digits_of(text, i64::from(fraction), digits);
        }
        text.push('Z');
    });
}

/// Writes a count of units, of which a second has `10^digits`, since 1970.
pub(super) fn write_count(draft: &mut Draft, count: i64, digits: u32) {
    let unit = 10_i64.pow(digits);
    write_instant(draft, count.div_euclid(unit), count.rem_euclid(unit) as u32, digits);
}

fn digits_of(text: &mut String, mut value: i64, width: u32) {
    let mut buffer = [b'0'; 20];
    for place in (0..width as usize).rev() {
        buffer[place] += (value % 10) as u8;
        value /= 10;
    }
    text.push_str(std::str::from_utf8(&buffer[..width as usize]).expect("invariant: digits are ASCII"));
}

/// The date of a day since 1970, in the proleptic Gregorian calendar; the inverse of [`days_from_civil`].
fn civil(day: i64) -> (i64, i64, i64) {
    // Years begin in March, so that a leap day is the last of its year.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::time::parse_iso;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same_instant(micros in -62_135_596_800_000_000..253_402_300_799_999_999_i64) {
            let mut draft = Draft::default();
            write_count(&mut draft, micros, 6);
            prop_assert_eq!(parse_iso(draft.text().trim_matches('"'), None), Ok(micros), "{}", draft.text());
        }
    }

    #[test]
    fn as_many_digits_as_the_unit_has() {
        for (count, digits, text) in [
            (1_700_000_000, 0, "\"2023-11-14T22:13:20Z\""),
            (-1, 3, "\"1969-12-31T23:59:59.999Z\""),
            (1_700_000_000_123_456_789, 9, "\"2023-11-14T22:13:20.123456789Z\""),
            (i64::MAX, 3, "9223372036854775"),
        ] {
            let mut draft = Draft::default();
            write_count(&mut draft, count, digits);
            assert_eq!(draft.text(), text);
        }
    }
}
