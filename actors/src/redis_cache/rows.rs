//! From the rows of a batch to the newest entry of each key among them.
//!
//! Values become text only for the rows that win: of a batch of 8192 rows of 200 symbols, 200.

use super::deletion::Deletion;
use super::order::Order;
use super::pending::{Entry, Write};
use super::text;
use ahash::AHashMap;
use aqueduct_engine::{Batch, Error, Origin, PartitionKey};
use aqueduct_topology::model::{RedisCache, TemplatePart};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use std::sync::Arc;
use std::time::Duration;

/// The hash field that holds the order.
pub(crate) const ORDER_FIELD: &str = "_at";

/// How rows become entries.
pub struct Layout {
    options: RedisCache,
    /// The identities of the sources upstream, sorted: the last part of the order.
    sources: Vec<Arc<str>>,
    deletion: Option<Deletion>,
}

/// A row without a key or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unplaced {
    /// The offset of its message, and its index there.
    pub(crate) at: (i64, i32),
    /// A stable short word.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) detail: String,
}

/// What a batch gives.
#[derive(Debug, Default)]
pub struct Winners {
    /// The newest row of each key.
    pub(crate) entries: Vec<(String, Entry)>,
    /// Rows that have no place.
    pub(crate) unplaced: Vec<Unplaced>,
    /// Rows that gave way to a newer one of the batch.
    pub coalesced: u64,
    /// Rows whose time to live had passed.
    pub(crate) expired: u64,
}

/// A row that may win.
#[derive(Clone, Copy)]
struct Candidate {
    order: Order,
    row: usize,
    expires_at_ms: Option<i64>,
    deleted: bool,
}

impl Layout {
    /// For caches with these options, of rows from `sources`.
    pub fn new(options: &RedisCache, mut sources: Vec<Arc<str>>) -> Self {
        sources.sort();
        let deletion = options.delete_when.as_ref().map(|condition| Deletion::new(&condition.text));
        Self { options: options.clone(), sources, deletion }
    }

    /// The fields of the hashes, without [`ORDER_FIELD`].
    pub(crate) fn fields(&self) -> Vec<String> {
        self.options.value.iter().map(|name| name.value.clone()).collect()
    }

    /// The newest entry of each key of `batch`.
    pub fn winners(&self, batch: &Batch, now_ms: i64) -> Result<Winners, Error> {
        let mut winners = Winners::default();
        if batch.rows.num_rows() == 0 {
            return Ok(winners);
        }
        let columns = Columns::of(&batch.rows, &self.options)?;
        let deletions = match &self.deletion {
            Some(deletion) => Some(deletion.of(&batch.rows)?.holds(&batch.rows)),
            None => None,
        };
        let (offsets, indices) = (batch.row_offsets(), batch.row_indices());
        let source = self.source(&batch.origin.key);
        let mut newest: AHashMap<String, Candidate> = AHashMap::new();
        let mut key = String::new();
        for row in 0..batch.rows.num_rows() {
            let at = (offsets[row], indices[row]);
            if let Err((reason, detail)) = columns.check(row, &mut key) {
                winners.unplaced.push(Unplaced { at, reason, detail });
                continue;
            }
            let deleted = deletions.as_ref().is_some_and(|deletions| deletions.value(row));
            let order = Order {
                by: columns.order[row],
                partition: batch.origin.key.partition,
                offset: at.0,
                row: at.1,
                source,
            };
            let expires_at_ms = self.expires_at_ms(batch, &columns, (row, deleted), now_ms);
            let candidate = Candidate { order, row, expires_at_ms, deleted };
            if candidate.expires_at_ms.is_some_and(|end| end <= now_ms) {
                winners.expired += 1;
                continue;
            }
            match newest.get_mut(key.as_str()) {
                Some(kept) => {
                    winners.coalesced += 1;
                    if kept.order < candidate.order {
                        *kept = candidate;
                    }
                }
                None => {
                    newest.insert(key.clone(), candidate);
                }
            }
        }
        winners.entries = newest.into_iter().map(|(key, newest)| (key, columns.entry(newest))).collect();
        Ok(winners)
    }

    /// Whether `entry` is of a row of `origin`.
    pub(crate) fn came_from(&self, entry: &Entry, origin: &Origin) -> bool {
        let order = &entry.order;
        order.partition == origin.key.partition
            && (origin.first..origin.next).contains(&order.offset)
            && order.source == self.source(&origin.key)
    }

    /// The newest event time among `writes`, if their order is one.
    pub(crate) fn newest_time_us(&self, writes: &[(Arc<str>, Entry)]) -> Option<i64> {
        writes.iter().filter_map(|(_, entry)| entry.time_us).max()
    }

    fn source(&self, key: &PartitionKey) -> u16 {
        self.sources.binary_search(&key.source).unwrap_or(self.sources.len()) as u16
    }

    fn expires_at_ms(
        &self,
        batch: &Batch,
        columns: &Columns,
        (row, deleted): (usize, bool),
        now_ms: i64,
    ) -> Option<i64> {
        if deleted {
            // A tombstone stays that long from now on: it must outlive rows that are late, and in a backfill its own
            // time has long passed.
            let from = columns.time_ms(batch, row).map_or(now_ms, |time| time.max(now_ms));
            return Some(from.saturating_add(millis(self.options.ttl_deleted)));
        }
        let ttl = self.options.ttl?;
        Some(columns.time_ms(batch, row).unwrap_or(now_ms).saturating_add(millis(ttl)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The columns a cache needs, found in one batch.
struct Columns<'a> {
    key: Vec<KeyPart<'a>>,
    order: &'a [i64],
    order_column: &'a ArrayRef,
    order_is_time: bool,
    values: Vec<&'a ArrayRef>,
}

enum KeyPart<'a> {
    Text(&'a str),
    Field(&'a str, &'a ArrayRef),
}

impl<'a> Columns<'a> {
    fn of(rows: &'a RecordBatch, options: &'a RedisCache) -> Result<Self, Error> {
        let column = |name: &str| {
            rows.column_by_name(name)
                .ok_or_else(|| Error::bug(format!("the rows of a redis_cache have no column `{name}`")))
        };
        let key = options.key.iter().map(|part| {
            Ok(match part {
                TemplatePart::Text(text) => KeyPart::Text(text),
                TemplatePart::Field(name) => KeyPart::Field(&name.value, column(&name.value)?),
            })
        });
        let order_column = column(&options.order_by.value)?;
        let (order, order_is_time) = match order_column.data_type() {
            DataType::Int64 => (&order_column.as_primitive::<Int64Type>().values()[..], false),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                (&order_column.as_primitive::<TimestampMicrosecondType>().values()[..], true)
            }
            other => {
                let name = &options.order_by.value;
                return Err(Error::bug(format!("`order_by` `{name}` of a redis_cache is a {other}")));
            }
        };
        Ok(Self {
            key: key.collect::<Result<_, Error>>()?,
            order,
            order_column,
            order_is_time,
            values: options.value.iter().map(|name| column(&name.value)).collect::<Result<_, Error>>()?,
        })
    }

    /// Writes the key of `row` into `key`, or says why the row has no place.
    fn check(&self, row: usize, key: &mut String) -> Result<(), (&'static str, String)> {
        key.clear();
        for part in &self.key {
            match part {
                KeyPart::Text(text) => key.push_str(text),
                KeyPart::Field(name, column) if column.is_null(row) => {
                    return Err(("key_missing", format!("field `{name}` of the key is null")));
                }
                KeyPart::Field(name, column) => {
                    if !text::append(column, row, key) {
                        return Err(("key_type", format!("field `{name}` of the key has no text")));
                    }
                }
            }
        }
        if self.order_column.is_null(row) {
            return Err(("order_missing", "the field of `order_by` is null".to_owned()));
        }
        Ok(())
    }

    /// The event time of `row` if the order is one, else the record's.
    fn time_ms(&self, batch: &Batch, row: usize) -> Option<i64> {
        if self.order_is_time {
            return Some(self.order[row].div_euclid(1000));
        }
        batch.raw.time_ms(batch.raw.position(batch.row_offsets()[row])?)
    }

    fn entry(&self, candidate: Candidate) -> Entry {
        let text = |column: &ArrayRef| {
            let mut text = String::new();
            let there = !column.is_null(candidate.row) && text::append(column, candidate.row, &mut text);
            there.then(|| text.into_boxed_str())
        };
        let write = if candidate.deleted {
            Write::Tombstone
        } else {
            Write::Put(self.values.iter().map(|column| text(column)).collect())
        };
        let time_us = self.order_is_time.then_some(candidate.order.by);
        Entry { order: candidate.order, time_us, expires_at_ms: candidate.expires_at_ms, write }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::RawRecords;
    use aqueduct_engine::batch::{hidden_columns, with_hidden_columns};
    use aqueduct_topology::model::Expr;
    use aqueduct_topology::{Span, Spanned};
    use arrow_array::{BinaryArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow_schema::Field;

    fn spanned<T>(value: T) -> Spanned<T> {
        Spanned::new(value, Span::default())
    }

    fn options(order_by: &str, ttl: Option<Duration>) -> RedisCache {
        RedisCache {
            key: spanned(vec![
                TemplatePart::Text("last:".to_owned()),
                TemplatePart::Field(spanned("symbol".to_owned())),
            ]),
            value: vec![spanned("price".to_owned()), spanned("seq".to_owned())],
            order_by: spanned(order_by.to_owned()),
            ttl,
            delete_when: None,
            ttl_deleted: Duration::from_secs(600),
        }
    }

    type Row = (Option<&'static str>, i64, i128, Option<i64>);

    /// Rows of one message each: symbol, time in seconds, price in cents, sequence. Record times are 100 s later.
    fn batch(rows: &[Row]) -> Batch {
        let offsets: Vec<i64> = (0..rows.len() as i64).map(|index| 10 + index).collect();
        let raw = RawRecords {
            offsets: offsets.clone().into(),
            keys: BinaryArray::from(vec![None::<&[u8]>; rows.len()]),
            values: BinaryArray::from(vec![Some(&b"{}"[..]); rows.len()]),
            times_ms: rows.iter().map(|row| (row.1 + 100) * 1000).collect::<Vec<_>>().into(),
            headers: None,
        };
        let key = PartitionKey { source: "ticks".into(), topic: "t".into(), partition: 3 };
        let next = 10 + rows.len() as i64;
        let raw = Batch::raw(Origin { key, epoch: 1, first: 10, next }, raw);
        let decimal = Decimal128Array::from_iter_values(rows.iter().map(|row| row.2));
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1 * 1_000_000));
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(decimal.with_precision_and_scale(18, 2).unwrap()),
            Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        ];
        let schema = with_hidden_columns(
            ["symbol", "ts", "price", "seq"]
                .iter()
                .zip(&columns)
                .map(|(name, column)| Field::new(*name, column.data_type().clone(), true)),
        );
        columns.extend(hidden_columns(offsets, vec![0; rows.len()]));
        raw.with_rows(RecordBatch::try_new(schema, columns).unwrap())
    }

    fn layout(options: &RedisCache) -> Layout {
        Layout::new(options, vec!["ticks".into()])
    }

    fn value(winners: &Winners, key: &str) -> Write {
        winners.entries.iter().find(|(name, _)| name == key).expect(key).1.write.clone()
    }

    #[test]
    fn the_newest_row_of_each_key_wins_whatever_its_place() {
        let rows = [(Some("A"), 2, 200, Some(1)), (Some("B"), 5, 500, None), (Some("A"), 1, 100, Some(2))];
        let winners = layout(&options("ts", None)).winners(&batch(&rows), 0).unwrap();
        assert_eq!(winners.entries.len(), 2);
        assert_eq!(winners.coalesced, 1);
        let put = |values: [Option<&str>; 2]| Write::Put(values.map(|text| text.map(Into::into)).to_vec());
        assert_eq!(value(&winners, "last:A"), put([Some("2.00"), Some("1")]));
        assert_eq!(value(&winners, "last:B"), put([Some("5.00"), None]));
    }

    #[test]
    fn of_two_rows_of_one_time_the_later_offset_wins() {
        let rows = [(Some("A"), 1, 100, None), (Some("A"), 1, 200, None)];
        let winners = layout(&options("ts", None)).winners(&batch(&rows), 0).unwrap();
        let (_, entry) = &winners.entries[0];
        assert_eq!((entry.order.offset, entry.order.partition), (11, 3));
    }

    #[test]
    fn rows_without_key_or_order_have_no_place() {
        let rows = [(None, 1, 100, Some(1)), (Some("A"), 1, 100, None)];
        let winners = layout(&options("seq", None)).winners(&batch(&rows), 0).unwrap();
        assert!(winners.entries.is_empty());
        let reasons: Vec<_> = winners.unplaced.iter().map(|row| (row.at, row.reason)).collect();
        assert_eq!(reasons, [((10, 0), "key_missing"), ((11, 0), "order_missing")]);
    }

    #[test]
    fn the_time_to_live_counts_from_the_event_or_else_from_the_record() {
        let ttl = Some(Duration::from_secs(60));
        let rows = [(Some("A"), 1000, 100, Some(7))];
        let by_time = layout(&options("ts", ttl)).winners(&batch(&rows), 1_059_999).unwrap();
        assert_eq!(by_time.entries[0].1.expires_at_ms, Some(1_060_000));
        let passed = layout(&options("ts", ttl)).winners(&batch(&rows), 1_060_000).unwrap();
        assert_eq!((passed.entries.len(), passed.expired), (0, 1));
        let by_number = layout(&options("seq", ttl)).winners(&batch(&rows), 0).unwrap();
        assert_eq!(by_number.entries[0].1.expires_at_ms, Some(1_160_000));
    }

    #[test]
    fn a_deletion_is_written_even_when_its_time_has_passed() {
        let mut options = options("ts", Some(Duration::from_secs(60)));
        let condition = Expr { text: "price == 0".to_owned(), span: Span::default() };
        options.delete_when = Some(condition);
        let layout = layout(&options);
        let now_ms = 9_000_000;
        let winners = layout.winners(&batch(&[(Some("A"), 1, 0, None)]), now_ms).unwrap();
        assert_eq!(value(&winners, "last:A"), Write::Tombstone);
        assert_eq!(winners.entries[0].1.expires_at_ms, Some(now_ms + 600_000));
    }
}
