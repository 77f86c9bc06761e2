//! What travels on a link: a batch of records of one partition, raw and (after a normalizer) as typed rows.
//!
//! Invariant: a batch covers the offsets `origin.first..origin.next` of one partition in one epoch; it holds every
//! record the source read in that range, and rows never leave their message: all rows of a message are in one batch.
//! Deliberately absent: anything about links or sinks.

use crate::planted::{Bug, planted};
use crate::trace::TraceContext;
use arrow_array::{
    Array, BinaryArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, cast::AsArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, LazyLock};

/// Hidden column of typed rows: the Kafka offset of the message a row came from. `Int64`, not null.
pub const OFFSET_COLUMN: &str = "_offset";
/// Hidden column of typed rows: the index of the row within its message. `Int32`, not null.
pub const ROW_COLUMN: &str = "_row";

/// One partition of one topic as one source reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// The identity of the source actor.
    pub source: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// What the topic of a gate's own stream begins with. No topic of Kafka can be named so.
const OWN_STREAM: &str = "gate:";

impl PartitionKey {
    /// A partition of what the gate `gate` gives: it begins inside the topology, on a beat, and no log has it.
    pub fn of_gate(gate: &Arc<str>, partition: i32) -> Self {
        Self { source: gate.clone(), topic: format!("{OWN_STREAM}{gate}").into(), partition }
    }

    /// Whether it is such a stream: it never comes to its end, and cannot be read again.
    pub fn is_own_stream(&self) -> bool {
        self.topic.starts_with(OWN_STREAM)
    }
}

/// Where the records of a batch come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose.
    pub key: PartitionKey,
    /// The claim under which they were read.
    pub epoch: i64,
    /// The first offset covered.
    pub first: i64,
    /// One past the last offset covered. May lie beyond the last record: compaction and transaction markers leave gaps.
    pub next: i64,
}

/// Headers of one record, in order.
pub type Headers = Vec<(Arc<str>, Option<Vec<u8>>)>;

/// The messages as they came, by column. Cloning shares the buffers.
#[derive(Clone, Debug)]
pub struct RawRecords {
    /// Ascending.
    pub offsets: Int64Array,
    /// Null = no key.
    pub keys: BinaryArray,
    /// Null = tombstone.
    pub values: BinaryArray,
    /// Kafka's timestamp, milliseconds since 1970 UTC; null = none.
    pub times_ms: Int64Array,
    /// One entry per record; `None` = no record of the batch has headers.
    pub headers: Option<Arc<Vec<Headers>>>,
}

impl RawRecords {
    /// No record.
    pub fn empty() -> Self {
        Self {
            offsets: Int64Array::from(Vec::<i64>::new()),
            keys: BinaryArray::from(Vec::<Option<&[u8]>>::new()),
            values: BinaryArray::from(Vec::<Option<&[u8]>>::new()),
            times_ms: Int64Array::from(Vec::<i64>::new()),
            headers: None,
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `length` records from the `start`th on; shares the buffers.
    pub fn slice(&self, start: usize, length: usize) -> Self {
        Self {
            offsets: self.offsets.slice(start, length),
            keys: self.keys.slice(start, length),
            values: self.values.slice(start, length),
            times_ms: self.times_ms.slice(start, length),
            headers: self.headers.as_ref().map(|headers| Arc::new(headers[start..start + length].to_vec())),
        }
    }

    /// The position of the record at `offset`.
    pub fn position(&self, offset: i64) -> Option<usize> {
        self.offsets.values().binary_search(&offset).ok()
    }

    /// The value of the `index`th record; `None` = tombstone.
    pub fn value(&self, index: usize) -> Option<&[u8]> {
        self.values.is_valid(index).then(|| self.values.value(index))
    }

    /// The key of the `index`th record.
    pub fn key(&self, index: usize) -> Option<&[u8]> {
        self.keys.is_valid(index).then(|| self.keys.value(index))
    }

    /// The time of the `index`th record, milliseconds since 1970 UTC.
    pub fn time_ms(&self, index: usize) -> Option<i64> {
        self.times_ms.is_valid(index).then(|| self.times_ms.value(index))
    }

    /// Payload bytes of keys, values and headers, plus what the columns themselves take.
    pub fn bytes(&self) -> usize {
        let span = |array: &BinaryArray| {
            let offsets = array.value_offsets();
            (offsets[offsets.len() - 1] - offsets[0]) as usize
        };
        let headers = self.headers.as_ref().map_or(0, |headers| {
            headers
                .iter()
                .flatten()
                .map(|(name, value)| name.len() + value.as_ref().map_or(0, Vec::len))
                .sum()
        });
        span(&self.keys) + span(&self.values) + headers + self.len() * 24
    }
}

/// The rows of a batch no normalizer has seen: none, of no columns.
static NO_ROWS: LazyLock<RecordBatch> = LazyLock::new(|| {
    let options = RecordBatchOptions::new().with_row_count(Some(0));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .expect("invariant: an empty schema takes an empty batch")
});

/// The unit of exchange between actors. Cloning shares every buffer.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where its records come from.
    pub origin: Origin,
    /// The messages, kept until every sink has settled: a dead letter needs them.
    pub raw: RawRecords,
    /// Typed rows, ending in the hidden columns; no columns at all before a normalizer.
    pub rows: RecordBatch,
    /// The span it belongs to; `None` = nobody traces it.
    pub trace: Option<Arc<TraceContext>>,
    /// What a link charges for it, computed once.
    bytes: usize,
}

impl Batch {
    /// A source's batch: messages, no rows yet.
    ///
    /// # Panics
    /// If a record lies outside `origin.first..origin.next`.
    pub fn raw(origin: Origin, raw: RawRecords) -> Self {
        assert!(origin.first <= origin.next, "batch of {:?} runs backwards", origin);
        if let (Some(first), Some(last)) = (raw.offsets.values().first(), raw.offsets.values().last()) {
            assert!(
                *first >= origin.first && *last < origin.next,
                "batch of {:?} holds {first}..={last}",
                origin
            );
        }
        let bytes = raw.bytes();
        Self { origin, raw, rows: NO_ROWS.clone(), trace: None, bytes }
    }

    /// The same messages, now with `rows`, which must end in the hidden columns, ordered by them.
    pub fn with_rows(&self, rows: RecordBatch) -> Self {
        let bytes = self.raw.bytes() + rows.get_array_memory_size();
        let raw = if planted(Bug::ForgetsTheMessages) { RawRecords::empty() } else { self.raw.clone() };
        Self { origin: self.origin.clone(), raw, rows, trace: self.trace.clone(), bytes }
    }

    /// What a link charges for it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The offset of each row's message; empty before a normalizer.
    pub fn row_offsets(&self) -> &[i64] {
        match self.rows.column_by_name(OFFSET_COLUMN) {
            Some(column) => column.as_primitive::<arrow_array::types::Int64Type>().values(),
            None => &[],
        }
    }

    /// The index of each row within its message; empty before a normalizer.
    pub fn row_indices(&self) -> &[i32] {
        match self.rows.column_by_name(ROW_COLUMN) {
            Some(column) => column.as_primitive::<arrow_array::types::Int32Type>().values(),
            None => &[],
        }
    }

    /// The part at and after `offset`.
    pub fn from_offset(&self, offset: i64) -> Self {
        self.range(offset.max(self.origin.first), self.origin.next)
    }

    /// The part that covers `first..next`, which must lie within; shares the buffers.
    pub fn range(&self, first: i64, next: i64) -> Self {
        assert!(
            self.origin.first <= first && first <= next && next <= self.origin.next,
            "range outside the batch"
        );
        let cut = |offsets: &[i64]| {
            let start = offsets.partition_point(|&offset| offset < first);
            let end = offsets.partition_point(|&offset| offset < next);
            (start, end - start)
        };
        let (start, length) = cut(self.raw.offsets.values());
        let raw = self.raw.slice(start, length);
        let rows = if self.rows.num_columns() == 0 {
            self.rows.clone()
        } else {
            let (start, length) = cut(self.row_offsets());
            self.rows.slice(start, length)
        };
        // Arrow over-counts slices (it reports the whole buffer), so the share is by records.
        let bytes =
            if self.raw.is_empty() { self.bytes } else { self.bytes * length.max(1) / self.raw.len() };
        let origin = Origin { first, next, ..self.origin.clone() };
        Self { origin, raw, rows, trace: self.trace.clone(), bytes }
    }

    /// Two parts of about as many records each; `None` when it holds fewer than two.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let middle = self.raw.len() / 2;
        if middle == 0 {
            return None;
        }
        let at = self.raw.offsets.value(middle);
        Some((self.range(self.origin.first, at), self.range(at, self.origin.next)))
    }

    /// The same range without its records: what is left of a batch whose only record was rejected.
    pub fn emptied(&self) -> Self {
        let rows = self.rows.slice(0, 0);
        let (origin, trace) = (self.origin.clone(), self.trace.clone());
        Self { origin, raw: RawRecords::empty(), rows, trace, bytes: 0 }
    }
}

/// `fields` followed by the hidden columns: the schema of a normalizer's rows.
pub fn with_hidden_columns(fields: impl IntoIterator<Item = Field>) -> SchemaRef {
    let hidden =
        [Field::new(OFFSET_COLUMN, DataType::Int64, false), Field::new(ROW_COLUMN, DataType::Int32, false)];
    Arc::new(Schema::new(fields.into_iter().chain(hidden).collect::<Vec<_>>()))
}

/// The hidden columns of rows whose messages' offsets and indices these are.
pub fn hidden_columns(offsets: Vec<i64>, indices: Vec<i32>) -> [arrow_array::ArrayRef; 2] {
    [Arc::new(Int64Array::from(offsets)), Arc::new(Int32Array::from(indices))]
}
