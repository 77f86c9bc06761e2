//! Exact decimal numbers, read from text without rounding.

use std::cmp::Ordering;

/// `units / 10^scale`, exactly.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// The digits, signed.
    pub units: i128,
    /// How many of them stand after the point; at most [`SCALE_MAX`].
    pub scale: u32,
}

/// Most digits after the point; `10^38` still fits an `i128`.
pub const SCALE_MAX: u32 = 38;

/// Why a text is no number we can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFault {
    /// No number at all.
    Malformed,
    /// More digits than can be kept exactly.
    Inexact,
}

/// A number's digits without trailing zeros: `digits * 10^exponent`.
struct Digits {
    digits: i128,
    exponent: i64,
}

/// The powers of ten that an `i128` holds: computing one costs more than reading a number.
const POWERS: [i128; SCALE_MAX as usize + 1] = {
    let mut powers = [1; SCALE_MAX as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The powers of ten that are doubles.
const DOUBLE_POWERS: [f64; 23] = {
    let mut powers = [1.0; 23];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = POWERS[at] as f64;
        at += 1;
    }
    powers
};

/// `10^power`; `None` past what an `i128` holds.
#[inline]
pub fn power_of_ten(power: u32) -> Option<i128> {
    POWERS.get(power as usize).copied()
}

impl Decimal {
    /// The number `text` says: sign, digits, point, exponent.
    pub fn parse(text: &str) -> Result<Self, NumberFault> {
        let Digits { digits, exponent } = digits(text)?;
        if digits == 0 {
            return Ok(Self { units: 0, scale: 0 });
        }
        if exponent < 0 {
            let scale = u32::try_from(-exponent).map_err(|_| NumberFault::Inexact)?;
            return if scale > SCALE_MAX {
                Err(NumberFault::Inexact)
            } else {
                Ok(Self { units: digits, scale })
            };
        }
        let units = shifted(digits, exponent).ok_or(NumberFault::Inexact)?;
        Ok(Self { units, scale: 0 })
    }

    /// The same number with `scale` digits after the point, if that is exact.
    pub fn rescale(self, scale: u32) -> Option<i128> {
        if scale == self.scale {
            return Some(self.units);
        }
        if scale > self.scale {
            return self.units.checked_mul(power_of_ten(scale - self.scale)?);
        }
        let divisor = power_of_ten(self.scale - scale)?;
        (self.units % divisor == 0).then(|| self.units / divisor)
    }

    /// The sum, exactly.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let units = self.rescale(scale)?.checked_add(other.rescale(scale)?)?;
        Some(Self { units, scale })
    }

    /// The number with its sign changed.
    pub fn checked_neg(self) -> Option<Self> {
        Some(Self { units: self.units.checked_neg()?, scale: self.scale })
    }

    /// The nearest double.
    #[inline]
    pub fn to_f64(self) -> f64 {
        /// Whole numbers up to this, and powers of ten up to the 22nd, are doubles themselves; so their quotient, rounded
        /// once, is the nearest double.
        const WHOLE_MAX: u128 = 1 << f64::MANTISSA_DIGITS;
        if self.units.unsigned_abs() <= WHOLE_MAX && self.scale <= 22 {
            return self.units as i64 as f64 / DOUBLE_POWERS[self.scale as usize];
        }
        self.to_f64_by_division()
    }

    /// The quotient with more bits than a double has, of which the last says that something is left: so the one rounding,
    /// to a double, is the right one.
    fn to_f64_by_division(self) -> f64 {
        let divisor = power_of_ten(self.scale).and_then(|power| u64::try_from(power).ok());
        let (Some(divisor), units @ 1..) = (divisor.map(u128::from), self.units.unsigned_abs()) else {
            return self.to_f64_by_text();
        };
        // All 128 bits are used, so the quotient has at least 64.
        let shift = units.leading_zeros();
        let dividend = units << shift;
        let quotient = dividend / divisor;
        let rest = dividend.wrapping_sub(quotient.wrapping_mul(divisor));
        let spare = 64 - quotient.leading_zeros();
        let left = rest != 0 || quotient.trailing_zeros() < spare;
        let bits = (quotient >> spare) as u64 | u64::from(left);
        let power_of_two = f64::from_bits((1023 + u64::from(spare) - u64::from(shift)) << 52);
        let size = bits as f64 * power_of_two;
        if self.units < 0 { -size } else { size }
    }

    #[cold]
    fn to_f64_by_text(self) -> f64 {
        self.to_string().parse().expect("invariant: a decimal's text is a number")
    }

    /// Compares exactly.
    pub fn compare(self, other: Self) -> Ordering {
        if self.scale == other.scale || self.units == 0 || other.units == 0 {
            return self.units.cmp(&other.units);
        }
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale), other.rescale(scale)) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs),
            // Only one of both was scaled up; what no longer fits is the one farther from zero.
            (None, _) => self.units.cmp(&0),
            (_, None) => 0.cmp(&other.units),
        }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// `text` as units of `10^-scale`, exactly; digits beyond `scale` must be zeros.
#[inline]
pub fn parse_scaled(text: &str, scale: u32) -> Result<i128, NumberFault> {
    if let Some(units) = short_scaled(text.as_bytes(), scale) {
        return Ok(units);
    }
    let Digits { digits, exponent } = digits(text)?;
    if digits == 0 {
        return Ok(0);
    }
    match exponent + i64::from(scale) {
        shift @ 0.. => shifted(digits, shift).ok_or(NumberFault::Inexact),
        _ => Err(NumberFault::Inexact),
    }
}

/// The common case: up to 18 digits, no exponent, no more of them after the point than `scale`.
#[inline]
fn short_scaled(bytes: &[u8], scale: u32) -> Option<i128> {
    let (negative, bytes) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    if bytes.is_empty() || bytes.len() > 19 {
        return None;
    }
    let (mut units, mut digits, mut fraction) = (0i64, 0u32, None);
    for &byte in bytes {
        match byte {
            b'0'..=b'9' => {
                units = units.wrapping_mul(10).wrapping_add(i64::from(byte - b'0'));
                digits += 1;
            }
            b'.' if fraction.is_none() => fraction = Some(digits),
            _ => return None,
        }
    }
    let fraction = fraction.map_or(0, |before| digits - before);
    if digits == 0 || digits > 18 || fraction > scale {
        return None;
    }
    scaled(if negative { -units } else { units }, fraction, scale)
}

/// `units / 10^fraction` as units of `10^-scale`, if `scale` is no smaller.
#[inline]
pub(crate) fn scaled(units: i64, fraction: u32, scale: u32) -> Option<i128> {
    let power = power_of_ten(scale.checked_sub(fraction)?)?;
    match i64::try_from(power) {
        // A product of two 64-bit numbers always fits.
        Ok(power) => Some(i128::from(units).wrapping_mul(i128::from(power))),
        Err(_) => i128::from(units).checked_mul(power),
    }
}

fn shifted(digits: i128, exponent: i64) -> Option<i128> {
    digits.checked_mul(power_of_ten(u32::try_from(exponent).ok()?)?)
}

fn digits(text: &str) -> Result<Digits, NumberFault> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, written_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (mut value, mut zeros, mut count, mut fraction) = (0i128, 0u32, 0u64, None);
    let mut fits = true;
    for byte in mantissa.bytes() {
        match byte {
            b'0' => (zeros, count) = (zeros + u32::from(value != 0), count + 1),
            b'1'..=b'9' => {
                count += 1;
                let next = power_of_ten(zeros + 1)
                    .and_then(|power| value.checked_mul(power))
                    .and_then(|value| value.checked_add(i128::from(byte - b'0')));
                zeros = 0;
                match next {
                    Some(next) => value = next,
                    None => fits = false,
                }
            }
            b'.' if fraction.is_none() => fraction = Some(count),
            _ => return Err(NumberFault::Malformed),
        }
    }
    if count == 0 {
        return Err(NumberFault::Malformed);
    }
    if !fits {
        return Err(NumberFault::Inexact);
    }
    let after_point = fraction.map_or(0, |before| count - before) as i64;
    let value = if text.starts_with('-') { -value } else { value };
    Ok(Digits { digits: value, exponent: exponent + i64::from(zeros) - after_point })
}

fn written_exponent(text: &str) -> Result<i64, NumberFault> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberFault::Malformed);
    }
    // Past a billion the sign is all that matters.
    let size = digits.trim_start_matches('0');
    let size = if size.len() > 9 { 1_000_000_000 } else { size.parse().unwrap_or(0) };
    Ok(if text.starts_with('-') { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::NumberFault::{Inexact, Malformed};
    use super::*;

    #[test]
    fn scaled_units_are_exact_or_refused() {
        for (text, scale, units) in [
            ("0", 8, Ok(0)),
            ("-0", 8, Ok(0)),
            ("1", 8, Ok(100_000_000)),
            ("58942.01000000", 8, Ok(5_894_201_000_000)),
            ("58942.010000000000", 8, Ok(5_894_201_000_000)),
            ("58942.010000001", 8, Err(Inexact)),
            ("-0.00000001", 8, Ok(-1)),
            ("+1.5", 1, Ok(15)),
            ("007.50", 1, Ok(75)),
            ("5.0E-4", 8, Ok(50_000)),
            ("9.2e-7", 8, Ok(92)),
            ("1e3", 0, Ok(1000)),
            ("1E+3", 0, Ok(1000)),
            ("1.5e1", 0, Ok(15)),
            ("1.5e0", 0, Err(Inexact)),
            ("1e400", 8, Err(Inexact)),
            ("1e99999999999", 8, Err(Inexact)),
            ("1e-99999999999", 8, Err(Inexact)),
            ("0e99999999999", 8, Ok(0)),
            ("0.000000000000000001", 18, Ok(1)),
            ("123456789012345678.123456789012345678", 18, Ok(123456789012345678123456789012345678)),
            ("100182534526255757567432481", 0, Ok(100182534526255757567432481)),
            ("99999999999999999999999999999999999999", 0, Ok(99999999999999999999999999999999999999)),
            ("999999999999999999999999999999999999999999", 0, Err(Inexact)),
            ("1000000000000000000", 0, Ok(1_000_000_000_000_000_000)),
            ("9223372036854775808", 0, Ok(9_223_372_036_854_775_808)),
            ("", 0, Err(Malformed)),
            ("-", 0, Err(Malformed)),
            (".", 0, Err(Malformed)),
            ("1.2.3", 4, Err(Malformed)),
            ("abc", 4, Err(Malformed)),
            ("1 ", 4, Err(Malformed)),
            ("1,5", 4, Err(Malformed)),
            ("NaN", 4, Err(Malformed)),
            ("1e", 4, Err(Malformed)),
            ("1e1.5", 4, Err(Malformed)),
            ("0x10", 4, Err(Malformed)),
            ("--1", 4, Err(Malformed)),
        ] {
            assert_eq!(parse_scaled(text, scale), units, "{text} at scale {scale}");
        }
        let long = format!("1.{}", "0".repeat(500));
        assert_eq!(parse_scaled(&long, 2), Ok(100));
    }

    #[test]
    fn comparison_and_sum_are_exact() {
        let read = |text| Decimal::parse(text).unwrap();
        assert_eq!(read("0.1").checked_add(read("0.2")).unwrap().compare(read("0.3")), Ordering::Equal);
        assert_eq!(read("1e30").compare(read("0.00000000000000000001")), Ordering::Greater);
        assert_eq!(read("-1e37").compare(read("1e-30")), Ordering::Less);
        assert_eq!(read("1e-30").compare(read("-1e37")), Ordering::Greater);
        assert_eq!(read("-1.50").to_string(), "-1.5");
        assert_eq!(read("0.005").to_string(), "0.005");
        assert_eq!(read("58942.01").to_f64(), 58942.01);
    }

    #[test]
    fn the_nearest_double_is_that_of_the_text() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..20_000 {
            let scale = random.u32(0..=SCALE_MAX);
            let units = match random.u32(0..4) {
                // In the middle between two doubles, or next to it.
                0 => {
                    let middle = i128::from(random.i64(1 << 53..1 << 54) | 1);
                    middle.saturating_mul(POWERS[scale.min(21) as usize]) + random.i128(-1..=1)
                }
                1 => i128::from(random.i64(..)).saturating_mul(POWERS[random.usize(0..20)]),
                _ => random.i128(..) >> random.u32(0..127),
            };
            let decimal = Decimal { units, scale };
            assert_eq!(decimal.to_f64().to_bits(), decimal.to_f64_by_text().to_bits(), "{decimal}");
        }
    }
}
