//! Gathers the messages of one partition into a batch; every payload is copied once, into Arrow's buffers.
//!
//! Invariant: batches of one partition are contiguous: each covers the offsets from where the last one ended.
//! Deliberately absent: time and Kafka's client.

use aqueduct_engine::limits::BATCH_OFFSETS_SPAN_MAX;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Batch, Headers, Origin, PartitionKey, RawRecords};
use arrow_array::Int64Array;
use arrow_array::builder::{BinaryBuilder, Int64Builder};
use std::sync::Arc;

/// A batch is handed on once it holds so many bytes; a larger message travels alone.
pub const BATCH_BYTES_MAX: usize = aqueduct_topology::bounds::BATCH_BYTES_MAX as usize;

/// One message, borrowed from the client.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` = tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970 UTC.
    pub time_ms: Option<i64>,
    /// Empty = none.
    pub headers: Headers,
}

/// The batch that is being gathered.
#[derive(Debug)]
pub struct Gathering {
    key: PartitionKey,
    epoch: i64,
    /// The first offset the batch covers.
    first: i64,
    /// One past the last offset it covers.
    next: i64,
    rows_max: usize,
    offsets: Vec<i64>,
    keys: BinaryBuilder,
    values: BinaryBuilder,
    times: Int64Builder,
    headers: Vec<Headers>,
    with_headers: bool,
    bytes: usize,
    /// What recent batches took: the next one begins with room for as much.
    usual: Room,
}

impl Gathering {
    /// Begins at offset `start`.
    pub fn new(key: PartitionKey, epoch: i64, start: i64, rows_max: usize) -> Self {
        Self {
            key,
            epoch,
            first: start,
            next: start,
            rows_max,
            offsets: Vec::new(),
            keys: BinaryBuilder::new(),
            values: BinaryBuilder::new(),
            times: Int64Builder::new(),
            headers: Vec::new(),
            with_headers: false,
            bytes: 0,
            usual: Room::default(),
        }
    }

    /// The offset that is wanted next.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Whether the batch should go now, whatever follows.
    pub fn is_full(&self) -> bool {
        self.offsets.len() >= self.rows_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Takes `record`. Gives the batches that had to end before it, mostly none, two at most: its neighbour is too far, or
    /// there was no room. What was seen already is passed over.
    pub fn add(&mut self, record: Record<'_>) -> Vec<Batch> {
        let mut ended = Vec::new();
        if record.offset < self.next {
            return ended;
        }
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let too_far = record.offset - self.first >= BATCH_OFFSETS_SPAN_MAX;
        if !self.is_empty() && (too_far || self.bytes + size > BATCH_BYTES_MAX) {
            ended.extend(self.finish());
        }
        if record.offset - self.next >= BATCH_OFFSETS_SPAN_MAX {
            ended.extend(self.pass(record.offset));
        }
        if self.is_empty() {
            self.reserve();
        }
        self.offsets.push(record.offset);
        self.keys.append_option(record.key);
        self.values.append_option(record.value);
        self.times.append_option(record.time_ms);
        self.with_headers |= !record.headers.is_empty();
        if self.with_headers {
            self.headers.resize_with(self.offsets.len() - 1, Headers::new);
            self.headers.push(record.headers);
        }
        self.bytes += size;
        self.next = record.offset + 1;
        ended
    }

    /// Everything below `position` has been seen: markers of transactions hold no message. Gives a batch without
    /// messages if none waits; else the one that waits will cover them.
    pub fn pass(&mut self, position: i64) -> Option<Batch> {
        if position <= self.next || planted(Bug::StaysBeforeTheMarkers) {
            return None;
        }
        self.next = position;
        if self.is_empty() { self.cut(RawRecords::empty()) } else { None }
    }

    /// The batch that waits, if any.
    pub fn finish(&mut self) -> Option<Batch> {
        if self.is_empty() {
            return None;
        }
        let keys = self.keys.finish();
        let values = self.values.finish();
        self.usual.learn(self.offsets.len(), keys.values().len(), values.values().len());
        let raw = RawRecords {
            offsets: Int64Array::from(std::mem::take(&mut self.offsets)),
            keys,
            values,
            times_ms: self.times.finish(),
            headers: self.take_headers(),
        };
        self.bytes = 0;
        self.cut(raw)
    }

    fn take_headers(&mut self) -> Option<Arc<Vec<Headers>>> {
        let headers = std::mem::take(&mut self.headers);
        std::mem::take(&mut self.with_headers).then(|| Arc::new(headers))
    }

    fn cut(&mut self, raw: RawRecords) -> Option<Batch> {
        let origin = Origin { key: self.key.clone(), epoch: self.epoch, first: self.first, next: self.next };
        self.first = self.next;
        Some(Batch::raw(origin, raw))
    }

    /// Growing on the way would cost a copy and fresh pages each time.
    fn reserve(&mut self) {
        let Room { rows, keys, values } = self.usual;
        self.offsets.reserve(rows);
        self.times = Int64Builder::with_capacity(rows);
        self.keys = BinaryBuilder::with_capacity(rows, keys);
        self.values = BinaryBuilder::with_capacity(rows, values);
    }
}

/// Room for a batch.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    rows: usize,
    keys: usize,
    values: usize,
}

impl Room {
    /// Follows what batches take: up at once and a little further, down slowly, since a short batch follows a long one
    /// wherever the log ends.
    fn learn(&mut self, rows: usize, keys: usize, values: usize) {
        let follow = |usual: usize, taken: usize| (taken + taken / 16).max(usual - usual / 8);
        self.rows = follow(self.rows, rows);
        self.keys = follow(self.keys, keys).min(BATCH_BYTES_MAX);
        self.values = follow(self.values, values).min(BATCH_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_follows_what_batches_take() {
        let mut room = Room::default();
        room.learn(1600, 0, 160_000);
        assert_eq!((room.rows, room.keys, room.values), (1700, 0, 170_000));
        room.learn(1, 1, 1);
        assert!(room.rows > 1400, "one short batch is no habit");
        for _ in 0..100 {
            room.learn(1, 1, 1);
        }
        assert!(room.rows < 10 && room.values < 10);
        room.learn(1, 1, 100_000_000);
        assert_eq!(room.values, BATCH_BYTES_MAX);
    }

    fn gathering(start: i64) -> Gathering {
        let key = PartitionKey { source: "s".into(), topic: "t".into(), partition: 0 };
        Gathering::new(key, 7, start, 3)
    }

    fn record(offset: i64, value: &[u8]) -> Record<'_> {
        Record { offset, key: None, value: Some(value), time_ms: Some(offset * 10), headers: Headers::new() }
    }

    #[test]
    fn keys_tombstones_times_and_headers_survive() {
        let mut gathering = gathering(5);
        assert!(gathering.add(record(5, b"a")).is_empty());
        let headers: Headers = vec![("h".into(), Some(b"1".to_vec())), ("h".into(), None)];
        gathering.add(Record {
            offset: 6,
            key: Some(b"k"),
            value: None,
            time_ms: None,
            headers: headers.clone(),
        });
        gathering.add(record(7, b""));
        assert!(gathering.is_full());
        let batch = gathering.finish().unwrap();
        assert_eq!((batch.origin.first, batch.origin.next, batch.origin.epoch), (5, 8, 7));
        let raw = &batch.raw;
        assert_eq!([raw.value(0), raw.value(1), raw.value(2)], [Some(&b"a"[..]), None, Some(&b""[..])]);
        assert_eq!([raw.key(0), raw.key(1)], [None, Some(&b"k"[..])]);
        assert_eq!([raw.time_ms(0), raw.time_ms(1)], [Some(50), None]);
        assert_eq!(**raw.headers.as_ref().unwrap(), vec![Headers::new(), headers, Headers::new()]);
        gathering.add(record(8, b"x"));
        assert!(gathering.finish().unwrap().raw.headers.is_none());
    }

    #[test]
    fn batches_are_contiguous_over_gaps_and_repeats_are_passed_over() {
        let mut gathering = gathering(0);
        gathering.add(record(3, b"a"));
        gathering.add(record(2, b"seen"));
        let batch = gathering.finish().unwrap();
        assert_eq!((batch.origin.first, batch.origin.next, batch.raw.len()), (0, 4, 1));
        gathering.add(record(9, b"b"));
        let batch = gathering.finish().unwrap();
        assert_eq!((batch.origin.first, batch.origin.next), (4, 10));
    }

    #[test]
    fn a_wide_gap_ends_a_batch_and_is_covered_by_one_without_messages() {
        let mut gathering = gathering(0);
        gathering.add(record(0, b"a"));
        let far = 10 * BATCH_OFFSETS_SPAN_MAX;
        let [before, gap] = gathering.add(record(far, b"b")).try_into().unwrap();
        assert_eq!((before.origin.first, before.origin.next, before.raw.len()), (0, 1, 1));
        assert_eq!((gap.origin.first, gap.origin.next, gap.raw.len()), (1, far, 0));
        let last = gathering.finish().unwrap();
        assert_eq!((last.origin.first, last.origin.next, last.raw.len()), (far, far + 1, 1));
    }

    #[test]
    fn a_message_beyond_the_byte_bound_travels_alone() {
        let mut gathering = gathering(0);
        gathering.add(record(0, b"small"));
        let large = vec![b'x'; BATCH_BYTES_MAX + 1];
        let [before] = gathering.add(record(1, &large)).try_into().unwrap();
        assert_eq!(before.raw.len(), 1);
        assert!(gathering.is_full());
        let batch = gathering.finish().unwrap();
        assert_eq!((batch.raw.len(), batch.raw.value(0).unwrap().len()), (1, BATCH_BYTES_MAX + 1));
    }

    #[test]
    fn the_position_at_the_end_passes_what_holds_no_message() {
        let mut gathering = gathering(0);
        assert!(gathering.pass(0).is_none());
        let empty = gathering.pass(4).unwrap();
        assert_eq!((empty.origin.first, empty.origin.next, empty.raw.len()), (0, 4, 0));
        gathering.add(record(4, b"a"));
        assert!(gathering.pass(6).is_none(), "a batch that waits covers them");
        let batch = gathering.finish().unwrap();
        assert_eq!((batch.origin.first, batch.origin.next, batch.raw.len()), (4, 6, 1));
    }
}
