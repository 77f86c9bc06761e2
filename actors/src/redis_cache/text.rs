//! The text of one cell: as it stands in a key and in a hash field.
//!
//! Decimals are plain and exact, with the digits of their column; timestamps RFC 3339 UTC with six digits; bools `true`
//! or `false`; text and json as they are.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, DecimalType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use std::fmt::Write;

/// Appends the text of the cell, which must not be null, to `text`. `false`: a cell of that type has no text.
pub(crate) fn append(column: &ArrayRef, row: usize, text: &mut String) -> bool {
    let written = match column.data_type() {
        DataType::Utf8 => text.write_str(column.as_string::<i32>().value(row)),
        DataType::Int64 => write!(text, "{}", column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write!(text, "{:?}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => write!(text, "{}", column.as_boolean().value(row)),
        DataType::Decimal128(precision, scale) => {
            let value = column.as_primitive::<Decimal128Type>().value(row);
            text.write_str(&Decimal128Type::format_decimal(value, *precision, *scale))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            append_timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row), text)
        }
        _ => return false,
    };
    written.expect("invariant: writing to a String succeeds");
    true
}

fn append_timestamp(microseconds: i64, text: &mut String) -> std::fmt::Result {
    match jiff::Timestamp::from_microsecond(microseconds) {
        Ok(at) => write!(text, "{at:.6}"),
        // Beyond year 9999 there is no RFC 3339: the number itself.
        Err(_) => write!(text, "{microseconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    fn text_of(column: ArrayRef) -> String {
        let mut text = String::new();
        assert!(append(&column, 0, &mut text), "no text for {:?}", column.data_type());
        text
    }

    #[test]
    fn every_column_type_has_its_text() {
        let decimal = |value: i128, scale| {
            Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap())
                as ArrayRef
        };
        let time =
            |value| Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC")) as ArrayRef;
        assert_eq!(text_of(decimal(-150_000_000, 8)), "-1.50000000");
        assert_eq!(text_of(decimal(1, 18)), "0.000000000000000001");
        assert_eq!(text_of(decimal(42, 0)), "42");
        assert_eq!(text_of(time(1_723_107_600_000_000)), "2024-08-08T09:00:00.000000Z");
        assert_eq!(text_of(time(1)), "1970-01-01T00:00:00.000001Z");
        assert_eq!(text_of(Arc::new(Float64Array::from(vec![1e300]))), "1e300");
        assert_eq!(text_of(Arc::new(Int64Array::from(vec![i64::MIN]))), "-9223372036854775808");
        assert_eq!(text_of(Arc::new(BooleanArray::from(vec![true]))), "true");
        assert_eq!(text_of(Arc::new(StringArray::from(vec!["µ {}"]))), "µ {}");
    }
}
