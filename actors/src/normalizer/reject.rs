//! What is wrong with a record or row, in a word for machines and a sentence for people.

use crate::expr::Value;
use aqueduct_engine::{Class, Extent};
use std::sync::Arc;

/// The message is not UTF-8.
pub const NOT_UTF8: &str = "not_utf8";
/// The message is not JSON.
pub const NOT_JSON: &str = "not_json";
/// The message, or a line of it, is not CSV, or not of the columns.
pub const NOT_CSV: &str = "not_csv";
/// The message is not Avro, or not of its schema.
pub const NOT_AVRO: &str = "not_avro";
/// The message is not Protobuf, or not of its schema.
pub const NOT_PROTOBUF: &str = "not_protobuf";
/// The registry does not have the schema whose id the message begins with.
pub const UNKNOWN_SCHEMA: &str = "unknown_schema";
/// The schema cannot be read, or is of another format.
pub const UNFIT_SCHEMA: &str = "unfit_schema";
/// The message is empty (a tombstone, which has no value at all, is filtered instead).
pub const EMPTY: &str = "empty";
/// Its arrays and objects nest too deeply.
pub const TOO_DEEP: &str = "too_deep";
/// The message, its rows, or a text are larger than allowed.
pub const TOO_LARGE: &str = "too_large";
/// A required field is absent or null.
pub const MISSING_FIELD: &str = "missing_field";
/// The value is not of the field's type.
pub const WRONG_TYPE: &str = "wrong_type";
/// The value is of the type, but the type cannot hold it.
pub const OUT_OF_RANGE: &str = "out_of_range";
/// The text cannot be stored: U+0000 or a lone surrogate.
pub const INVALID_TEXT: &str = "invalid_text";
/// The field's `map` does not list the value.
pub const UNMAPPED_VALUE: &str = "unmapped_value";
/// An expression has no value: overflow, division by zero, a conversion that fails.
pub const EXPRESSION: &str = "expression";
/// The event time lies outside its bounds.
pub const EVENT_TIME: &str = "event_time";
/// Stands for the rejected rows of a record that have no letter of their own; see [`letters_max`].
pub const MORE_ROWS: &str = "more_rows";

/// Most letters of one record, apart from the one that counts the rest.
pub const LETTERS_MAX: usize = 64;
/// Each letter holds the record's bytes; together they hold about so many.
pub const LETTERS_BYTES_MAX: usize = aqueduct_topology::bounds::LETTERS_BYTES_MAX as usize;

/// How many rejected rows of a record of so many bytes have a letter of their own.
pub(super) fn letters_max(message_bytes: usize) -> usize {
    (LETTERS_BYTES_MAX / message_bytes.max(1)).clamp(1, LETTERS_MAX)
}

/// Characters of a value that a detail quotes.
const QUOTED_CHARS_MAX: usize = 96;

/// A rejected record, or a rejected row of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reject {
    /// The record's offset.
    pub offset: i64,
    /// The row within it; 0 = the first, or the whole record.
    pub row: i32,
    /// How much of it.
    pub extent: Extent,
    /// Always the record's own fault.
    pub class: Class,
    /// One of this module's words, or the name of a `require`.
    pub reason: Arc<str>,
    /// Where, what was found, what was expected.
    pub detail: String,
}

/// Why a value is not what its field wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) reason: Arc<str>,
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(reason: &str, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }

    /// So many rows of a record are rejected besides those that have a letter.
    pub(super) fn more_rows(more: usize) -> Self {
        Self::new(MORE_ROWS, format!("{more} more rows of this record are rejected"))
    }

    /// What `require` wants is not true of a row with these values.
    pub(super) fn not_required<'v>(
        reason: &Arc<str>,
        row: impl Iterator<Item = (&'v str, Value<'v>)>,
    ) -> Self {
        let cells = row.map(|(name, value)| format!("{name}: {}", quoted(&value.describe())));
        let detail = format!("`require` {reason} is not true of {}", cells.collect::<Vec<_>>().join(", "));
        Self { reason: reason.clone(), detail }
    }
}

/// `text`, cut where it gets long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((cut, _)) => format!("{}.. ({} bytes)", &text[..cut], text.len()),
        None => text.to_owned(),
    }
}
