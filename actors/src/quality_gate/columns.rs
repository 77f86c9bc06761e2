//! The columns of one batch that a gate looks at, found once for all its rows.

use super::rules::Row;
use ahash::RandomState;
use aqueduct_engine::{Batch, Error};
use aqueduct_topology::model::{GateRules, QualityGate};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use std::sync::Arc;

/// One value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeyValue {
    Text(Arc<str>),
    Int(i64),
    Bool(bool),
}

impl KeyValue {
    pub(super) fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.to_string().into(),
            Self::Int(value) => (*value).into(),
            Self::Bool(value) => (*value).into(),
        }
    }

    pub(super) fn write_label(&self, label: &mut String) {
        use std::fmt::Write;
        let written = match self {
            Self::Text(text) => label.write_str(text),
            Self::Int(value) => write!(label, "{value}"),
            Self::Bool(value) => write!(label, "{value}"),
        };
        written.expect("invariant: a string takes every character");
    }
}

/// Those that make the key.
pub(super) struct KeyColumns<'a> {
    by: Vec<&'a ArrayRef>,
}

impl<'a> KeyColumns<'a> {
    pub(super) fn of(batch: &'a Batch, gate: &QualityGate) -> Result<Self, Error> {
        let by = gate.by.iter().map(|name| column(batch, &name.value)).collect::<Result<_, Error>>()?;
        Ok(Self { by })
    }

    /// Writes the key of `row` into `key`, so that different keys are different bytes; `false` = a part of it is null.
    pub(super) fn write(&self, row: usize, key: &mut Vec<u8>) -> bool {
        key.clear();
        for column in &self.by {
            if column.is_null(row) {
                return false;
            }
            match column.data_type() {
                DataType::Utf8 => {
                    let text = column.as_string::<i32>().value(row).as_bytes();
                    key.extend_from_slice(&(text.len() as u32).to_be_bytes());
                    key.extend_from_slice(text);
                }
                DataType::Int64 => {
                    key.extend_from_slice(&column.as_primitive::<Int64Type>().value(row).to_be_bytes());
                }
                _ => key.push(u8::from(column.as_boolean().value(row))),
            }
        }
        true
    }

    /// The same as values.
    pub(super) fn values(&self, row: usize) -> Arc<[KeyValue]> {
        let value = |column: &&ArrayRef| match column.data_type() {
            DataType::Utf8 => KeyValue::Text(column.as_string::<i32>().value(row).into()),
            DataType::Int64 => KeyValue::Int(column.as_primitive::<Int64Type>().value(row)),
            _ => KeyValue::Bool(column.as_boolean().value(row)),
        };
        self.by.iter().map(value).collect()
    }
}

fn column<'a>(batch: &'a Batch, name: &str) -> Result<&'a ArrayRef, Error> {
    let column = batch.rows.column_by_name(name);
    column.ok_or_else(|| Error::bug(format!("the rows of a quality_gate have no column `{name}`")))
}

/// See the module.
pub(super) struct Columns<'a> {
    batch: &'a Batch,
    event: Option<&'a [i64]>,
    event_column: Option<&'a ArrayRef>,
    gap: Option<&'a ArrayRef>,
    repeat: Option<&'a ArrayRef>,
    price: Option<Number<'a>>,
    bid: Option<Number<'a>>,
    ask: Option<Number<'a>>,
    value: Option<&'a ArrayRef>,
    nulls: Vec<&'a ArrayRef>,
    hash: RandomState,
    /// Where the record of the last row was found.
    record: usize,
}

impl<'a> Columns<'a> {
    /// Those of `batch` that `rules` judge; `event_time` names the event time.
    pub(super) fn of(batch: &'a Batch, rules: &GateRules, event_time: Option<&str>) -> Result<Self, Error> {
        let column = |name: &str| column(batch, name);
        let number = |name: &str| Number::of(column(name)?);
        let event_column = event_time.map(column).transpose()?;
        let event = event_column.map(|column| {
            let times = column.as_primitive_opt::<TimestampMicrosecondType>();
            times.map(|times| &times.values()[..]).ok_or_else(|| Error::bug("an event time is a timestamp"))
        });
        Ok(Self {
            batch,
            event: event.transpose()?,
            event_column,
            gap: rules.gap.as_ref().map(|rule| column(&rule.field.value)).transpose()?,
            repeat: rules.repeat.as_ref().map(|rule| column(&rule.field.value)).transpose()?,
            price: rules.price_band.as_ref().map(|rule| number(&rule.field.value)).transpose()?,
            bid: rules.crossed.as_ref().map(|rule| number(&rule.bid.value)).transpose()?,
            ask: rules.crossed.as_ref().map(|rule| number(&rule.ask.value)).transpose()?,
            value: rules.frozen.as_ref().map(|rule| column(&rule.field.value)).transpose()?,
            nulls: rules.nulls.iter().map(|(name, _)| column(&name.value)).collect::<Result<_, Error>>()?,
            hash: RandomState::with_seeds(1, 2, 3, 4),
            record: 0,
        })
    }

    /// What the rules need of `row`. Rows are asked for in their order.
    pub(super) fn row(&mut self, row: usize, run: u32) -> Row {
        let int = |column: Option<&ArrayRef>| {
            let numbers = column?.as_primitive_opt::<Int64Type>()?;
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        let event_null = self.event_column.is_none_or(|column| column.is_null(row));
        let nulls = self.nulls.iter().enumerate().filter(|(_, column)| column.is_null(row));
        let nulls = nulls.fold(0, |bits, (field, _)| bits | 1 << field);
        Row {
            event_us: self.event.filter(|_| !event_null).map(|times| times[row]),
            record_us: self.record_us(row),
            gap: int(self.gap),
            repeat: int(self.repeat),
            price: self.price.and_then(|number| number.get(row)),
            bid: self.bid.and_then(|number| number.get(row)),
            ask: self.ask.and_then(|number| number.get(row)),
            value: self.value.and_then(|column| self.hash(column, row)),
            nulls,
            run,
        }
    }

    /// Offsets rise in rows and records alike, so the search goes on where it ended.
    fn record_us(&mut self, row: usize) -> Option<i64> {
        let offset = self.batch.row_offsets()[row];
        let offsets = self.batch.raw.offsets.values();
        while self.record < offsets.len() && offsets[self.record] < offset {
            self.record += 1;
        }
        let found = offsets.get(self.record) == Some(&offset);
        found.then(|| self.batch.raw.time_ms(self.record)).flatten().map(|ms| ms.saturating_mul(1000))
    }

    fn hash(&self, column: &ArrayRef, row: usize) -> Option<u64> {
        if column.is_null(row) {
            return None;
        }
        Some(match column.data_type() {
            DataType::Utf8 => self.hash.hash_one(column.as_string::<i32>().value(row)),
            DataType::Int64 => self.hash.hash_one(column.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => {
                self.hash.hash_one(column.as_primitive::<Float64Type>().value(row).to_bits())
            }
            DataType::Decimal128(..) => {
                self.hash.hash_one(column.as_primitive::<Decimal128Type>().value(row))
            }
            DataType::Boolean => self.hash.hash_one(column.as_boolean().value(row)),
            DataType::Timestamp(..) => {
                self.hash.hash_one(column.as_primitive::<TimestampMicrosecondType>().value(row))
            }
            _ => return None,
        })
    }
}

/// A column of numbers, read as doubles: distances and orders of prices need no more.
#[derive(Clone, Copy)]
enum Number<'a> {
    Int(&'a ArrayRef),
    Float(&'a ArrayRef),
    Decimal(&'a ArrayRef, f64),
}

impl<'a> Number<'a> {
    fn of(column: &'a ArrayRef) -> Result<Self, Error> {
        Ok(match column.data_type() {
            DataType::Int64 => Self::Int(column),
            DataType::Float64 => Self::Float(column),
            DataType::Decimal128(_, scale) => Self::Decimal(column, 10_f64.powi(i32::from(*scale))),
            other => return Err(Error::bug(format!("a quality_gate compares numbers, not {other}"))),
        })
    }

    fn get(self, row: usize) -> Option<f64> {
        match self {
            Self::Int(column) | Self::Float(column) | Self::Decimal(column, _) if column.is_null(row) => None,
            Self::Int(column) => Some(column.as_primitive::<Int64Type>().value(row) as f64),
            Self::Float(column) => Some(column.as_primitive::<Float64Type>().value(row)),
            Self::Decimal(column, unit) => {
                Some(column.as_primitive::<Decimal128Type>().value(row) as f64 / unit)
            }
        }
    }
}
