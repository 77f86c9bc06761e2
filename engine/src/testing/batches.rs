//! Batches for tests, as a source would make them.

use crate::batch::{Batch, Headers, Origin, PartitionKey, RawRecords};
use arrow_array::{BinaryArray, Int64Array};
use std::sync::Arc;

/// The partition that [`raw_batch`] reads: of topic `topic`, source `source`.
pub fn partition(partition: i32) -> PartitionKey {
    PartitionKey { source: "source".into(), topic: "topic".into(), partition }
}

/// Messages `values` at `first`, `first + 1`, .. of a partition, read in epoch 1; no keys, no headers, and a time of
/// one millisecond per offset.
pub fn raw_batch<V: AsRef<[u8]>>(partition: i32, first: i64, values: &[V]) -> Batch {
    values.iter().fold(RecordsBuilder::new(partition, first), |records, value| records.value(value)).build()
}

/// One record as it will stand in the batch.
#[derive(Debug, Default)]
struct Record {
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    time_ms: Option<i64>,
    headers: Headers,
}

/// Builds a batch record by record: keys, tombstones, headers, times and gaps included.
#[derive(Debug)]
pub struct RecordsBuilder {
    origin: Origin,
    records: Vec<Record>,
}

impl RecordsBuilder {
    /// A batch of that partition from `first` on, read in epoch 1.
    pub fn new(partition: i32, first: i64) -> Self {
        let key = self::partition(partition);
        Self { origin: Origin { key, epoch: 1, first, next: first }, records: Vec::new() }
    }

    /// Read under another claim.
    pub fn epoch(mut self, epoch: i64) -> Self {
        self.origin.epoch = epoch;
        self
    }

    /// Of another partition, source and topic included.
    pub fn of(mut self, key: PartitionKey) -> Self {
        self.origin.key = key;
        self
    }

    /// A record with this value at the next offset.
    pub fn value(self, value: impl AsRef<[u8]>) -> Self {
        self.record(Some(value.as_ref().to_vec()))
    }

    /// A record without a value at the next offset.
    pub fn tombstone(self) -> Self {
        self.record(None)
    }

    /// Gives the last record a key.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.last().key = Some(key.as_ref().to_vec());
        self
    }

    /// Adds a header to the last record.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.last().headers.push((name.into(), Some(value.as_ref().to_vec())));
        self
    }

    /// Gives the last record a Kafka time, milliseconds since 1970 UTC; `None` = it has none.
    pub fn time_ms(mut self, time_ms: impl Into<Option<i64>>) -> Self {
        self.last().time_ms = time_ms.into();
        self
    }

    /// `count` offsets without a record, as compaction and transaction markers leave them.
    pub fn gap(mut self, count: i64) -> Self {
        self.origin.next += count;
        self
    }

    /// The batch.
    pub fn build(self) -> Batch {
        let records = &self.records;
        let headers = records.iter().any(|record| !record.headers.is_empty());
        let raw = RawRecords {
            offsets: Int64Array::from_iter_values(records.iter().map(|record| record.offset)),
            keys: BinaryArray::from_iter(records.iter().map(|record| record.key.as_deref())),
            values: BinaryArray::from_iter(records.iter().map(|record| record.value.as_deref())),
            times_ms: Int64Array::from_iter(records.iter().map(|record| record.time_ms)),
            headers: headers.then(|| Arc::new(records.iter().map(|record| record.headers.clone()).collect())),
        };
        Batch::raw(self.origin, raw)
    }

    fn record(mut self, value: Option<Vec<u8>>) -> Self {
        let offset = self.origin.next;
        self.records.push(Record { offset, value, time_ms: Some(offset), ..Record::default() });
        self.origin.next += 1;
        self
    }

    fn last(&mut self) -> &mut Record {
        self.records.last_mut().expect("invariant: a record comes before what describes it")
    }
}
