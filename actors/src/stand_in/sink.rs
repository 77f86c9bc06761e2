//! What sinks in memory hold: rows as JSON, each with the place it came from.

use crate::json::rows::Rows;
use aqueduct_engine::{Batch, Error};
use std::sync::Arc;

/// Where a row came from. Ordered as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The source's identity; empty where that is not known.
    pub source: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The row within the record.
    pub row: i32,
}

impl Place {
    pub(super) fn of(batch: &Batch, row: usize) -> Self {
        Self {
            source: batch.origin.key.source.clone(),
            partition: batch.origin.key.partition,
            offset: batch.row_offsets()[row],
            row: batch.row_indices()[row],
        }
    }
}

/// One row of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it came from.
    pub place: Place,
    /// A JSON object.
    pub json: String,
}

/// One row as a JSON object.
pub(super) fn text(rows: &Rows, row: usize) -> Result<String, Error> {
    let mut text = Vec::new();
    rows.write(row, &mut text);
    String::from_utf8(text).map_err(|_| Error::bug("a row is no UTF-8"))
}
