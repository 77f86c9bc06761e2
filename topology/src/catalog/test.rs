//! `tests`: the parts of an example.

use super::{Key, Shape};
use crate::model::{RowOrder, Word};

/// One entry of `tests`.
pub const TEST: &[Key] = &[
    Key::required("name", Shape::Text, "What the example shows."),
    Key::optional("send", Shape::ListOf(&Shape::Part(SEND)), "What is sent; one entry, or a list of them."),
    Key::optional(
        "tables",
        Shape::MapOf(&Shape::Part(TABLE)),
        "What the table behind a writer is like, beyond the topology's own columns.",
    ),
    Key::optional("faults", Shape::ListOf(&Shape::Part(FAULT)), "What goes wrong, and when."),
    Key::default(
        "lasts",
        Shape::Duration,
        "until everything sent is decided",
        "The example is judged after so long, in virtual time.",
    ),
    Key::required(
        "expect",
        Shape::Opaque,
        "What must hold: `<sink>: { rows, order, count, keys }`, and the parts of `EXPECT`.",
    ),
];

/// `send`.
pub const SEND: &[Key] = &[
    Key::required("to", Shape::Actor, "Who receives them: a source, a normalizer, or a sink."),
    Key::optional(
        "records",
        Shape::Opaque,
        "For a source or a normalizer, a list: data (sent as JSON), a text, `{ value | raw, key, partition, time, \
         headers }` or `{ file }`.",
    ),
    Key::optional(
        "rows",
        Shape::Opaque,
        "For a sink, a list: `{ column: value }`, or `{ row, key, partition, time, headers }`; a column left out is NULL.",
    ),
    Key::default("at", Shape::Duration, "0s", "When, from the start."),
];

/// A record with what surrounds it.
pub const RECORD: &[Key] = &[
    Key::optional("value", Shape::Opaque, "Data, sent as JSON; null is a tombstone."),
    Key::optional("raw", Shape::Text, "Bytes, sent as they are."),
    Key::optional("key", Shape::Text, "The record's key."),
    Key::optional("partition", Shape::Integer(0, 1_000_000), "The record's partition."),
    Key::default("time", Shape::TimeOr(&[]), "the event's", "The record's time: RFC 3339, or milliseconds."),
    Key::optional("headers", Shape::MapOf(&Shape::Text), "The record's headers."),
];

/// A row for a sink, with what surrounds it.
pub const ROW: &[Key] = &[
    Key::required("row", Shape::Opaque, "The columns."),
    Key::optional("key", Shape::Text, "The record's key."),
    Key::optional("partition", Shape::Integer(0, 1_000_000), "The record's partition."),
    Key::optional("time", Shape::TimeOr(&[]), "The record's time: RFC 3339, or milliseconds."),
    Key::optional("headers", Shape::MapOf(&Shape::Text), "The record's headers."),
];

/// `tables.<writer>`.
pub const TABLE: &[Key] = &[
    Key::optional(
        "columns",
        Shape::MapOf(&Shape::FieldType),
        "Columns of another type than the topology's field.",
    ),
    Key::optional("not_null", Shape::ListOf(&Shape::Field), "Columns that refuse NULL."),
    Key::optional("unique", Shape::ListOf(&Shape::Field), "Columns that are unique together."),
    Key::optional(
        "check",
        Shape::MapOf(&Shape::Expression),
        "Conditions on a row, by the constraint's name.",
    ),
];

/// `faults`.
pub const FAULT: &[Key] = &[
    Key::default("at", Shape::Duration, "0s", "When, from the start."),
    Key::optional(
        "for",
        Shape::Duration,
        "How long an outage, or another's ownership, lasts; to the end unless said.",
    ),
    Key::optional(
        "partition",
        Shape::Integer(0, 1_000_000),
        "Which partition is taken; all of them unless said.",
    ),
    Key::optional(
        "offset",
        Shape::Integer(0, i64::MAX),
        "With `panic`: whenever it is given the record at this offset.",
    ),
    Key::optional("crash", Shape::Actor, "The actor ends with an error."),
    Key::optional("panic", Shape::Actor, "The actor panics, once; see `offset`."),
    Key::optional("redis_down", Shape::Actor, "Redis is away from this cache."),
    Key::optional("sink_timeout", Shape::Actor, "This sink gets no answer."),
    Key::optional("disk_full", Shape::Actor, "The disk behind this sink is full."),
    Key::optional("revoke", Shape::Actor, "This source loses its partitions, to another node `for` so long."),
    Key::optional(
        "takeover",
        Shape::Actor,
        "Another node claims this source's partitions; it is told nothing of it.",
    ),
];

/// The parts of `expect` that are no sink.
pub const EXPECT: &[Key] = &[
    Key::optional("dead_letter", Shape::Opaque, "Exactly these letters, by partition and offset."),
    Key::optional(
        "offsets",
        Shape::Opaque,
        "`<sink>: { <partition>: <next offset> }`, or `<source>/<partition>` where a sink has several sources.",
    ),
    Key::optional("restarts", Shape::Opaque, "`<actor>: <count>`."),
    Key::optional("states", Shape::Opaque, "`<actor>: running | waiting | ..`."),
    Key::optional("ledger", Shape::Part(LEDGER), "Records by fate."),
    Key::optional(
        "exit",
        Shape::Integer(0, 255),
        "The run has ended by itself, with this code: 70 = supervision gave up.",
    ),
];

/// `expect.ledger`.
pub const LEDGER: &[Key] = &[
    Key::optional("read", Shape::Integer(0, i64::MAX), "Records read."),
    Key::optional("written", Shape::Integer(0, i64::MAX), "Records durable in every required sink."),
    Key::optional("dead_lettered", Shape::Integer(0, i64::MAX), "Records rejected by a required branch."),
    Key::optional("filtered", Shape::Integer(0, i64::MAX), "Records that gave no row."),
    Key::optional("skipped", Shape::Integer(0, i64::MAX), "Records passed over."),
    Key::optional("in_flight", Shape::Integer(0, i64::MAX), "Records not decided yet."),
    Key::optional("unaccounted", Shape::Integer(0, i64::MAX), "What the sum lacks."),
];

/// `expect.<sink>`.
pub const SINK_EXPECT: &[Key] = &[
    Key::optional("rows", Shape::Opaque, "Exactly these rows; of each only the fields written."),
    Key::default(
        "order",
        Shape::Word(RowOrder::WORDS),
        "read",
        "Rows are compared in the order in which their records were read (`read`: by partition and offset), in which \
         they arrived (`arrival`; always so in a topic), or in none (`any`).",
    ),
    Key::default(
        "doubles",
        Shape::Bool,
        "false",
        "Whether a row may be there more than once, as in a topic after a crash.",
    ),
    Key::optional("count", Shape::Integer(0, i64::MAX), "So many rows, or keys of a cache."),
    Key::optional("keys", Shape::Opaque, "`<key>: { field: value }`, or `null` for a key without a value."),
];

/// One entry of `expect.dead_letter`.
pub const LETTER: &[Key] = &[
    Key::optional("actor", Shape::Actor, "Who rejected the record."),
    Key::optional("reason", Shape::Text, "Why: the name of a `require`, `not_json`, .."),
    Key::optional("detail", Shape::Text, "A part of what is said for people."),
    Key::optional("key", Shape::Text, "The record's key."),
    Key::optional("payload", Shape::Text, "The record's value, as it came."),
    Key::optional("partition", Shape::Integer(0, i64::MAX), "The record's partition."),
    Key::optional("offset", Shape::Integer(0, i64::MAX), "The record's offset."),
    Key::optional("row", Shape::Integer(0, i64::MAX), "The row within the record."),
];
