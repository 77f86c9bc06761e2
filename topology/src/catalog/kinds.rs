//! The kinds of actors and their keys.

use super::gate::QUALITY_GATE;
use super::{Key, KindEntry, Port, Shape};
use crate::limits::TRANSACTIONS_MAX;
use crate::model::{
    Format, GroupProtocol, MatchMode, Membership, OnConflict, ReplayFormat, TimeUnit, Word, Work,
};

/// Every kind, built and planned.
pub const KINDS: &[KindEntry] = &[
    KindEntry {
        name: "kafka_source",
        doc: "Reads a topic, from where the database says its rows end.",
        port: Port::Source,
        keys: KAFKA_SOURCE,
        built: true,
    },
    KindEntry {
        name: "replay_source",
        doc: "Reads a file of recorded messages.",
        port: Port::Source,
        keys: REPLAY_SOURCE,
        built: true,
    },
    KindEntry {
        name: "normalizer",
        doc: "Makes typed rows of messages.",
        port: Port::Transform,
        keys: NORMALIZER,
        built: true,
    },
    KindEntry {
        name: "quality_gate",
        doc: "Judges the rows of each key by rules and gives a verdict on a beat: `trade`, `watch` or `halt`.",
        port: Port::Gate,
        keys: QUALITY_GATE,
        built: true,
    },
    KindEntry {
        name: "timescale_writer",
        doc: "Appends rows to a hypertable, exactly once.",
        port: Port::Sink,
        keys: TIMESCALE_WRITER,
        built: true,
    },
    KindEntry {
        name: "redis_cache",
        doc: "Keeps the newest value of each key in Redis.",
        port: Port::Sink,
        keys: REDIS_CACHE,
        built: true,
    },
    KindEntry {
        name: "kafka_sink",
        doc: "Writes rows to a topic as JSON, at least once.",
        port: Port::Sink,
        keys: KAFKA_SINK,
        built: true,
    },
    KindEntry {
        name: "dead_letter",
        doc: "Keeps what was rejected; there without being written.",
        port: Port::None,
        keys: DEAD_LETTER,
        built: true,
    },
    KindEntry {
        name: "schedule",
        doc: "Runs a piece of work on a beat, on one node of all.",
        port: Port::None,
        keys: SCHEDULE,
        built: true,
    },
    KindEntry {
        name: "window",
        doc: "Aggregates rows over windows of event time.",
        port: Port::Transform,
        keys: &[],
        built: false,
    },
];

const KAFKA_SOURCE: &[Key] = &[
    Key::required("topic", Shape::Text, "The topic."),
    Key::default(
        "start",
        Shape::TimeOr(&["earliest", "latest"]),
        "earliest",
        "Where to begin with a topic: what each of its partitions has by then is read from here on. Those it grows by later are read from their start.",
    ),
    Key::default(
        "group_protocol",
        Shape::Word(GroupProtocol::WORDS),
        "classic",
        "How the group agrees on partitions.",
    ),
    Key::default(
        "membership",
        Shape::Word(Membership::WORDS),
        "static",
        "How a member is known to its group.",
    ),
    Key::default("batch_rows", Shape::Integer(1, 65_536), "8192", "Most records of a batch."),
    Key::default("linger", Shape::Duration, "5ms", "Longest wait for a batch to fill."),
];

const REPLAY_SOURCE: &[Key] = &[
    Key::required("file", Shape::File, "The file, plain or `.gz`."),
    Key::default(
        "format",
        Shape::Word(ReplayFormat::WORDS),
        "by the file's ending",
        "How its lines are read.",
    ),
    Key::default("topic", Shape::Text, "the actor's name", "The topic that records claim to come from."),
    Key::optional("time", Shape::Pointer, "Where in a record its time is."),
    Key::default("time_unit", Shape::Word(TimeUnit::WORDS), "ms", "The unit of that time."),
    Key::optional("key", Shape::Pointer, "Where in a record its key is."),
    Key::optional(
        "speed",
        Shape::Positive,
        "How many times faster than recorded; as fast as it can unless said.",
    ),
    Key::default(
        "partitions",
        Shape::Integer(1, 1024),
        "1",
        "Records are spread over so many partitions by key.",
    ),
    Key::default(
        "repeat",
        Shape::Either(&Shape::Integer(1, 4_294_967_295), &Shape::Word(&["forever"])),
        "1",
        "How often the file is read.",
    ),
];

const NORMALIZER: &[Key] = &[
    Key::required(
        "fields",
        Shape::MapOf(&Shape::Either(&Shape::Pointer, &Shape::Part(FIELD))),
        "The row, in order: names, types, and where each is found.",
    ),
    Key::default(
        "format",
        Shape::Word(Format::WORDS),
        "json",
        "What messages are written in. `avro` and `protobuf` are read by the schema whose id each message begins with, from \
         `connections.registry`.",
    ),
    Key::optional("csv", Shape::Part(CSV), "With `format: csv`: its columns and signs."),
    Key::optional(
        "avro",
        Shape::Part(AVRO),
        "With `format: avro`: one schema for all messages, without a registry.",
    ),
    Key::optional("cases", Shape::ListOf(&Shape::Part(CASE)), "Ways in which the row is found in a message."),
    Key::default(
        "match",
        Shape::Word(MatchMode::WORDS),
        "first",
        "Whether the first case that applies gives rows, or each.",
    ),
    Key::optional("explode", Shape::Pointer, "One row per element of this array, or member of this object."),
    Key::optional("select", Shape::Expression, "Not true = filtered."),
    Key::optional(
        "require",
        Shape::MapOf(&Shape::Expression),
        "Not true = dead letter; the name is the reason.",
    ),
    Key::default(
        "event_time",
        Shape::Either(&Shape::Field, &Shape::Part(EVENT_TIME)),
        "the first timestamp",
        "The row's own time, and its bounds.",
    ),
];

/// `csv`. Each line of a message is a row.
pub const CSV: &[Key] = &[
    Key::optional(
        "columns",
        Shape::ListOf(&Shape::Text),
        "Their names, in order: `/price` finds one by name. Without them a line is a list: `/0`, `/1`, ..",
    ),
    Key::default("delimiter", Shape::Text, ",", "One character, or `tab`."),
    Key::default("quote", Shape::Text, "\"", "One character, doubled within quotes, or `none`."),
];

/// `avro`.
pub const AVRO: &[Key] = &[Key::required(
    "schema",
    Shape::File,
    "The file of the schema; messages are bare, without the id of one before them.",
)];

/// A field of the row.
pub const FIELD: &[Key] = &[
    Key::required(
        "type",
        Shape::FieldType,
        "`text`, `int64`, `float64`, `decimal(p,s)`, `bool`, `timestamp` or `json`.",
    ),
    Key::optional("path", Shape::Pointer, "Where it is, from the element that `explode` gives."),
    Key::optional("expr", Shape::Expression, "Computed instead."),
    Key::default("optional", Shape::Bool, "false", "Absent or null is NULL instead of a dead letter."),
    Key::optional("default", Shape::Text, "Absent or null is this."),
    Key::optional(
        "map",
        Shape::MapOf(&Shape::Text),
        "Texts for texts; what it does not list is a dead letter.",
    ),
    Key::default(
        "unit",
        Shape::Word(TimeUnit::WORDS),
        "ms for numbers, iso for text",
        "How a timestamp is written.",
    ),
    Key::default("zone", Shape::Text, "UTC", "The IANA zone of times without one."),
    Key::optional("scale", Shape::Integer(0, 38), "An integer divided by ten to this power."),
    Key::optional("max_bytes", Shape::Integer(1, 1 << 30), "A longer text is a dead letter."),
];

/// What a case may say of a field: everything but what the row says once.
pub const CASE_FIELD: &[Key] =
    &[FIELD[1], FIELD[2], FIELD[4], FIELD[5], FIELD[6], FIELD[7], FIELD[8], FIELD[9]];

/// One of `cases`.
pub const CASE: &[Key] = &[
    Key::required("name", Shape::Name, "The value of `case`."),
    Key::optional("when", Shape::Expression, "Not true = this case does not apply."),
    Key::optional("explode", Shape::Pointer, "In place of the normalizer's."),
    Key::optional("select", Shape::Expression, "Beside the normalizer's."),
    Key::optional("require", Shape::MapOf(&Shape::Expression), "Beside the normalizer's."),
    Key::optional(
        "fields",
        Shape::MapOf(&Shape::Either(&Shape::Pointer, &Shape::Part(CASE_FIELD))),
        "Where this case keeps the fields; merged over the row.",
    ),
];

/// `event_time`, in its long form.
pub const EVENT_TIME: &[Key] = &[
    Key::required("field", Shape::Field, "The timestamp."),
    Key::default("past_max", Shape::Duration, "back to 1990", "How much older than its record."),
    Key::default("future_max", Shape::Duration, "1d", "How much newer than its record."),
];

const TIMESCALE_WRITER: &[Key] = &[
    Key::required("table", Shape::Text, "`schema.table`."),
    Key::optional("flush", Shape::Part(FLUSH), "When a transaction begins."),
    Key::default(
        "transactions",
        Shape::Integer(1, TRANSACTIONS_MAX),
        "1",
        "The most that are in flight at once, on a connection each; of one partition there is never more than one. \
         Of several each takes its part of `flush` and its share of the partitions.",
    ),
    Key::optional("unique", Shape::ListOf(&Shape::Field), "The business key; must contain the event time."),
    Key::default(
        "on_conflict",
        Shape::Word(OnConflict::WORDS),
        "keep",
        "What becomes of a row whose business key is there: nothing, or it replaces the other.",
    ),
    Key::optional(
        "order_by",
        Shape::Field,
        "With `on_conflict: replace`: an int64 or timestamp; a row never gives way to one with a lower value. Without it the last to come wins.",
    ),
    Key::optional(
        "retention",
        Shape::Duration,
        "How long rows are kept, by their event time; a `schedule` with `run: retention` drops what is older.",
    ),
    Key::optional(
        "compress_after",
        Shape::Duration,
        "From which age on chunks are compressed; only by an edition of TimescaleDB that can.",
    ),
    Key::optional(
        "chunk_interval",
        Shape::Duration,
        "The time that one chunk spans; one day unless the table says otherwise.",
    ),
    Key::optional("growth", Shape::Growth, "How fast the table may grow; `audit retention` compares."),
];

const SCHEDULE: &[Key] = &[
    Key::required(
        "every",
        Shape::Beat,
        "When it runs: a duration from one run to the next, or `minute hour day month weekday` as cron has it, in UTC.",
    ),
    Key::required(
        "run",
        Shape::Word(Work::WORDS),
        "What it runs; `retention` drops what is past the `retention` of the topology's tables, `rollup` fills a table of \
         aggregates, `export` writes closed days to Parquet.",
    ),
    Key::optional("rollup", Shape::Part(ROLLUP), "With `run: rollup`: which table, of what."),
    Key::optional("export", Shape::Part(EXPORT), "With `run: export`: which table, into where."),
];

/// `rollup` of a schedule.
pub const ROLLUP: &[Key] = &[
    Key::required("of", Shape::Actor, "The `timescale_writer` whose table is read."),
    Key::required(
        "into",
        Shape::Text,
        "The table that is filled, `schema.table`; a row for each bucket and key.",
    ),
    Key::required(
        "bucket",
        Shape::Duration,
        "The event time that a row spans; its beginning is in a column named like the event time.",
    ),
    Key::optional(
        "by",
        Shape::ListOf(&Shape::Field),
        "The key; rows without one of these fields are left out.",
    ),
    Key::required(
        "columns",
        Shape::MapOf(&Shape::Text),
        "The other columns: `count()`, or `first`, `last`, `min`, `max`, `sum`, `avg` of a field.",
    ),
    Key::default(
        "lateness",
        Shape::Duration,
        "15m",
        "How far an event may trail its record in Kafka; each run makes the buckets anew that late rows may have changed.",
    ),
];

/// `export` of a schedule.
pub const EXPORT: &[Key] = &[
    Key::required("of", Shape::Actor, "The `timescale_writer` whose table is exported."),
    Key::required(
        "into",
        Shape::Text,
        "A folder that every worker sees, or an address that Spark's Hadoop knows.",
    ),
    Key::optional(
        "partition_by",
        Shape::ListOf(&Shape::Text),
        "How files are parted: `day`, then columns of the table.",
    ),
    Key::default("lateness", Shape::Duration, "15m", "How far an event may trail its record in Kafka."),
    Key::default(
        "master",
        Shape::Text,
        "local[*]",
        "Where Spark runs: `spark://host:port`, `yarn`, `k8s://..`.",
    ),
    Key::default(
        "within",
        Shape::Duration,
        "6h",
        "How long one run may take before it is ended; the next goes on with it.",
    ),
];

/// `flush`.
pub const FLUSH: &[Key] = &[
    Key::default("rows", Shape::Integer(1, 1_000_000), "16384", "At so many rows."),
    Key::default("bytes", Shape::Size, "8MiB", "Or so many bytes."),
    Key::default(
        "interval",
        Shape::Duration,
        "3ms",
        "Or, with none in flight, so long after the last one began: what comes to a writer at rest leaves at once.",
    ),
];

const REDIS_CACHE: &[Key] = &[
    Key::required("key", Shape::Template, "The key of a row."),
    Key::required("value", Shape::ListOf(&Shape::Field), "The fields of its hash."),
    Key::required(
        "order_by",
        Shape::Field,
        "An int64 or timestamp; a value never gives way to an older one.",
    ),
    Key::optional("ttl", Shape::Duration, "How long a key lives."),
    Key::optional("delete_when", Shape::Expression, "True = the key is deleted."),
    Key::default("ttl_deleted", Shape::Duration, "10m", "How long a deleted key's order is remembered."),
];

const KAFKA_SINK: &[Key] = &[
    Key::required("topic", Shape::Text, "The topic."),
    Key::optional("key", Shape::Template, "The record's key; null unless said."),
];

const DEAD_LETTER: &[Key] = &[
    Key::default(
        "topic",
        Shape::Text,
        "<topology>.dead_letter",
        "The topic for letters of a topology without TimescaleDB.",
    ),
    Key::optional(
        "retention",
        Shape::Duration,
        "How long letters are kept in TimescaleDB, replayed or not; for ever unless said. None goes while a replay is at work.",
    ),
];
