//! PostgreSQL's binary `numeric` from a scaled integer, exactly.
//!
//! The format: digits of base 10000, most significant first, without leading or trailing zero digits; `weight` is the
//! power of 10000 of the first one; `scale` is what people see after the point.

const NEGATIVE: u16 = 0x4000;
/// 38 decimal digits on either side of the point make at most 11 digits of base 10000.
const DIGITS_MAX: usize = 12;

/// Appends `value / 10^scale`, its length first.
pub(super) fn put(out: &mut Vec<u8>, value: i128, scale: u8) {
    let mut digits = Digits { digits: [0; DIGITS_MAX], first: DIGITS_MAX, weight: 0 };
    let magnitude = value.unsigned_abs();
    match u64::try_from(magnitude) {
        Ok(small) => digits.fill_small(small, scale),
        Err(_) => digits.fill(magnitude, scale),
    }
    let (digits, weight) = digits.stripped();
    let sign = if value < 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    out.extend_from_slice(&(digits.len() as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::from(scale).to_be_bytes());
    for digit in digits {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

/// Filled from its end towards its front.
struct Digits {
    digits: [u16; DIGITS_MAX],
    first: usize,
    weight: i16,
}

/// The same arithmetic twice: 64 bits divide several times faster than 128, and prices fit.
macro_rules! fill {
    ($name:ident, $integer:ty) => {
        fn $name(&mut self, mut rest: $integer, scale: u8) {
            let groups = scale.div_ceil(4);
            // The last group of the fraction may be short: 0.12345 is 1234 5000.
            let short = u32::from(scale % 4);
            for group in 0..groups {
                let width = if group == 0 && short != 0 { short } else { 4 };
                let base = (10 as $integer).pow(width);
                self.push((rest % base) as u16 * 10u16.pow(4 - width));
                rest /= base;
            }
            self.weight = -1;
            while rest != 0 {
                self.push((rest % 10_000) as u16);
                rest /= 10_000;
                self.weight += 1;
            }
        }
    };
}

impl Digits {
    fill!(fill, u128);
    fill!(fill_small, u64);

    fn push(&mut self, digit: u16) {
        self.first -= 1;
        self.digits[self.first] = digit;
    }

    /// Without zero digits at either end, and the weight of the first.
    fn stripped(&self) -> (&[u16], i16) {
        let mut digits = &self.digits[self.first..];
        let mut weight = self.weight;
        while let [0, rest @ ..] = digits {
            digits = rest;
            weight -= 1;
        }
        while let [rest @ .., 0] = digits {
            digits = rest;
        }
        if digits.is_empty() { (digits, 0) } else { (digits, weight) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: i128, scale: u8) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value, scale);
        out
    }

    /// Reads the binary form back: the value at `scale`, by the format's own definition.
    fn decoded(bytes: &[u8]) -> (i128, u8) {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let (count, weight, sign, scale) = (word(4), word(6) as i16, word(8), word(10));
        assert_eq!(i32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len() - 4);
        assert_eq!(bytes.len(), 12 + 2 * usize::from(count));
        let mut value: i128 = 0;
        for index in 0..count {
            let digit = i128::from(word(12 + 2 * usize::from(index)));
            assert!(digit < 10_000 && ((index != 0 && index + 1 != count) || digit != 0), "stripped");
            let power = i32::from(scale) + 4 * (i32::from(weight) - i32::from(index));
            value +=
                if power >= 0 { digit * 10i128.pow(power as u32) } else { digit / 10i128.pow(-power as u32) };
        }
        (if sign == NEGATIVE { -value } else { value }, scale as u8)
    }

    /// `SELECT numeric_send(x)` of PostgreSQL 17.
    #[test]
    fn bytes_are_postgresqls_own() {
        let golden: [(i128, u8, &str); 8] = [
            (0, 0, "0000000000000000"),
            (0, 8, "0000000000000008"),
            (1, 0, "00010000000000000001"),
            (-1, 8, "0001fffe400000080001"),
            (123_456_789_012, 8, "000300000000000804d2162e2334"),
            (10_000, 0, "00010001000000000001"),
            (50_000, 4, "00010000000000040005"),
            (12_345, 5, "0002ffff0000000504d21388"),
        ];
        for (value, scale, hex) in golden {
            let text: String = encoded(value, scale)[4..].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text, hex, "{value}e-{scale}");
        }
    }

    proptest! {
        #[test]
        fn every_value_survives(value in -10i128.pow(38) + 1..10i128.pow(38), scale in 0u8..=38) {
            prop_assert_eq!(decoded(&encoded(value, scale)), (value, scale));
        }

        #[test]
        fn prices_survive(value in any::<i64>(), scale in 0u8..=18) {
            prop_assert_eq!(decoded(&encoded(i128::from(value), scale)), (i128::from(value), scale));
        }
    }
}
