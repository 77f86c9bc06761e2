//! Columns under construction.
//!
//! Unlike Arrow's builders they can be truncated: a row is written as it is decoded and taken back if it is rejected.
//! Invariant: outside of a row, all columns are as long as there are rows.

use crate::expr::Value;
use crate::expr::decimal::Decimal;
use aqueduct_topology::model::{self, FieldType};
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};
use std::sync::Arc;

/// A value that is known before any message: a default, or the right side of a `map`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(Box<str>),
    Int(i64),
    Float(f64),
    Decimal(i128),
    Bool(bool),
    Time(i64),
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    data: Data,
    nulls: Option<NullBufferBuilder>,
}

#[derive(Debug)]
enum Data {
    /// UTF-8.
    Text {
        text: Vec<u8>,
        ends: Vec<i32>,
    },
    Int(Vec<i64>),
    Float(Vec<f64>),
    Decimal {
        units: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    Bool(BooleanBufferBuilder),
    Time(Vec<i64>),
}

/// The Arrow field of a column.
pub(super) fn arrow_field(column: &model::Column) -> Field {
    let kind = match column.kind {
        FieldType::Text | FieldType::Json => DataType::Utf8,
        FieldType::Int64 => DataType::Int64,
        FieldType::Float64 => DataType::Float64,
        FieldType::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
        FieldType::Bool => DataType::Boolean,
        FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    };
    Field::new(&column.name, kind, column.nullable)
}

impl Default for Column {
    /// A placeholder while a column is lent out.
    fn default() -> Self {
        Self { data: Data::Int(Vec::new()), nulls: None }
    }
}

impl Column {
    pub(super) fn new(column: &model::Column, rows: usize) -> Self {
        let data = match column.kind {
            FieldType::Text | FieldType::Json => {
                let mut ends = Vec::with_capacity(rows + 1);
                ends.push(0);
                Data::Text { text: Vec::with_capacity(rows * 8), ends }
            }
            FieldType::Int64 => Data::Int(Vec::with_capacity(rows)),
            FieldType::Float64 => Data::Float(Vec::with_capacity(rows)),
            FieldType::Decimal { precision, scale } => {
                Data::Decimal { units: Vec::with_capacity(rows), precision, scale }
            }
            FieldType::Bool => Data::Bool(BooleanBufferBuilder::new(rows)),
            FieldType::Timestamp => Data::Time(Vec::with_capacity(rows)),
        };
        Self { data, nulls: column.nullable.then(|| NullBufferBuilder::new(rows)) }
    }

    #[inline(always)]
    fn valid(&mut self) {
        if let Some(nulls) = &mut self.nulls {
            nulls.append_non_null();
        }
    }

    #[inline]
    pub(super) fn push_text(&mut self, value: &str) {
        let Data::Text { text, ends } = &mut self.data else { unreachable!("invariant: a column of text") };
        text.extend_from_slice(value.as_bytes());
        push_end(ends, text.len());
        self.valid();
    }

    /// Writes the first `length` bytes of `bytes`, which are whole characters of UTF-8. Sixteen are copied together, more than
    /// most texts have, without a call.
    #[inline(always)]
    pub(super) fn push_front(&mut self, bytes: &[u8], length: usize) {
        let Data::Text { text, ends } = &mut self.data else { unreachable!("invariant: a column of text") };
        match bytes.first_chunk::<16>() {
            Some(chunk) if length <= 16 => {
                let end = text.len() + length;
                text.extend_from_slice(chunk);
                text.truncate(end);
            }
            _ => text.extend_from_slice(&bytes[..length]),
        }
        push_end(ends, text.len());
        self.valid();
    }

    #[inline(always)]
    pub(super) fn push_int(&mut self, value: i64) {
        let (Data::Int(values) | Data::Time(values)) = &mut self.data else {
            unreachable!("invariant: a column of whole numbers or times")
        };
        values.push(value);
        self.valid();
    }

    #[inline(always)]
    pub(super) fn push_float(&mut self, value: f64) {
        let Data::Float(values) = &mut self.data else { unreachable!("invariant: a column of doubles") };
        values.push(value);
        self.valid();
    }

    #[inline(always)]
    pub(super) fn push_units(&mut self, value: i128) {
        let Data::Decimal { units, .. } = &mut self.data else {
            unreachable!("invariant: a column of decimals")
        };
        units.push(value);
        self.valid();
    }

    pub(super) fn push_bool(&mut self, value: bool) {
        let Data::Bool(values) = &mut self.data else { unreachable!("invariant: a column of bools") };
        values.append(value);
        self.valid();
    }

    pub(super) fn push_null(&mut self) {
        self.push_nothing();
        self.nulls.as_mut().expect("invariant: only a nullable column takes null").append_null();
    }

    /// A place for a value that is computed later.
    pub(super) fn push_blank(&mut self) {
        self.push_nothing();
        self.valid();
    }

    fn push_nothing(&mut self) {
        match &mut self.data {
            Data::Text { text, ends } => ends.push(text.len() as i32),
            Data::Int(values) | Data::Time(values) => values.push(0),
            Data::Float(values) => values.push(0.0),
            Data::Decimal { units, .. } => units.push(0),
            Data::Bool(values) => values.append(false),
        }
    }

    pub(super) fn push_cell(&mut self, cell: &Cell) {
        match cell {
            Cell::Null => self.push_null(),
            Cell::Text(text) => self.push_text(text),
            Cell::Int(value) | Cell::Time(value) => self.push_int(*value),
            Cell::Float(value) => self.push_float(*value),
            Cell::Decimal(units) => self.push_units(*units),
            Cell::Bool(value) => self.push_bool(*value),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Text { ends, .. } => ends.len() - 1,
            Data::Int(values) | Data::Time(values) => values.len(),
            Data::Float(values) => values.len(),
            Data::Decimal { units, .. } => units.len(),
            Data::Bool(values) => values.len(),
        }
    }

    /// Takes back what was written after the first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        if self.len() <= rows {
            return;
        }
        match &mut self.data {
            Data::Text { text, ends } => {
                ends.truncate(rows + 1);
                text.truncate(ends[rows] as usize);
            }
            Data::Int(values) | Data::Time(values) => values.truncate(rows),
            Data::Float(values) => values.truncate(rows),
            Data::Decimal { units, .. } => units.truncate(rows),
            Data::Bool(values) => values.truncate(rows),
        }
        if let Some(nulls) = &mut self.nulls {
            nulls.truncate(rows);
        }
    }

    /// Bytes of text held.
    pub(super) fn text_bytes(&self) -> usize {
        match &self.data {
            Data::Text { text, .. } => text.len(),
            _ => 0,
        }
    }

    /// The value of `row`, as expressions see fields.
    pub(super) fn value(&self, row: usize) -> Value<'_> {
        if self.nulls.as_ref().is_some_and(|nulls| !nulls.is_valid(row)) {
            return Value::Null;
        }
        match &self.data {
            Data::Text { text, ends } => {
                let text = std::str::from_utf8(&text[ends[row] as usize..ends[row + 1] as usize]);
                Value::Text(text.expect("invariant: only whole texts are written").into())
            }
            Data::Int(values) => Value::Int(values[row]),
            Data::Float(values) => Value::Double(values[row]),
            Data::Decimal { units, scale, .. } => {
                Value::Decimal(Decimal { units: units[row], scale: u32::from(*scale) })
            }
            Data::Bool(values) => Value::Bool(values.get_bit(row)),
            Data::Time(values) => Value::Time(values[row]),
        }
    }

    /// The time of `row` of a column of times; `None` for null.
    #[inline]
    pub(super) fn time(&self, row: usize) -> Option<i64> {
        match &self.data {
            Data::Time(times) if self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) => {
                times.get(row).copied()
            }
            _ => None,
        }
    }

    /// The finished column; this one is empty afterwards, with room for as many rows.
    pub(super) fn finish(&mut self, column: &model::Column) -> Result<ArrayRef, ArrowError> {
        let rows = self.len();
        let Self { data, nulls } = std::mem::replace(self, Self::new(column, rows));
        let nulls: Option<NullBuffer> = nulls.and_then(|mut nulls| nulls.finish());
        Ok(match data {
            Data::Text { text, ends } => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(StringArray::try_new(ends, Buffer::from_vec(text), nulls)?)
            }
            Data::Int(values) => Arc::new(PrimitiveArray::<Int64Type>::try_new(values.into(), nulls)?),
            Data::Float(values) => Arc::new(PrimitiveArray::<Float64Type>::try_new(values.into(), nulls)?),
            Data::Decimal { units, precision, scale } => Arc::new(
                PrimitiveArray::<Decimal128Type>::try_new(units.into(), nulls)?
                    .with_precision_and_scale(precision, scale as i8)?,
            ),
            Data::Bool(mut values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Data::Time(values) => Arc::new(
                PrimitiveArray::<TimestampMicrosecondType>::try_new(values.into(), nulls)?
                    .with_timezone("UTC"),
            ),
        })
    }
}

#[inline(always)]
fn push_end(ends: &mut Vec<i32>, end: usize) {
    ends.push(i32::try_from(end).expect("invariant: the texts of a batch stay below 2 GiB"));
}
