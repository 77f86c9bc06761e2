//! Values of a table as the columns a normalizer would have made of them, so that they get the same text.

use super::table::micros_of;
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{Column, FieldType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::Field;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_postgres::Row;

/// What the server is to make of a column before it sends it: exact, whatever the column's own type is.
pub(super) fn cast(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text | FieldType::Json | FieldType::Decimal { .. } => "text",
        FieldType::Int64 => "bigint",
        FieldType::Float64 => "double precision",
        FieldType::Bool => "boolean",
        FieldType::Timestamp => "timestamptz",
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Decimal(i128),
}

impl Cell {
    /// The `index`th value of `row`, a column of that kind.
    pub(super) fn of(row: &Row, index: usize, kind: FieldType) -> Result<Self, Error> {
        let strange = |error: tokio_postgres::Error| Error::bug(format!("a value of the table: {error}"));
        let cell = match kind {
            FieldType::Text | FieldType::Json => {
                row.try_get::<_, Option<String>>(index).map(|v| v.map(Self::Text))
            }
            FieldType::Int64 => row.try_get::<_, Option<i64>>(index).map(|v| v.map(Self::Int)),
            FieldType::Float64 => row.try_get::<_, Option<f64>>(index).map(|v| v.map(Self::Float)),
            FieldType::Bool => row.try_get::<_, Option<bool>>(index).map(|v| v.map(Self::Bool)),
            FieldType::Timestamp => {
                row.try_get::<_, Option<SystemTime>>(index).map(|v| v.map(|time| Self::Int(micros_of(time))))
            }
            FieldType::Decimal { scale, .. } => {
                let text = row.try_get::<_, Option<String>>(index).map_err(strange)?;
                return text.map_or(Ok(Self::Null), |text| decimal(&text, scale).map(Self::Decimal));
            }
        };
        Ok(cell.map_err(strange)?.unwrap_or(Self::Null))
    }
}

/// `text` in units of the last of `scale` digits.
fn decimal(text: &str, scale: u8) -> Result<i128, Error> {
    let unfit = || {
        Error::new(
            Class::Config,
            format!("the table holds {text}, which no decimal of {scale} digits behind the point is"),
        )
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let (kept, beyond) = part.split_at(part.len().min(scale.into()));
    if beyond.bytes().any(|digit| digit != b'0') {
        return Err(unfit());
    }
    let digits = format!("{whole}{kept}{}", "0".repeat(usize::from(scale) - kept.len()));
    digits.parse().map_err(|_| unfit())
}

/// A batch of `rows` rows. They have no offset: the least stands for it, so that a value with one is never lowered.
pub(super) fn record_batch(
    columns: &[Column],
    cells: Vec<Vec<Cell>>,
    rows: usize,
) -> Result<RecordBatch, Error> {
    let mut arrays: Vec<ArrayRef> = columns
        .iter()
        .zip(cells)
        .map(|(column, cells)| array(column.kind, cells))
        .collect::<Result<_, _>>()?;
    let field =
        |(column, array): (&Column, &ArrayRef)| Field::new(&column.name, array.data_type().clone(), true);
    let schema = with_hidden_columns(columns.iter().zip(&arrays).map(field));
    arrays.extend(hidden_columns(vec![0; rows], vec![0; rows]));
    RecordBatch::try_new(schema, arrays).map_err(|error| Error::bug(format!("rows of a table: {error}")))
}

fn array(kind: FieldType, cells: Vec<Cell>) -> Result<ArrayRef, Error> {
    let ints =
        |cells: Vec<Cell>| cells.into_iter().map(|cell| if let Cell::Int(v) = cell { Some(v) } else { None });
    Ok(match kind {
        FieldType::Text | FieldType::Json => Arc::new(StringArray::from_iter(
            cells.into_iter().map(|cell| if let Cell::Text(v) = cell { Some(v) } else { None }),
        )),
        FieldType::Int64 => Arc::new(Int64Array::from_iter(ints(cells))),
        FieldType::Timestamp => {
            Arc::new(TimestampMicrosecondArray::from_iter(ints(cells)).with_timezone("UTC"))
        }
        FieldType::Float64 => Arc::new(Float64Array::from_iter(
            cells.into_iter().map(|cell| if let Cell::Float(v) = cell { Some(v) } else { None }),
        )),
        FieldType::Bool => Arc::new(BooleanArray::from_iter(
            cells.into_iter().map(|cell| if let Cell::Bool(v) = cell { Some(v) } else { None }),
        )),
        FieldType::Decimal { precision, scale } => {
            let values =
                cells.into_iter().map(|cell| if let Cell::Decimal(v) = cell { Some(v) } else { None });
            let values = Decimal128Array::from_iter(values).with_precision_and_scale(precision, scale as i8);
            Arc::new(values.map_err(|error| Error::bug(format!("decimals of a table: {error}")))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_its_value_whatever_digits_the_table_has() {
        assert_eq!(decimal("12.50000000", 8).unwrap(), 1_250_000_000);
        assert_eq!(decimal("-0.25", 4).unwrap(), -2_500);
        assert_eq!(decimal("7", 2).unwrap(), 700);
        assert_eq!(decimal("1.2300", 2).unwrap(), 123);
        assert_eq!(decimal("-3", 0).unwrap(), -3);
    }

    #[test]
    fn what_would_lose_a_digit_is_refused() {
        for text in ["1.234", "NaN", "Infinity"] {
            assert_eq!(decimal(text, 2).unwrap_err().class, Class::Config, "{text}");
        }
    }
}
