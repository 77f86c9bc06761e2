//! Which rows of a batch a tap takes: spread over the batch, or those that match a condition.
//!
//! The search is bounded in rows and bytes, begins anywhere in the batch, and stops at what it needs. Messages that no
//! normalizer has seen are searched for the bytes alone; whether their JSON really says so is judged by the reader.

use super::cell;
use crate::batch::{Batch, RawRecords};
use crate::limits::{TAP_COPY_BYTES_MAX, TAP_SEARCH_BYTES_MAX, TAP_SEARCH_ROWS_MAX};
use serde_json::Value;

/// What a reader wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// At most so many rows a second.
    pub(crate) per_second: u32,
    /// Only rows whose field has that value.
    pub(crate) condition: Option<(String, String)>,
}

impl Wanted {
    /// The places of at most `most` rows of `batch`, ascending; a search begins somewhere that `anywhere` says. What
    /// keeps any row from matching is an error, for people.
    pub(super) fn of(&self, batch: &Batch, most: usize, anywhere: usize) -> Result<Vec<usize>, String> {
        let has_rows = batch.rows.num_columns() > 0;
        let count = if has_rows { batch.rows.num_rows() } else { batch.raw.len() };
        if count == 0 {
            return Ok(Vec::new());
        }
        let most = most.min((TAP_COPY_BYTES_MAX / (batch.bytes() / count).max(1)).max(1));
        let begin = anywhere % count;
        let mut picked = match &self.condition {
            None => spread(count, most, begin),
            Some((field, value)) if has_rows => matching(batch, (field, value), most, begin)?,
            Some((_, value)) => mentioning(&batch.raw, value, most, begin),
        };
        picked.sort_unstable();
        Ok(picked)
    }

    /// Whether a record as it is shown is among those wanted.
    pub(crate) fn takes(&self, record: &Value) -> bool {
        let Some((field, value)) = &self.condition else { return true };
        find(record, field).is_some_and(|found| cell::is(found, value))
    }
}

/// The field of that name: `price`, or with dots into JSON. What is inside a message may be named without its `value.`.
pub(crate) fn find<'a>(record: &'a Value, field: &str) -> Option<&'a Value> {
    let into = |value: &'a Value| field.split('.').try_fold(value, |value, name| value.get(name));
    record.get(field).or_else(|| into(record)).or_else(|| into(record.get("value")?))
}

fn spread(count: usize, most: usize, begin: usize) -> Vec<usize> {
    let taken = most.min(count);
    (0..taken).map(|index| (begin + index * count / taken) % count).collect()
}

fn matching(
    batch: &Batch,
    (field, value): (&str, &str),
    most: usize,
    begin: usize,
) -> Result<Vec<usize>, String> {
    let (name, _) = field.split_once('.').unwrap_or((field, ""));
    let Some(column) = batch.rows.column_by_name(field).or_else(|| batch.rows.column_by_name(name)) else {
        let schema = batch.rows.schema();
        let names: Vec<&str> = schema.fields().iter().map(|column| column.name().as_str()).collect();
        return Err(format!("no row has a field `{field}`; there are: {}", names.join(", ")));
    };
    let count = batch.rows.num_rows();
    let whole = column.len() == count && batch.rows.column_by_name(field).is_some();
    let fits = |row: &usize| {
        let found = cell::value(column, *row);
        let path = field.split('.').skip(1);
        if whole {
            return cell::is(&found, value);
        }
        path.into_iter()
            .try_fold(&found, |found, name| found.get(name))
            .is_some_and(|found| cell::is(found, value))
    };
    let searched = (0..count.min(TAP_SEARCH_ROWS_MAX)).map(|step| (begin + step) % count);
    Ok(searched.filter(fits).take(most).collect())
}

/// Messages whose bytes hold that value somewhere.
fn mentioning(raw: &RawRecords, value: &str, most: usize, begin: usize) -> Vec<usize> {
    let mut bytes = 0;
    let count = raw.len();
    let searched = (0..count.min(TAP_SEARCH_ROWS_MAX)).map(|step| (begin + step) % count);
    let mentions = |bytes: Option<&[u8]>| {
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).is_some_and(|text| text.contains(value))
    };
    searched
        .take_while(|&record| {
            bytes += raw.value(record).map_or(0, <[u8]>::len);
            bytes <= TAP_SEARCH_BYTES_MAX
        })
        .filter(|&record| mentions(raw.value(record)) || mentions(raw.key(record)))
        .take(most)
        .collect()
}
