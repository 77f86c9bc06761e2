//! RFC 3339 times, for `start`.

/// Microseconds since 1970 UTC; finer digits are cut.
pub(crate) fn rfc3339_micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let fixed = bytes.len() >= 20 && text.is_ascii();
    let separated = fixed && bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':' && bytes[16] == b':';
    if !separated || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &text[from..to];
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (micros, zone) = fraction(&text[19..])?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
        - zone_seconds(zone)?;
    Some(seconds * 1_000_000 + micros)
}

/// Whether a text is such a time.
pub(crate) fn is_rfc3339(text: &str) -> bool {
    rfc3339_micros(text).is_some()
}

fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(after) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let micros: String = after[..digits].chars().chain("000000".chars()).take(6).collect();
    (digits > 0).then_some((micros.parse().ok()?, &after[digits..]))
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.as_bytes() {
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes): (i64, i64) = (zone[1..3].parse().ok()?, zone[4..6].parse().ok()?);
    ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts from a March that begins a 400-year cycle, so that a leap day is a year's last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * 146_097 + day_of_cycle - 719_468
}

#[cfg(test)]
mod tests {
    use super::rfc3339_micros;

    #[test]
    fn times_with_zones_and_fractions() {
        assert_eq!(rfc3339_micros("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339_micros("2024-02-29T12:00:00.1234567+01:00"), Some(1_709_204_400_123_456));
        assert_eq!(rfc3339_micros("1969-12-31T23:59:59-00:00"), Some(-1_000_000));
        for wrong in [
            "2023-02-29T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "now",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00.Z",
        ] {
            assert_eq!(rfc3339_micros(wrong), None, "{wrong}");
        }
    }
}
