//! Verdicts as rows: a record each, so that whatever a sink may do with a record it may do with a verdict.
//!
//! A record's payload is the verdict as JSON: should a sink refuse it, its letter says what it was.

use super::columns::KeyValue;
use crate::json::rows::Rows;
use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
use aqueduct_engine::{Batch, Error, Origin, RawRecords};
use aqueduct_topology::model::{Column, FieldType};
use arrow_array::builder::BinaryBuilder;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One verdict.
pub(super) struct Given {
    pub(super) key: Arc<[KeyValue]>,
    pub(super) verdict: &'static str,
    pub(super) would: &'static str,
    pub(super) score: f64,
    pub(super) reason: String,
    pub(super) since_us: i64,
}

/// The form of verdicts.
#[derive(Clone)]
pub(super) struct Form {
    schema: SchemaRef,
}

impl Form {
    /// Of verdicts with these columns: those of the key, then those a gate adds.
    pub(super) fn new(columns: &[Column]) -> Result<Self, Error> {
        let field = |column: &Column| {
            let kind = match column.kind {
                FieldType::Text => DataType::Utf8,
                FieldType::Int64 => DataType::Int64,
                FieldType::Float64 => DataType::Float64,
                FieldType::Bool => DataType::Boolean,
                FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                other => return Err(Error::bug(format!("no key of a quality_gate is {other}"))),
            };
            Ok(Field::new(&column.name, kind, false))
        };
        let fields = columns.iter().map(field).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { schema: with_hidden_columns(fields) })
    }

    /// `given` at `at_us`, as the records of `origin`, one an offset.
    pub(super) fn batch(&self, origin: Origin, at_us: i64, given: &[Given]) -> Result<Batch, Error> {
        let offsets: Vec<i64> = (origin.first..origin.next).collect();
        assert_eq!(offsets.len(), given.len(), "a verdict is a record");
        let times = |times: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
        let texts = |of: fn(&Given) -> &str| Arc::new(StringArray::from_iter_values(given.iter().map(of)));
        let keys = self.schema.fields().len() - ADDED;
        let mut columns: Vec<ArrayRef> = (0..keys).map(|part| key_column(given, part)).collect();
        columns.push(times(vec![at_us; given.len()]));
        columns.push(texts(|given| given.verdict));
        columns.push(Arc::new(Float64Array::from_iter_values(given.iter().map(|given| given.score))));
        columns.push(texts(|given| &given.reason));
        columns.push(texts(|given| given.would));
        columns.push(times(given.iter().map(|given| given.since_us).collect()));
        columns.extend(hidden_columns(offsets.clone(), vec![0; given.len()]));
        let rows = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| Error::bug(format!("verdicts are no rows: {error}")))?;
        let raw = raw(offsets, at_us, &rows)?;
        Ok(Batch::raw(origin, raw).with_rows(rows))
    }

    /// What covers `origin` and holds nothing.
    pub(super) fn nothing(&self, origin: Origin) -> Batch {
        Batch::raw(origin, RawRecords::empty()).with_rows(RecordBatch::new_empty(self.schema.clone()))
    }
}

/// The fields a gate adds, and the hidden ones.
const ADDED: usize = aqueduct_topology::model::GATE_FIELDS.len() + 2;

fn key_column(given: &[Given], part: usize) -> ArrayRef {
    let values = || given.iter().map(|given| &given.key[part]);
    match given.first().map(|given| &given.key[part]) {
        Some(KeyValue::Int(_)) => {
            let int = |value: &KeyValue| if let KeyValue::Int(value) = value { *value } else { 0 };
            Arc::new(Int64Array::from_iter_values(values().map(int)))
        }
        Some(KeyValue::Bool(_)) => {
            let bool = |value: &KeyValue| matches!(value, KeyValue::Bool(true));
            Arc::new(BooleanArray::from(values().map(bool).collect::<Vec<bool>>()))
        }
        Some(KeyValue::Text(_)) | None => {
            let text =
                |value: &'_ KeyValue| if let KeyValue::Text(text) = value { text.clone() } else { "".into() };
            Arc::new(StringArray::from_iter_values(values().map(text)))
        }
    }
}

fn raw(offsets: Vec<i64>, at_us: i64, rows: &RecordBatch) -> Result<RawRecords, Error> {
    let json = Rows::new(rows, &BTreeSet::new())?;
    let mut values = BinaryBuilder::new();
    let mut text = Vec::new();
    for row in 0..rows.num_rows() {
        text.clear();
        json.write(row, &mut text);
        values.append_value(&text);
    }
    Ok(RawRecords {
        keys: BinaryArray::from(vec![None::<&[u8]>; offsets.len()]),
        values: values.finish(),
        times_ms: Int64Array::from(vec![at_us.div_euclid(1000); offsets.len()]),
        offsets: Int64Array::from(offsets),
        headers: None,
    })
}
