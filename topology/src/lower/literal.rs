//! Values written in the file for a field: defaults, the right sides of `map`, constants of expressions.
//!
//! They are read by the rules of the field's type before any message is.

use super::time::is_rfc3339;
use crate::model::{Field, FieldType};

/// Whether `text` can be a value of `field`.
pub(crate) fn accepts(field: &Field, text: &str) -> bool {
    match field.kind {
        FieldType::Text => field.max_bytes.is_none_or(|most| text.len() <= most),
        FieldType::Int64 => text.parse::<i64>().is_ok(),
        FieldType::Float64 => text.parse::<f64>().is_ok_and(f64::is_finite),
        FieldType::Bool => matches!(text, "true" | "false"),
        FieldType::Json => serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(),
        FieldType::Timestamp => text.parse::<f64>().is_ok_and(f64::is_finite) || is_rfc3339(text),
        FieldType::Decimal { precision, scale } => decimal(text, precision, scale),
    }
}

/// Plain digits that fit; exponents are for messages.
fn decimal(text: &str, precision: u8, scale: u8) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let whole_digits = whole.trim_start_matches('0').len();
    digits(whole)
        && digits(fraction)
        && !whole.is_empty()
        && whole_digits <= usize::from(precision - scale)
        && fraction.trim_end_matches('0').len() <= usize::from(scale)
}
