//! A few rows of one batch, copied: nothing of the batch is held for them.

use super::cell;
use super::redact::Redaction;
use crate::batch::{Batch, OFFSET_COLUMN, Origin, ROW_COLUMN, RawRecords};
use crate::limits::TAP_TEXT_BYTES_MAX;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{BinaryArray, Int64Array, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// See the module's page.
#[derive(Debug)]
pub(crate) struct Sample {
    actor: Arc<str>,
    origin: Origin,
    at_us: i64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// Messages, as a source hands them on.
    Raw(Box<RawRecords>),
    /// Rows, as those behind a normalizer do.
    Rows(RecordBatch),
}

impl Sample {
    /// Those of `batch` at `places`, which are within it.
    pub(super) fn of(actor: &Arc<str>, batch: &Batch, places: &[usize], at_us: i64) -> Self {
        let what = if batch.rows.num_columns() > 0 {
            let places: UInt32Array = places.iter().map(|&place| place as u32).collect();
            What::Rows(take_record_batch(&batch.rows, &places).unwrap_or_else(|_| batch.rows.slice(0, 0)))
        } else {
            What::Raw(Box::new(copied(&batch.raw, places)))
        };
        Self { actor: actor.clone(), origin: batch.origin.clone(), at_us, what }
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        match &self.what {
            What::Raw(raw) => raw.len(),
            What::Rows(rows) => rows.num_rows(),
        }
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        match &self.what {
            What::Raw(raw) => raw.bytes(),
            What::Rows(rows) => rows.get_array_memory_size(),
        }
    }

    /// Each row as it is shown: where it comes from, and under `record` what it says.
    pub(crate) fn shown(&self, redaction: &Redaction) -> Vec<Value> {
        (0..self.len()).map(|index| self.one(index, redaction)).collect()
    }

    fn one(&self, index: usize, redaction: &Redaction) -> Value {
        let (offset, row, mut record) = match &self.what {
            What::Raw(raw) => (raw.offsets.value(index), 0, message(raw, index)),
            What::Rows(rows) => {
                let cell = |name| rows.column_by_name(name);
                let offset =
                    cell(OFFSET_COLUMN).map(|column| column.as_primitive::<Int64Type>().value(index));
                let row = cell(ROW_COLUMN).map(|column| column.as_primitive::<Int32Type>().value(index));
                (offset.unwrap_or(self.origin.first), row.unwrap_or(0), fields(rows, index))
            }
        };
        redaction.apply(&mut record);
        json!({
            "actor": &*self.actor,
            "topic": &*self.origin.key.topic,
            "partition": self.origin.key.partition,
            "offset": offset,
            "row": row,
            "at_us": self.at_us,
            "record": record,
        })
    }
}

fn copied(raw: &RawRecords, places: &[usize]) -> RawRecords {
    RawRecords {
        offsets: places.iter().map(|&place| raw.offsets.value(place)).collect::<Vec<_>>().into(),
        keys: BinaryArray::from_iter(places.iter().map(|&place| raw.key(place))),
        values: BinaryArray::from_iter(places.iter().map(|&place| raw.value(place))),
        times_ms: Int64Array::from_iter(places.iter().map(|&place| raw.time_ms(place))),
        // Nobody is shown them, and some hold secrets.
        headers: None,
    }
}

fn fields(rows: &RecordBatch, index: usize) -> Value {
    let schema = rows.schema();
    let visible = schema.fields().iter().zip(rows.columns());
    let visible = visible.filter(|(field, _)| field.name() != OFFSET_COLUMN && field.name() != ROW_COLUMN);
    Value::Object(visible.map(|(field, column)| (field.name().clone(), cell::value(column, index))).collect())
}

/// Key, time and value of a message. A value that is no JSON cannot be redacted, so only its length is told.
fn message(raw: &RawRecords, index: usize) -> Value {
    let key = raw.key(index).map(|key| String::from_utf8_lossy(key).into_owned());
    let value = raw.value(index).map_or(Value::Null, |bytes| match bytes.len() {
        length if length > TAP_TEXT_BYTES_MAX => format!("{length} bytes, too long to be shown").into(),
        length => serde_json::from_slice(bytes)
            .unwrap_or_else(|_| format!("{length} bytes that are no JSON").into()),
    });
    let time = raw.time_ms(index).map(|time_ms| cell::time(time_ms.saturating_mul(1000)));
    let fields = [("key", key.into()), ("time", time.into()), ("value", value)];
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
