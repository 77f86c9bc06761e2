//! Whether a value is the one expected, by the column's type: `58942.01` is `58942.010000`, and a time is a time.

use aqueduct_topology::model::FieldType;
use serde_json::Value;

/// Whether `found` (JSON) is `expected` (JSON) in a column of that type.
pub(super) fn equal(expected: &str, found: &str, kind: Option<FieldType>) -> bool {
    if expected == found {
        return true;
    }
    let (Ok(expected), Ok(found)) = (serde_json::from_str(expected), serde_json::from_str(found)) else {
        return false;
    };
    match kind {
        Some(FieldType::Json) => expected == found,
        _ if expected == Value::Null || found == Value::Null => expected == found,
        Some(FieldType::Int64 | FieldType::Float64 | FieldType::Decimal { .. }) => {
            match (decimal(&text(&expected)), decimal(&text(&found))) {
                (Some(expected), Some(found)) => expected == found,
                _ => false,
            }
        }
        Some(FieldType::Timestamp) => {
            let time = |value: &Value| text(value).parse::<jiff::Timestamp>().ok();
            time(&expected).is_some_and(|expected| Some(expected) == time(&found))
        }
        _ => text(&expected) == text(&found),
    }
}

/// A text without its quotes, everything else as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Sign, digits without zeros at either end, and the power of ten of the last one: one form for one number.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_end_matches('0');
    let power = exponent - fraction.len() as i64 + (digits.len() - kept.len()) as i64;
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() { Some((false, String::new(), 0)) } else { Some((negative, kept.to_owned(), power)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_texts_by_their_characters() {
        let decimal = Some(FieldType::Decimal { precision: 18, scale: 8 });
        for (expected, found, kind, same) in [
            ("58942.01", "\"58942.010000\"", decimal, true),
            ("\"1e3\"", "\"1000.00\"", decimal, true),
            ("-0", "\"0.00\"", decimal, true),
            ("-1", "\"1\"", decimal, false),
            ("100", "\"10\"", decimal, false),
            ("0.1", "\"0.10000000000000000001\"", decimal, false),
            ("1", "\"1\"", Some(FieldType::Text), true),
            ("1.0", "\"1\"", Some(FieldType::Text), false),
            ("null", "\"null\"", Some(FieldType::Text), false),
            (
                "\"2026-01-01T01:00:00+01:00\"",
                "\"2026-01-01T00:00:00.000000Z\"",
                Some(FieldType::Timestamp),
                true,
            ),
            ("{\"a\":1,\"b\":2}", "{\"b\": 2, \"a\": 1}", Some(FieldType::Json), true),
        ] {
            assert_eq!(equal(expected, found, kind), same, "{expected} and {found}");
        }
    }
}
