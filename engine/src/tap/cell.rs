//! The value of one cell as JSON, for people who look.
//!
//! Decimals, and integers beyond 2^53, are strings, because readers of JSON keep numbers as doubles; timestamps are
//! RFC 3339 in UTC with six digits; text that is a JSON object or array is embedded, so that redaction reaches into it.

use crate::limits::TAP_TEXT_BYTES_MAX;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use serde_json::Value;

/// Integers beyond it are not exact in a double.
const EXACT_MAX: u64 = 1 << 53;

/// The cell of `row`.
pub(super) fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => {
            let value = column.as_primitive::<Int64Type>().value(row);
            if value.unsigned_abs() > EXACT_MAX { value.to_string().into() } else { value.into() }
        }
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            time(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        other => format!("a value of type {other}").into(),
    }
}

/// Text, or the JSON that it holds. What is too long to be shown whole is told by its length: cut, its JSON could not be
/// read, nor redacted.
pub(super) fn text(text: &str) -> Value {
    if text.len() > TAP_TEXT_BYTES_MAX {
        return format!("{} bytes, too long to be shown", text.len()).into();
    }
    let nested = text.trim_start().starts_with(['{', '[']);
    let parsed = if nested { serde_json::from_str(text).ok() } else { None };
    parsed.unwrap_or_else(|| text.into())
}

/// RFC 3339; beyond the year 9999, for which there is no such notation, the microseconds themselves.
pub(super) fn time(time_us: i64) -> Value {
    jiff::Timestamp::from_microsecond(time_us)
        .map_or_else(|_| time_us.into(), |time| format!("{time:.6}").into())
}

/// Whether a value is what somebody wrote as `wanted`: the same text, or the same number.
pub(super) fn is(value: &Value, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match value {
        Value::Null => wanted == "null",
        Value::String(text) => {
            text == wanted || number(wanted).is_some_and(|wanted| number(text) == Some(wanted))
        }
        Value::Number(value) => {
            value.to_string() == wanted || number(wanted).is_some_and(|wanted| value.as_f64() == Some(wanted))
        }
        other => {
            let text = other.to_string();
            text == wanted
        }
    }
}
