//! Digits, eight at a time.

/// The powers of ten that eight digits or fewer reach.
const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// The same as doubles.
const DOUBLE_POWERS: [f64; 9] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
/// A one in each byte.
const ONES: u64 = u64::from_le_bytes([1; 8]);
/// Each byte's highest bit.
const HIGHS: u64 = ONES << 7;

/// The digits that a text begins with, at most sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leading {
    /// The number that they make.
    pub(crate) value: u64,
    /// How many they are.
    pub(crate) count: usize,
}

/// A number without exponent, whose digits are at most sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// Its digits.
    pub(crate) units: i64,
    /// Whether a minus stands before them, also if they are zeros.
    pub(crate) is_negative: bool,
    /// How many there are.
    pub(crate) digits: usize,
    /// How many of them stand after the point.
    pub(crate) fraction: usize,
}

impl Plain {
    /// The nearest double, of up to 15 digits. Their number and the power of ten are doubles exactly, so one division rounds
    /// once, and rightly (Clinger, "How to read floating point numbers accurately", 1990).
    #[inline(always)]
    pub(crate) fn to_f64(self) -> Option<f64> {
        let size = self.units.unsigned_abs() as f64 / DOUBLE_POWERS[self.fraction];
        (self.digits <= 15).then_some(if self.is_negative { -size } else { size })
    }
}

/// See [`Leading`]. What follows the digits does not matter, and makes it fast if it is there.
#[inline(always)]
pub(crate) fn leading(text: &[u8]) -> Leading {
    let first = eight(text);
    if first.count < 8 {
        return first;
    }
    let second = eight(&text[8..]);
    // Sixteen digits stay far below 2^64.
    let value = first.value.wrapping_mul(POWERS[second.count]).wrapping_add(second.value);
    Leading { value, count: second.count + 8 }
}

/// The number that the first `length` bytes of `text` are, if they are one of this kind: digits, with or without a minus
/// before them, and with or without a point between them.
#[inline(always)]
pub(crate) fn plain(text: &[u8], length: usize) -> Option<Plain> {
    let is_negative = *text.first()? == b'-';
    let (text, length) = if is_negative { (&text[1..], length - 1) } else { (text, length) };
    if length <= 8
        && let Some(word) = text.first_chunk::<8>()
    {
        return short(*word, length).map(|(value, digits, fraction)| Plain {
            units: if is_negative { -(value as i64) } else { value as i64 },
            is_negative,
            digits,
            fraction,
        });
    }
    let whole = leading(text);
    let (value, digits, fraction) = if whole.count == length {
        (whole.value, length, 0)
    } else if *text.get(whole.count)? == b'.' {
        let fraction = leading(&text[whole.count + 1..]);
        let digits = whole.count + fraction.count;
        if digits + 1 != length || digits > 16 || fraction.count == 0 || fraction.count > 8 {
            return None;
        }
        (
            whole.value.wrapping_mul(POWERS[fraction.count]).wrapping_add(fraction.value),
            digits,
            fraction.count,
        )
    } else {
        return None;
    };
    if whole.count == 0 {
        return None;
    }
    let units = value as i64;
    Some(Plain { units: if is_negative { -units } else { units }, is_negative, digits, fraction })
}

/// The number that the first `length` bytes of `word` are, how many digits it has, and how many after the point.
#[inline(always)]
fn short(word: [u8; 8], length: usize) -> Option<(u64, usize, usize)> {
    let digits = u64::from_le_bytes(word) ^ (ONES * b'0' as u64);
    let others = others(digits);
    let whole = (others.trailing_zeros() / 8) as usize;
    if whole >= length {
        return (length > 0).then(|| (number(digits << (64 - 8 * length)), length, 0));
    }
    let more = others & others.wrapping_sub(1);
    let is_plain = whole > 0 && whole + 1 < length && (more.trailing_zeros() / 8) as usize >= length;
    // Less than eight of eight bytes are before the point.
    let bits = 8 * whole as u32;
    let (before, behind) = (digits & !(u64::MAX << bits), digits >> bits);
    if !is_plain || behind as u8 != b'.' ^ b'0' {
        return None;
    }
    let joined = before | behind >> 8 << bits;
    // What is behind the number falls off at the top.
    Some((number(joined << (64 - 8 * (length - 1))), length - 1, length - 1 - whole))
}

/// The high bit of each byte above 9: with 0x76 a number of seven bits reaches it from 10 on, and carries no further.
#[inline(always)]
fn others(digits: u64) -> u64 {
    ((digits & !HIGHS).wrapping_add(ONES * 0x76) | digits) & HIGHS
}

#[inline(always)]
fn eight(text: &[u8]) -> Leading {
    let Some(word) = text.first_chunk::<8>() else { return one_by_one(text) };
    let digits = u64::from_le_bytes(*word) ^ (ONES * b'0' as u64);
    let count = (others(digits).trailing_zeros() / 8) as usize;
    if count == 0 {
        return Leading { value: 0, count };
    }
    Leading { value: number(digits << (64 - 8 * count)), count }
}

/// The number of eight digits, the first in the lowest byte: pairs, then fours, then all, each time in one multiplication.
#[inline(always)]
fn number(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[inline(never)]
fn one_by_one(text: &[u8]) -> Leading {
    let (mut value, mut count) = (0, 0);
    for byte in text.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value * 10 + u64::from(byte - b'0');
        count += 1;
    }
    Leading { value, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_as_far_as_they_go() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..50_000 {
            let count = random.usize(0..=18);
            let digits: String = (0..count).map(|_| random.digit(10)).collect();
            let after = ["", "x", ".5", "-", "é", ",\"next\":1", "\u{0}/:;<=>?@"];
            let text = format!("{digits}{}", after[random.usize(..after.len())]);
            let count = count.min(16);
            let value = digits[..count].parse().unwrap_or(0);
            assert_eq!(leading(text.as_bytes()), Leading { value, count }, "{text}");
        }
    }

    #[test]
    fn every_other_byte_ends_them() {
        for (byte, at) in (0..=255u8).flat_map(|byte| (0..16).map(move |at| (byte, at))) {
            let mut text = *b"1234567890123456789";
            text[at] = byte;
            let expected = if byte.is_ascii_digit() { 16 } else { at };
            assert_eq!(leading(&text).count, expected, "{byte} at {at}");
        }
    }

    #[test]
    fn plain_numbers_and_what_is_none() {
        let found =
            |text: &str| plain(text.as_bytes(), text.len()).map(|found| (found.units, found.fraction));
        for (text, number) in [
            ("0", Some((0, 0))),
            ("-0", Some((0, 0))),
            ("12", Some((12, 0))),
            ("-12.50", Some((-1250, 2))),
            ("007", Some((7, 0))),
            ("1234567.12345678", Some((123_456_712_345_678, 8))),
            ("12345678.12345678", Some((1_234_567_812_345_678, 8))),
            ("9999999999999999", Some((9_999_999_999_999_999, 0))),
            ("12345678901234567", None),
            ("123456789.12345678", None),
            ("0.123456789", None),
            ("", None),
            ("-", None),
            (".", None),
            (".5", None),
            ("5.", None),
            ("-.5", None),
            ("--5", None),
            ("+5", None),
            ("1.2.3", None),
            ("1e3", None),
            ("1.5e3", None),
            ("1 ", None),
            ("NaN", None),
        ] {
            assert_eq!(found(text), number, "{text}");
            for after in ["5", ".5", ",\"name\":12345678", "\"", "e5"] {
                let longer = format!("{text}{after}");
                let at = plain(longer.as_bytes(), text.len()).map(|found| (found.units, found.fraction));
                // More digits behind the number are not of it; the scanner leaves none there.
                assert!(at == number || at.is_none(), "{longer}");
            }
        }
    }

    #[test]
    fn a_plain_number_is_what_its_digits_say() {
        let mut random = fastrand::Rng::with_seed(8);
        let mut taken = 0;
        for _ in 0..100_000 {
            let length = random.usize(0..12);
            let mut text: String = (0..length).map(|_| random.digit(10)).collect();
            for _ in 0..random.usize(0..3) {
                text.insert(random.usize(..=text.len()), b"..-e"[random.usize(..4)].into());
            }
            let after = ["\"", ",\"next\":12345678", "}"][random.usize(..3)];
            let Some(found) = plain(format!("{text}{after}").as_bytes(), text.len()) else { continue };
            let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
            assert_eq!(Ok(found.units), format!("{whole}{fraction}").parse(), "{text}");
            assert_eq!(found.fraction, fraction.len(), "{text}");
            assert_eq!(found.digits, whole.trim_start_matches('-').len() + fraction.len(), "{text}");
            assert_eq!(found.is_negative, text.starts_with('-'), "{text}");
            assert_eq!(
                found.to_f64().map(f64::to_bits),
                Some(text.parse::<f64>().expect("a number").to_bits())
            );
            taken += 1;
        }
        assert!(taken > 20_000, "{taken}");
    }
}
