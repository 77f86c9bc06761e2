//! Rows as JSON, one object a row.
//!
//! Decimals, and integers beyond 2^53, are strings, because readers of JSON keep numbers as doubles. Timestamps are
//! RFC 3339 in UTC with six digits. A `json` column is embedded as it stands. The hidden columns are left out.

use aqueduct_engine::Error;
use aqueduct_engine::batch::{OFFSET_COLUMN, ROW_COLUMN};
use aqueduct_topology::model::{self, FieldType, Topology};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use std::collections::BTreeSet;
use std::io::Write;

/// Integers beyond it are not exact in a double.
const EXACT_MAX: u64 = 1 << 53;

static TIMES: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// The columns of type `json` that reach `actor`: in a batch they look like text.
pub fn json_columns(actor: &model::Actor, topology: &Topology) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut above: Vec<&str> = actor.from.iter().map(|from| from.value.as_str()).collect();
    while let Some(actor) = above.pop().and_then(|name| topology.actor(name)) {
        match &actor.kind {
            model::Kind::Normalizer(normalizer) => {
                let json = normalizer.columns.iter().filter(|column| column.kind == FieldType::Json);
                found.extend(json.map(|column| column.name.clone()));
            }
            // No verdict holds JSON.
            model::Kind::QualityGate(_) => {}
            _ => above.extend(actor.from.iter().map(|from| from.value.as_str())),
        }
    }
    found
}

/// How one column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Int64,
    Float64,
    Decimal,
    Bool,
    Timestamp,
}

/// The columns of one batch, ready to be written.
pub struct Rows {
    columns: Vec<(String, Kind, ArrayRef)>,
}

impl Rows {
    /// The columns of `rows`; `json` names those that hold JSON.
    pub fn new(rows: &RecordBatch, json: &BTreeSet<String>) -> Result<Self, Error> {
        let schema = rows.schema();
        let visible = schema
            .fields()
            .iter()
            .zip(rows.columns())
            .filter(|(field, _)| field.name() != OFFSET_COLUMN && field.name() != ROW_COLUMN);
        let column = |(field, array): (&arrow_schema::FieldRef, &ArrayRef)| {
            let kind = match field.data_type() {
                DataType::Utf8 if json.contains(field.name()) => Kind::Json,
                DataType::Utf8 => Kind::Text,
                DataType::Int64 => Kind::Int64,
                DataType::Float64 => Kind::Float64,
                DataType::Decimal128(..) => Kind::Decimal,
                DataType::Boolean => Kind::Bool,
                DataType::Timestamp(TimeUnit::Microsecond, _) => Kind::Timestamp,
                other => return Err(Error::bug(format!("column `{}` has type {other}", field.name()))),
            };
            Ok((field.name().clone(), kind, array.clone()))
        };
        Ok(Self { columns: visible.map(column).collect::<Result<_, _>>()? })
    }

    /// Appends row `row` to `out`.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        for (index, (name, kind, array)) in self.columns.iter().enumerate() {
            out.push(if index == 0 { b'{' } else { b',' });
            write_text(name, out);
            out.push(b':');
            if array.is_null(row) {
                out.extend_from_slice(b"null");
            } else {
                write_value(*kind, array, row, out);
            }
        }
        out.extend_from_slice(if self.columns.is_empty() { b"{}" } else { b"}" });
    }

    /// Appends the value of column `name` as text, as it stands in a key. `false` = it is null.
    pub fn write_as_text(&self, name: &str, row: usize, out: &mut Vec<u8>) -> Result<bool, Error> {
        let Some((_, kind, array)) = self.columns.iter().find(|(column, _, _)| column == name) else {
            return Err(Error::bug(format!("the key names `{name}`, which the rows do not have")));
        };
        if array.is_null(row) {
            return Ok(false);
        }
        match kind {
            Kind::Text | Kind::Json => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
            Kind::Int64 => {
                let value = array.as_primitive::<Int64Type>().value(row);
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            }
            Kind::Decimal | Kind::Timestamp => {
                let start = out.len();
                write_value(*kind, array, row, out);
                // Without the quotes.
                out.remove(start);
                out.pop();
            }
            Kind::Float64 | Kind::Bool => write_value(*kind, array, row, out),
        }
        Ok(true)
    }
}

fn write_value(kind: Kind, array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    match kind {
        Kind::Text => write_text(array.as_string::<i32>().value(row), out),
        Kind::Json => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        Kind::Int64 => {
            let value = array.as_primitive::<Int64Type>().value(row);
            quoted(value.unsigned_abs() > EXACT_MAX, out, |out| {
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            });
        }
        Kind::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            serde_json::to_writer(out, &value).expect("invariant: a vector takes every byte");
        }
        Kind::Decimal => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
            quoted(true, out, |out| out.extend_from_slice(text.as_bytes()));
        }
        Kind::Bool => {
            let value = array.as_boolean().value(row);
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        Kind::Timestamp => {
            write_time(array.as_primitive::<TimestampMicrosecondType>().value(row), out);
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("invariant: a vector takes every byte");
}

fn write_time(time_us: i64, out: &mut Vec<u8>) {
    let Ok(time) = Timestamp::from_microsecond(time_us) else {
        // Beyond the year 9999 there is no such notation.
        return write!(out, "\"{time_us}\"").expect("invariant: a vector takes every byte");
    };
    let mut text = String::with_capacity(27);
    TIMES.print_timestamp(&time, &mut text).expect("invariant: a string takes every character");
    quoted(true, out, |out| out.extend_from_slice(text.as_bytes()));
}

fn quoted(quoted: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if quoted {
        out.push(b'"');
    }
    write(out);
    if quoted {
        out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
        TimestampMicrosecondArray,
    };
    use std::sync::Arc;

    fn rows() -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("s", Arc::new(StringArray::from(vec![Some("a\"\u{1}é"), None]))),
            ("j", Arc::new(StringArray::from(vec![Some("{\"x\": [1]}"), None]))),
            ("small", Arc::new(Int64Array::from(vec![Some(-(1 << 53)), None]))),
            ("large", Arc::new(Int64Array::from(vec![Some((1 << 53) + 1), None]))),
            ("f", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
            (
                "d",
                Arc::new(
                    Decimal128Array::from(vec![Some(-12_340), None]).with_precision_and_scale(18, 3).unwrap(),
                ),
            ),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            (
                "t",
                Arc::new(
                    TimestampMicrosecondArray::from(vec![Some(1_723_107_600_000_001), None])
                        .with_timezone("UTC"),
                ),
            ),
            (OFFSET_COLUMN, Arc::new(Int64Array::from(vec![1, 2]))),
            (ROW_COLUMN, Arc::new(Int32Array::from(vec![0, 0]))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
            .unwrap()
    }

    fn written(row: usize) -> String {
        let rows = Rows::new(&rows(), &BTreeSet::from(["j".to_owned()])).unwrap();
        let mut out = Vec::new();
        rows.write(row, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_type_is_written_by_the_language_page() {
        assert_eq!(
            written(0),
            "{\"s\":\"a\\\"\\u0001é\",\"j\":{\"x\": [1]},\"small\":-9007199254740992,\
             \"large\":\"9007199254740993\",\"f\":0.1,\"d\":\"-12.340\",\"b\":true,\
             \"t\":\"2024-08-08T09:00:00.000001Z\"}"
        );
        assert_eq!(
            written(1),
            "{\"s\":null,\"j\":null,\"small\":null,\"large\":null,\"f\":null,\"d\":null,\"b\":null,\"t\":null}"
        );
    }

    #[test]
    fn a_key_holds_the_value_without_quotes() {
        let rows = Rows::new(&rows(), &BTreeSet::new()).unwrap();
        let mut out = Vec::new();
        for name in ["s", "large", "d", "t", "b"] {
            assert!(rows.write_as_text(name, 0, &mut out).unwrap());
            out.push(b'|');
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\"\u{1}é|9007199254740993|-12.340|2024-08-08T09:00:00.000001Z|true|"
        );
        assert!(!rows.write_as_text("s", 1, &mut Vec::new()).unwrap(), "null");
    }
}
