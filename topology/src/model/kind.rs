//! What each kind of actor is told by its entry in the file.

use super::field::{Case, Column, EventTime, Expr, MatchMode, Pointer, TimeUnit};
use super::format::Coding;
use super::gate::QualityGate;
use super::schedule::Schedule;
use super::storage::TablePolicy;
use crate::Spanned;
use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

/// The kinds, each with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Reads a topic.
    KafkaSource(KafkaSource),
    /// Reads a file.
    ReplaySource(ReplaySource),
    /// Makes rows of messages.
    Normalizer(Normalizer),
    /// Judges the rows of each key, on a beat.
    QualityGate(Box<QualityGate>),
    /// Appends rows to a hypertable, exactly once.
    TimescaleWriter(TimescaleWriter),
    /// Keeps the last value per key.
    RedisCache(RedisCache),
    /// Writes rows to a topic as JSON, at least once.
    KafkaSink(KafkaSink),
    /// Keeps what was rejected.
    DeadLetter(DeadLetter),
    /// Runs a piece of work on a beat.
    Schedule(Box<Schedule>),
}

impl Kind {
    /// The word after `kind:`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::KafkaSource(_) => "kafka_source",
            Kind::ReplaySource(_) => "replay_source",
            Kind::Normalizer(_) => "normalizer",
            Kind::QualityGate(_) => "quality_gate",
            Kind::TimescaleWriter(_) => "timescale_writer",
            Kind::RedisCache(_) => "redis_cache",
            Kind::KafkaSink(_) => "kafka_sink",
            Kind::DeadLetter(_) => "dead_letter",
            Kind::Schedule(_) => "schedule",
        }
    }

    /// Whether it has no input.
    pub fn is_source(&self) -> bool {
        matches!(self, Kind::KafkaSource(_) | Kind::ReplaySource(_))
    }

    /// Whether it ends what it reads and begins a stream of its own: nobody behind it has a say in the fate of what is
    /// read before it.
    pub fn is_gate(&self) -> bool {
        matches!(self, Kind::QualityGate(_))
    }

    /// Whether records begin here: what lies behind is claimed, counted and read again from here.
    pub fn begins(&self) -> bool {
        self.is_source() || self.is_gate()
    }

    /// Whether it has no output (what stands apart has no edge at all).
    pub fn is_sink(&self) -> bool {
        matches!(self, Kind::TimescaleWriter(_) | Kind::RedisCache(_) | Kind::KafkaSink(_))
    }
}

/// Where a topic begins that no sink has an offset of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the log's start.
    #[default]
    Earliest,
    /// At its end.
    Latest,
    /// At the first record not older, microseconds since 1970 UTC.
    At(i64),
}

/// How the group agrees on partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// Cooperative, the member's own assignor.
    #[default]
    Classic,
    /// KIP-848, the broker's.
    Consumer,
}

/// How a member is known to its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Membership {
    /// By a stable name: a restart finds its partitions at once.
    #[default]
    Static,
    /// By a name for this process only: for nodes that come and go.
    Dynamic,
}

/// Options of `kafka_source`.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSource {
    /// The topic.
    pub topic: Spanned<String>,
    /// Applies only where no sink has an offset.
    pub start: Spanned<Start>,
    /// `classic` or `consumer`.
    pub group_protocol: GroupProtocol,
    /// `static` or `dynamic`.
    pub membership: Membership,
    /// Most records of a batch.
    pub batch_rows: u32,
    /// Longest wait for a batch to fill.
    pub linger: Duration,
}

/// How the lines of a replayed file are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFormat {
    /// A line is a message.
    Jsonl,
    /// A line is `{ value | raw, key, partition, time, headers }`.
    Envelope,
    /// A line is a record; the header names its members; becomes a JSON object of texts.
    Csv,
}

/// Options of `replay_source`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplaySource {
    /// Plain or `.gz`.
    pub file: Spanned<PathBuf>,
    /// By the name's ending unless said.
    pub format: ReplayFormat,
    /// The topic that records claim to come from; the actor's name unless said.
    pub topic: String,
    /// Where in a record its time is.
    pub time: Option<Pointer>,
    /// The unit of that time.
    pub time_unit: TimeUnit,
    /// Where in a record its key is.
    pub key: Option<Pointer>,
    /// How many times faster than recorded; `None` = as fast as it can.
    pub speed: Option<f64>,
    /// Records are spread over so many partitions by key.
    pub partitions: u32,
    /// How often the file is read; `None` = for ever.
    pub repeat: Option<u32>,
}

/// Options of `normalizer`.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalizer {
    /// What messages are written in.
    pub coding: Coding,
    /// The row, in order: what every case gives.
    pub columns: Vec<Column>,
    /// In order; at least one.
    pub cases: Vec<Case>,
    /// First or all.
    pub match_mode: MatchMode,
    /// The event time: the field said, else the first timestamp, else none.
    pub event_time: Option<EventTime>,
}

/// When a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// At so many rows.
    pub rows: u32,
    /// Or so many bytes.
    pub bytes: u64,
    /// Or, with none in flight, so long after the last one began.
    pub interval: Duration,
}

/// What becomes of a row whose business key is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The one that is there stays.
    #[default]
    Keep,
    /// It takes the other's place.
    Replace,
}

/// Options of `timescale_writer`.
#[derive(Clone, Debug, PartialEq)]
pub struct TimescaleWriter {
    /// `schema.table`.
    pub table: Spanned<String>,
    /// When a transaction begins.
    pub flush: Flush,
    /// The most that are in flight at once, each of other partitions.
    pub transactions: u32,
    /// The business key; empty = rows are appended as they come.
    pub unique: Vec<Spanned<String>>,
    /// What becomes of a row whose key is there.
    pub on_conflict: OnConflict,
    /// A row is replaced only by one whose value of this field is not lower.
    pub order_by: Option<Spanned<String>>,
    /// How the table is kept.
    pub policy: TablePolicy,
}

/// A piece of a key such as `last:{symbol}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// As it stands.
    Text(String),
    /// The field's value as text.
    Field(Spanned<String>),
}

/// The text, or the field's name in braces: for people, and to tell one key from another.
impl Display for TemplatePart {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Field(field) => write!(out, "{{{}}}", field.value),
        }
    }
}

/// Options of `redis_cache`.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisCache {
    /// The key of a row.
    pub key: Spanned<Vec<TemplatePart>>,
    /// The fields of its hash.
    pub value: Vec<Spanned<String>>,
    /// An int64 or timestamp field; a value never gives way to an older one.
    pub order_by: Spanned<String>,
    /// From the event time (or order) on.
    pub ttl: Option<Duration>,
    /// True = the key is deleted, and a tombstone kept.
    pub delete_when: Option<Expr>,
    /// How long the tombstone stays.
    pub ttl_deleted: Duration,
}

/// Options of `kafka_sink`.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaSink {
    /// The topic.
    pub topic: Spanned<String>,
    /// The record's key; none = null.
    pub key: Option<Spanned<Vec<TemplatePart>>>,
}

/// Options of `dead_letter`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeadLetter {
    /// The topic for letters of a topology without TimescaleDB; `<topology>.dead_letter` unless said.
    pub topic: Option<Spanned<String>>,
    /// How long letters are kept in TimescaleDB; `None` = for ever.
    pub retention: Option<Duration>,
}
