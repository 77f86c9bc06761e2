//! Values of PostgreSQL's types that a field carries as text: read strictly, written as their binary form.
//!
//! Invariant: what is written reads back as what was said. What does not parse, does not fit or would be rounded is
//! unfit, with a reason in the database's own words; nothing is ever cut or guessed.

use super::encode::Unfit;
use super::numeric;
use crate::expr::decimal::{Decimal, NumberFault};
use jiff::Span;
use jiff::civil::{Date, DateTime, Time, date};
use std::net::IpAddr;

/// Of `inet` and `cidr`, as PostgreSQL numbers the families.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

/// A type that is read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `true`, `false`.
    Bool,
    /// Two bytes.
    Int2,
    /// Four bytes.
    Int4,
    /// Eight bytes.
    Int8,
    /// A finite number whose digits four bytes keep.
    Float4,
    /// A finite number.
    Float8,
    /// Exact; with as many digits after the point as the column keeps, or any.
    Numeric(Option<u8>),
    /// The characters.
    Text,
    /// 32 hexadecimal digits, with or without hyphens.
    Uuid,
    /// `2026-01-31`.
    Date,
    /// `23:59:59.999999`.
    Time,
    /// `2026-01-31T23:59:59.999999`, without an offset.
    Timestamp,
    /// ISO 8601: `P1Y2M3DT4H5M6.7S`; or `1h 30m`.
    Interval,
    /// An address, with the length of its network or without.
    Inet,
    /// A network: no bit is set beyond its length.
    Cidr,
    /// `\x` and hexadecimal digits.
    Bytea,
}

fn unfit(reason: &'static str, message: impl Into<String>) -> Box<Unfit> {
    Box::new(Unfit { reason, message: message.into() })
}

fn unreadable(text: &str, what: &str) -> Box<Unfit> {
    const SHOWN_MAX: usize = 40;
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    unfit("invalid_text_representation", format!("`{shown}` is no {what}"))
}

/// Writes a length and so many bytes.
fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// An integer of a narrower type, or unfit.
pub(super) fn put_int(out: &mut Vec<u8>, value: i64, scalar: Scalar) -> Result<(), Box<Unfit>> {
    let beyond = || unfit("numeric_value_out_of_range", format!("{value} is out of range"));
    match scalar {
        Scalar::Int2 => put(out, i16::try_from(value).map_err(|_| beyond())?.to_be_bytes()),
        Scalar::Int4 => put(out, i32::try_from(value).map_err(|_| beyond())?.to_be_bytes()),
        _ => put(out, value.to_be_bytes()),
    }
    Ok(())
}

/// A `real`: the nearest one, if its shortest digits are still those of `value`; unfit otherwise.
pub(super) fn put_real(out: &mut Vec<u8>, value: f64) -> Result<(), Box<Unfit>> {
    let nearest = value as f32;
    if nearest.is_infinite() && value.is_finite() {
        return Err(unfit("numeric_value_out_of_range", format!("{value} is out of range")));
    }
    let kept = f64::from(nearest) == value || nearest.to_string().parse() == Ok(value);
    if !kept {
        let message = format!("{value} has more digits than a real keeps");
        return Err(unfit("numeric_value_out_of_range", message));
    }
    put(out, nearest.to_be_bytes());
    Ok(())
}

fn finite(text: &str) -> Result<f64, Box<Unfit>> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| unreadable(text, "finite number"))
}

/// Appends `text` as a value of that type, its length first. After an error `out` is as it was.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str, scalar: Scalar) -> Result<(), Box<Unfit>> {
    match scalar {
        Scalar::Text => {
            out.extend_from_slice(&(text.len() as i32).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        Scalar::Bool => match text {
            "true" => put(out, [1]),
            "false" => put(out, [0]),
            _ => return Err(unreadable(text, "boolean")),
        },
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 => {
            let value = text.parse().map_err(|_| unreadable(text, "integer of 64 bits"))?;
            put_int(out, value, scalar)?;
        }
        Scalar::Float4 => put_real(out, finite(text)?)?,
        Scalar::Float8 => put(out, finite(text)?.to_be_bytes()),
        Scalar::Numeric(kept) => put_numeric(out, text, kept)?,
        Scalar::Uuid => put(out, uuid(text).ok_or_else(|| unreadable(text, "uuid"))?),
        Scalar::Date => {
            let of = |byte: u8| byte.is_ascii_digit() || byte == b'-';
            let read = text.bytes().all(of).then(|| text.parse::<Date>().ok()).flatten();
            put(out, days(read.ok_or_else(|| unreadable(text, "date"))?).to_be_bytes());
        }
        Scalar::Time => {
            let of = |byte: u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
            let read = text.bytes().all(of).then(|| text.parse::<Time>().ok()).flatten();
            put(out, since_midnight(read.ok_or_else(|| unreadable(text, "time of day"))?)?.to_be_bytes());
        }
        Scalar::Timestamp => {
            let of = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'T' | b' ' | b':' | b'.');
            let read = text.bytes().all(of).then(|| text.parse::<DateTime>().ok()).flatten();
            let read = read.ok_or_else(|| unreadable(text, "date and time without an offset"))?;
            let us = i64::from(days(read.date())) * 86_400_000_000 + since_midnight(read.time())?;
            put(out, us.to_be_bytes());
        }
        Scalar::Interval => put(out, interval(text)?),
        Scalar::Inet | Scalar::Cidr => put_network(out, text, scalar == Scalar::Cidr)?,
        Scalar::Bytea => {
            let bytes = text.strip_prefix("\\x").and_then(bytes);
            let bytes = bytes.ok_or_else(|| unreadable(text, "`\\x` and hexadecimal digits"))?;
            out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

fn put_numeric(out: &mut Vec<u8>, text: &str, kept: Option<u8>) -> Result<(), Box<Unfit>> {
    let beyond = || unfit("numeric_value_out_of_range", format!("{text} has more digits than are kept"));
    let value = Decimal::parse(text).map_err(|fault| match fault {
        NumberFault::Malformed => unreadable(text, "decimal number"),
        _ => beyond(),
    })?;
    let scale = kept.map_or(value.scale, u32::from);
    let units = value.rescale(scale).ok_or_else(beyond)?;
    numeric::put(out, units, scale as u8);
    Ok(())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| if let [high, low] = *pair { Some(digit(high)? << 4 | digit(low)?) } else { None })
        .collect()
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    let plain: String = match text.len() {
        36 if hyphens.iter().all(|at| text.as_bytes()[*at] == b'-') => text.replace('-', ""),
        32 => text.to_owned(),
        _ => return None,
    };
    bytes(&plain)?.try_into().ok()
}

/// Since 2000.
fn days(read: Date) -> i32 {
    let since = |year| date(year, 1, 1);
    read.since((jiff::Unit::Day, since(2000))).map_or(0, |span| span.get_days())
}

/// In microseconds.
fn since_midnight(time: Time) -> Result<i64, Box<Unfit>> {
    let nanos = i64::from(time.subsec_nanosecond());
    if nanos % 1000 != 0 {
        return Err(unfit("datetime_field_overflow", format!("{time} is finer than a microsecond")));
    }
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    Ok(seconds * 1_000_000 + nanos / 1000)
}

/// Microseconds, days and months apart, as PostgreSQL keeps them: no day is taken for 24 hours.
fn interval(text: &str) -> Result<[u8; 16], Box<Unfit>> {
    let span: Span = text.parse().map_err(|_| unreadable(text, "interval"))?;
    let beyond =
        || unfit("interval_field_overflow", format!("{text} is out of range, or finer than a microsecond"));
    let nanos = span.get_nanoseconds();
    let parts = [
        (i64::from(span.get_hours()), 3_600_000_000),
        (span.get_minutes(), 60_000_000),
        (span.get_seconds(), 1_000_000),
        (span.get_milliseconds(), 1000),
        (span.get_microseconds(), 1),
        (nanos / 1000, 1),
    ];
    let add = |sum: Option<i64>, (count, us): (i64, i64)| sum?.checked_add(count.checked_mul(us)?);
    let us = parts.into_iter().fold(Some(0), add).filter(|_| nanos % 1000 == 0).ok_or_else(beyond)?;
    let days = span.get_weeks().checked_mul(7).and_then(|days| days.checked_add(span.get_days()));
    let months =
        i32::from(span.get_years()).checked_mul(12).and_then(|months| months.checked_add(span.get_months()));
    let (Some(days), Some(months)) = (days, months) else { return Err(beyond()) };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&us.to_be_bytes());
    bytes[8..12].copy_from_slice(&days.to_be_bytes());
    bytes[12..].copy_from_slice(&months.to_be_bytes());
    Ok(bytes)
}

fn put_network(out: &mut Vec<u8>, text: &str, cidr: bool) -> Result<(), Box<Unfit>> {
    let what = if cidr { "network" } else { "address" };
    let unreadable = || unreadable(text, what);
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| unreadable())?)),
        None => (text, None),
    };
    let (family, bytes) = match address.parse::<IpAddr>().map_err(|_| unreadable())? {
        IpAddr::V4(address) => (FAMILY_V4, address.octets().to_vec()),
        IpAddr::V6(address) => (FAMILY_V6, address.octets().to_vec()),
    };
    let bits = 8 * bytes.len();
    let length = usize::from(length.unwrap_or(bits as u8));
    let set_beyond = |bit: usize| bytes[bit / 8] & (0x80 >> (bit % 8)) != 0;
    if length > bits || cidr && (length..bits).any(set_beyond) {
        return Err(unreadable());
    }
    out.extend_from_slice(&(4 + bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(&[family, length as u8, u8::from(cidr), bytes.len() as u8]);
    out.extend_from_slice(&bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_keeps_months_days_and_time_apart() {
        let mut out = Vec::new();
        put_text(&mut out, "-P1Y2M3DT4.5S", Scalar::Interval).unwrap();
        let expected = [
            &16i32.to_be_bytes()[..],
            &(-4_500_000i64).to_be_bytes(),
            &(-3i32).to_be_bytes(),
            &(-14i32).to_be_bytes(),
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn what_is_not_exactly_that_type_is_unfit_and_leaves_nothing() {
        for (scalar, texts) in [
            (Scalar::Bool, &["yes", "1", ""][..]),
            (Scalar::Int2, &["32768", "-32769", "1.0", "x"]),
            (Scalar::Int4, &["2147483648", "-2147483649"]),
            (Scalar::Int8, &["9223372036854775808"]),
            (Scalar::Float4, &["0.123456789", "16777217", "1e39", "1e-46", "NaN", ""]),
            (Scalar::Float8, &["NaN", "inf", "1e400", ""]),
            (Scalar::Numeric(Some(2)), &["0.123", "x"]),
            (
                Scalar::Uuid,
                &["0", "00000000-0000-0000-0000-00000000000g", "00000000000000000000000000000000-000"],
            ),
            (Scalar::Date, &["2026-02-29", "2026-01-01T00:00", "20260101T00", "x"]),
            (Scalar::Time, &["24:00:00", "12:00:00.0000001", "12:00Z"]),
            (Scalar::Timestamp, &["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00"]),
            (Scalar::Interval, &["P1", "PT0.0000001S", "one day"]),
            (Scalar::Inet, &["1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/x"]),
            (Scalar::Cidr, &["1.2.3.4/24", "::1/64"]),
            (Scalar::Bytea, &["00", "\\x0", "\\xgg"]),
        ] {
            for text in texts {
                let mut out = vec![7];
                assert!(put_text(&mut out, text, scalar).is_err(), "{text:?} as {scalar:?}: {out:?}");
                assert_eq!(out, [7], "{text:?} as {scalar:?}");
            }
        }
    }
}
