//! Decimals as bytes, which Avro and Confluent's Protobuf write alike.

/// The number of a decimal: two's complement, the highest byte first.
pub(super) fn units(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xff } else { 0 };
    let spare = bytes.len().saturating_sub(16);
    let (above, held) = bytes.split_at(spare);
    let mut whole = [sign; 16];
    whole[16 - held.len()..].copy_from_slice(held);
    let units = i128::from_be_bytes(whole);
    // What does not fit only repeats the sign.
    (above.iter().all(|byte| *byte == sign) && (units < 0) == (sign != 0)).then_some(units)
}

/// A whole number of units of `10^-scale`.
pub(super) fn write_decimal(text: &mut String, units: i128, scale: u32) {
    if units < 0 {
        text.push('-');
    }
    let digits = units.unsigned_abs().to_string();
    let scale = scale as usize;
    let whole = digits.len().saturating_sub(scale);
    text.push_str(if whole == 0 { "0" } else { &digits[..whole] });
    if scale > 0 {
        text.push('.');
        text.extend(std::iter::repeat_n('0', scale.saturating_sub(digits.len())));
        text.push_str(&digits[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_number_of_any_length_that_fits() {
        for (bytes, number) in [
            (&[][..], Some(0)),
            (&[0xff], Some(-1)),
            (&[0x00, 0xff], Some(255)),
            (&[0x80], Some(-128)),
            (&[0x7f; 16], Some(i128::from_be_bytes([0x7f; 16]))),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], Some(5)),
            (&[0xff; 20], Some(-1)),
            (&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Some(i128::MIN)),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
            (&[0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(units(bytes), number, "{bytes:?}");
        }
    }

    #[test]
    fn a_decimal_keeps_its_digits() {
        for (units, scale, text) in [
            (0, 0, "0"),
            (-5, 2, "-0.05"),
            (1250, 2, "12.50"),
            (7, 0, "7"),
            (100, 2, "1.00"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            let mut found = String::new();
            write_decimal(&mut found, units, scale);
            assert_eq!(found, text);
        }
    }
}
