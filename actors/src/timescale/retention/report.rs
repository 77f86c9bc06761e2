//! What an audit says, for programs as JSON and CSV, for people line by line.

use super::edition::Edition;
use super::live::Hold;
use serde::Serialize;

/// The audit of one topology's database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The topology.
    pub topology: String,
    /// When, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The server's edition.
    pub edition: Edition,
    /// Whether any finding is a breach.
    pub breach: bool,
    /// What is wrong, or worth knowing.
    pub findings: Vec<Finding>,
    /// The declared tables in the file's order, then every other hypertable.
    pub tables: Vec<TableReport>,
    /// Every hold, released ones too.
    pub holds: Vec<Hold>,
    /// Evidence of drops, the newest first.
    pub drops: Vec<Drop>,
}

/// One line of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// Its number.
    pub id: i64,
    /// When, RFC 3339.
    pub at: String,
    /// The user that logged in.
    pub who: String,
    /// The node that asked.
    pub node: String,
    /// Its topology.
    pub topology: String,
    /// `schema.table`.
    pub table: String,
    /// The beginning of the range of event time.
    pub from: Option<String>,
    /// The end of it.
    pub to: Option<String>,
    /// The chunks.
    pub chunks: Vec<String>,
    /// Their rows.
    pub rows: i64,
    /// What they took.
    pub bytes: i64,
    /// The retention then.
    pub retention: String,
}

/// What the file says of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// The writer.
    pub actor: String,
    /// How long rows are kept.
    pub retention_seconds: Option<u64>,
    /// From which age on they are compressed.
    pub compress_after_seconds: Option<u64>,
    /// What a chunk spans.
    pub chunk_interval_seconds: Option<u64>,
    /// How fast it may grow.
    pub growth_bytes_per_day: Option<u64>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableReport {
    /// `schema.table`.
    pub table: String,
    /// `hypertable`, `plain` or `missing`.
    pub kind: &'static str,
    /// What the file says; none = no writer of it writes there.
    pub declared: Option<Declared>,
    /// What a new chunk spans.
    pub chunk_interval_seconds: Option<f64>,
    /// How many chunks there are.
    pub chunks: usize,
    /// What it takes, indexes included.
    pub bytes: i64,
    /// From which event time on there are chunks, microseconds since 1970 UTC.
    pub oldest_us: Option<i64>,
    /// Up to which.
    pub newest_us: Option<i64>,
    /// What is past its retention.
    pub past: Past,
    /// How fast it grew, by the chunks of the last days.
    pub growth_bytes_per_day: Option<u64>,
    /// How large it will be.
    pub forecast: Option<Forecast>,
    /// Who drops: `schedule`, `server` or `nobody`.
    pub dropped_by: &'static str,
    /// Who compresses: `server` or `nobody`.
    pub compressed_by: &'static str,
}

/// What is past its retention and still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Past {
    /// Chunks.
    pub chunks: usize,
    /// What they take.
    pub bytes: i64,
    /// Of the chunks, those under a legal hold.
    pub held: usize,
    /// Of the rest, those that are late even for the next run of the schedule.
    pub late: usize,
}

/// How large a table will be, if it goes on as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// In 30 days.
    pub bytes_30d: u64,
    /// In 90 days.
    pub bytes_90d: u64,
    /// Once as much is dropped as comes; none where nothing is dropped.
    pub bytes_steady: Option<u64>,
}

/// What kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Chunks that should be gone.
    PastRetention,
    /// A policy of the server drops beside the schedule: past holds, without evidence.
    ServerDrops,
    /// Chunks span another time than declared.
    ChunkInterval,
    /// A declared table that is not there, or no hypertable.
    NotAHypertable,
    /// Nobody carries out a declared retention.
    NobodyDrops,
    /// Nobody compresses what should be.
    NobodyCompresses,
    /// A table without a retention.
    NoPolicy,
    /// It grows faster than declared.
    Growth,
}

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// Whether the audit fails by it.
    pub breach: bool,
    /// `schema.table`.
    pub table: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}
