//! COPY BINARY from Arrow columns.
//!
//! Rows are written one after the other, as the format wants, each cell from its own typed column: no value passes
//! through a boxed type, and nothing can panic on a value. A value that its column cannot hold exactly is told apart from
//! its neighbours before the database sees it.

use super::array::{self, Element};
use super::numeric;
use super::parsed::{self, Scalar};
use aqueduct_engine::Error;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use std::ops::Range;

/// The signature, no flags, no header extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a row's count of columns: no row follows.
pub const TRAILER: &[u8] = &(-1i16).to_be_bytes();
/// From 1970-01-01 to PostgreSQL's 2000-01-01.
const EPOCH_SHIFT_US: i64 = 946_684_800_000_000;

/// Why a value has no place in its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// A stable word, as the database would say it.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// A value that has no place in its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its row.
    pub row: usize,
    /// Its column's place in the plan.
    pub cell: usize,
    /// What is wrong with it.
    pub unfit: Unfit,
}

/// How one column becomes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text, and json: the characters.
    Text,
    /// The version, then the characters.
    Jsonb,
    /// Eight bytes.
    Int8,
    /// An int64 for a column of fewer bytes.
    Narrow(Scalar),
    /// An int64 for a numeric column.
    Int8AsNumeric,
    /// A float64 for a column of four bytes.
    Float4,
    /// Eight bytes.
    Float8,
    /// One byte.
    Bool,
    /// Microseconds since 2000, UTC.
    Timestamptz,
    /// A text that is read as another type.
    Parsed(Scalar),
    /// A JSON array.
    Array(Element),
    /// A scaled integer.
    Numeric {
        /// Digits after the point.
        scale: u8,
    },
}

/// One column of one batch, ready to be read by row.
#[derive(Debug)]
pub struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

#[derive(Debug)]
enum Values<'a> {
    Text(&'a StringArray),
    Jsonb(&'a StringArray),
    Int8(&'a ScalarBuffer<i64>),
    Narrow(&'a ScalarBuffer<i64>, Scalar),
    Int8AsNumeric(&'a ScalarBuffer<i64>),
    Parsed(&'a StringArray, Scalar),
    Array(&'a StringArray, Element),
    Float4(&'a ScalarBuffer<f64>),
    Float8(&'a ScalarBuffer<f64>),
    Bool(&'a arrow_array::BooleanArray),
    Timestamptz(&'a ScalarBuffer<i64>),
    Numeric(&'a ScalarBuffer<i128>, u8),
}

impl<'a> Cells<'a> {
    /// The columns of `rows` by position and encoding.
    pub fn of(rows: &'a RecordBatch, plan: &[(usize, Encoding)]) -> Result<Vec<Self>, Error> {
        plan.iter().map(|&(index, encoding)| Self::column(rows, index, encoding)).collect()
    }

    fn column(rows: &'a RecordBatch, index: usize, encoding: Encoding) -> Result<Self, Error> {
        let array: &'a dyn Array = rows.columns().get(index).map(AsRef::as_ref).ok_or_else(|| {
            Error::bug(format!("a batch of {} columns lacks the {index}th", rows.num_columns()))
        })?;
        let int64 = || array.as_primitive_opt::<Int64Type>().map(arrow_array::PrimitiveArray::values);
        let float64 = || array.as_primitive_opt::<Float64Type>().map(arrow_array::PrimitiveArray::values);
        let values = match encoding {
            Encoding::Text => array.as_string_opt().map(Values::Text),
            Encoding::Jsonb => array.as_string_opt().map(Values::Jsonb),
            Encoding::Int8 => int64().map(Values::Int8),
            Encoding::Narrow(scalar) => int64().map(|values| Values::Narrow(values, scalar)),
            Encoding::Parsed(scalar) => array.as_string_opt().map(|array| Values::Parsed(array, scalar)),
            Encoding::Array(element) => array.as_string_opt().map(|array| Values::Array(array, element)),
            Encoding::Int8AsNumeric => int64().map(Values::Int8AsNumeric),
            Encoding::Float4 => float64().map(Values::Float4),
            Encoding::Float8 => float64().map(Values::Float8),
            Encoding::Bool => array.as_boolean_opt().map(Values::Bool),
            Encoding::Timestamptz => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .map(|array| Values::Timestamptz(array.values())),
            Encoding::Numeric { scale } => array
                .as_primitive_opt::<Decimal128Type>()
                .filter(|array| array.scale() == scale as i8)
                .map(|array| Values::Numeric(array.values(), scale)),
        };
        let values = values.ok_or_else(|| {
            let schema = rows.schema();
            let field = schema.field(index);
            Error::bug(format!(
                "column `{}` of a batch is {}, expected what {encoding:?} writes",
                field.name(),
                field.data_type()
            ))
        })?;
        Ok(Self { nulls: array.nulls().filter(|nulls| nulls.null_count() > 0), values })
    }

    fn put(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Box<Unfit>> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        match &self.values {
            Values::Text(array) => put_bytes(out, array.value(row).as_bytes()),
            Values::Jsonb(array) => {
                let text = array.value(row).as_bytes();
                out.extend_from_slice(&(text.len() as i32 + 1).to_be_bytes());
                out.push(1);
                out.extend_from_slice(text);
            }
            Values::Int8(values) => put_eight(out, values[row].to_be_bytes()),
            Values::Narrow(values, scalar) => return parsed::put_int(out, values[row], *scalar),
            Values::Parsed(array, scalar) => return parsed::put_text(out, array.value(row), *scalar),
            Values::Array(array, element) => return array::put(out, array.value(row), *element),
            Values::Int8AsNumeric(values) => numeric::put(out, i128::from(values[row]), 0),
            Values::Float4(values) => return parsed::put_real(out, values[row]),
            Values::Float8(values) => put_eight(out, values[row].to_be_bytes()),
            Values::Bool(array) => out.extend_from_slice(&[0, 0, 0, 1, u8::from(array.value(row))]),
            Values::Timestamptz(values) => put_eight(out, postgres_time(values[row]).to_be_bytes()),
            Values::Numeric(values, scale) => numeric::put(out, values[row], *scale),
        }
        Ok(())
    }
}

/// Microseconds since 2000. What PostgreSQL cannot hold must not become its `infinity`, which the two ends of `i64`
/// stand for: one inside of them is out of range, and refused.
fn postgres_time(us: i64) -> i64 {
    us.saturating_sub(EPOCH_SHIFT_US).clamp(i64::MIN + 1, i64::MAX - 1)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn put_eight(out: &mut Vec<u8>, bytes: [u8; 8]) {
    let mut cell = [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    cell[4..].copy_from_slice(&bytes);
    out.extend_from_slice(&cell);
}

/// Appends rows until `out` holds `bytes_max`; says how far it came. After a misfit the last row in `out` is not whole.
pub fn put_rows(
    cells: &[Cells<'_>],
    rows: Range<usize>,
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<usize, Misfit> {
    let columns = (cells.len() as i16).to_be_bytes();
    for row in rows.clone() {
        if out.len() >= bytes_max {
            return Ok(row);
        }
        out.extend_from_slice(&columns);
        for (cell, values) in cells.iter().enumerate() {
            values.put(row, out).map_err(|unfit| Misfit { row, cell, unfit: *unfit })?;
        }
    }
    Ok(rows.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Decimal128Array, Float64Array, Int64Array, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn every_type() -> RecordBatch {
        let times =
            TimestampMicrosecondArray::from(vec![Some(EPOCH_SHIFT_US + 1), None]).with_timezone("UTC");
        let prices = Decimal128Array::from(vec![Some(12_345), None]).with_precision_and_scale(18, 2).unwrap();
        RecordBatch::try_from_iter_with_nullable([
            ("ts", Arc::new(times) as Arc<dyn Array>, true),
            ("symbol", Arc::new(StringArray::from(vec![Some("é"), None])), true),
            ("id", Arc::new(Int64Array::from(vec![Some(-2), None])), true),
            ("ratio", Arc::new(Float64Array::from(vec![Some(1.5), None])), true),
            ("maker", Arc::new(BooleanArray::from(vec![Some(true), None])), true),
            ("price", Arc::new(prices), true),
            ("extra", Arc::new(StringArray::from(vec![Some("{}"), None])), true),
        ])
        .unwrap()
    }

    const PLAN: [(usize, Encoding); 7] = [
        (0, Encoding::Timestamptz),
        (1, Encoding::Text),
        (2, Encoding::Int8),
        (3, Encoding::Float8),
        (4, Encoding::Bool),
        (5, Encoding::Numeric { scale: 2 }),
        (6, Encoding::Jsonb),
    ];

    #[test]
    fn a_row_is_what_the_format_says() {
        let rows = every_type();
        let cells = Cells::of(&rows, &PLAN).unwrap();
        let mut out = Vec::new();
        assert_eq!(put_rows(&cells, 0..1, usize::MAX, &mut out), Ok(1));
        let expected: Vec<u8> = [
            &[0, 7][..],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 0, 0, 2, 0xc3, 0xa9],
            &[0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 254],
            &[0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 1, 1],
            &[0, 0, 0, 12, 0, 2, 0, 0, 0, 0, 0, 2, 0, 123, 0x11, 0x94],
            &[0, 0, 0, 3, 1, b'{', b'}'],
        ]
        .concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn null_is_minus_one_and_nothing_else() {
        let rows = every_type();
        let cells = Cells::of(&rows, &PLAN).unwrap();
        let mut out = Vec::new();
        put_rows(&cells, 1..2, usize::MAX, &mut out).unwrap();
        assert_eq!(out, [&[0u8, 7][..], &[255; 28]].concat());
    }

    #[test]
    fn a_full_frame_ends_between_rows() {
        let rows = every_type();
        let cells = Cells::of(&rows, &PLAN).unwrap();
        let mut out = Vec::new();
        assert_eq!(put_rows(&cells, 0..2, 1, &mut out), Ok(1));
        assert_eq!(put_rows(&cells, 0..2, 0, &mut Vec::new()), Ok(0));
    }

    #[test]
    fn a_batch_of_other_columns_is_our_fault_not_a_panic() {
        let rows = every_type();
        let error = Cells::of(&rows, &[(1, Encoding::Int8)]).err().unwrap();
        assert!(error.message.contains("column `symbol`"), "{error}");
        assert!(Cells::of(&rows, &[(5, Encoding::Numeric { scale: 8 })]).is_err());
        assert!(Cells::of(&rows, &[(9, Encoding::Text)]).is_err());
    }

    #[test]
    fn a_value_without_a_place_in_its_column_is_named() {
        let ids = Arc::new(Int64Array::from(vec![7, 40_000])) as Arc<dyn Array>;
        let rows = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let cells = Cells::of(&rows, &[(0, Encoding::Narrow(Scalar::Int2))]).unwrap();
        let mut out = Vec::new();
        let misfit = put_rows(&cells, 0..2, usize::MAX, &mut out).unwrap_err();
        assert_eq!((misfit.row, misfit.cell, misfit.unfit.reason), (1, 0, "numeric_value_out_of_range"));
        assert_eq!(out[..8], [0, 1, 0, 0, 0, 2, 0, 7]);
    }

    #[test]
    fn no_time_becomes_infinity() {
        assert_eq!(postgres_time(i64::MIN), i64::MIN + 1);
        assert_eq!(postgres_time(i64::MAX), i64::MAX - EPOCH_SHIFT_US);
        assert_eq!(postgres_time(EPOCH_SHIFT_US), 0);
    }
}
