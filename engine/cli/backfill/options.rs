//! What a backfill is told.

use crate::export::options::How;
use crate::output::{Format, time};
use crate::stores::wrong;
use anyhow::Result;
use aqueduct_actors::backfill::{FileRecords, Form, Slack};
use aqueduct_actors::export::spans::Range;
use aqueduct_topology::model::ReplayFormat;
use std::path::PathBuf;
use std::time::Duration;

/// Fill a time range of a table again, beside the live topology: from the log, a file, or an export.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file, with the rules of today.
    pub(super) file: PathBuf,
    /// Rows of this event time or later: 2026-11-29T08:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "abandon")]
    from: Option<i64>,
    /// Rows before this event time.
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "abandon")]
    to: Option<i64>,
    /// Which table, where the file writes several.
    #[arg(long, value_name = "TABLE")]
    pub(super) table: Option<String>,
    #[command(flatten)]
    origin: Origin,
    #[command(flatten)]
    pub(super) there: There,
    #[command(flatten)]
    pub(super) pace: Pace,
    #[command(flatten)]
    pub(super) how: How,
    /// Read and judge the records, say which rows would be added and why others are rejected; nothing is changed.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Give the unfinished backfill of this number up: what it has added stays.
    #[arg(long, value_name = "ID")]
    pub(super) abandon: Option<i64>,
    /// The form of the result.
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(clap::Args)]
#[command(next_help_heading = "From where; unless said, from the topology's topics")]
struct Origin {
    /// From this file of records instead, a line each, as `dlq show --format jsonl` writes them; `.gz` is unpacked.
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    input: Option<PathBuf>,
    /// From this file of rows instead: a JSON object by column in each line, which no normalizer judges; `.gz` is unpacked.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// From the place into which `aqueduct export` wrote rows instead: Spark makes rows of its Parquet files.
    #[arg(long, value_name = "FOLDER_OR_URI", conflicts_with_all = ["input", "rows"])]
    parquet: Option<String>,
    /// The source in whose place the file is read, where several feed the table.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// How long before the time of its row a record may have been made.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1m")]
    early: Duration,
    /// How long after the time of its row a record may have been made.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    late: Duration,
    /// Take what the log still has, where it may have lost records of the range.
    #[arg(long)]
    pub(super) partial: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "What becomes of rows that are there")]
pub(super) struct There {
    /// Columns, the time among them, by which a row is known; `unique:` of the file unless said.
    #[arg(long, value_name = "COLUMN,..", value_delimiter = ',', conflicts_with = "replace")]
    pub(super) key: Vec<String>,
    /// Delete the rows of the range first, in the transaction in which the backfill begins.
    #[arg(long)]
    pub(super) replace: bool,
    /// Fill chunks too that retention has dropped.
    #[arg(long)]
    pub(super) into_dropped: bool,
    /// The column that has the time of rows, where the table is no hypertable.
    #[arg(long, value_name = "COLUMN")]
    pub(super) time_column: Option<String>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "How fast")]
pub(super) struct Pace {
    /// At most so many records a second.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) rate: Option<u64>,
    /// Pause while the live topology is further behind than this.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(super) max_live_lag: Duration,
}

impl Arguments {
    /// A range with an inside.
    pub(super) fn range(&self) -> Result<Range> {
        let (from_us, to_us) = (self.from.unwrap_or_default(), self.to.unwrap_or_default());
        if from_us >= to_us {
            let (from, to) = (time(from_us), time(to_us));
            return wrong(format!("--from {from} is not before --to {to}: there is nothing between them"));
        }
        Ok(Range { from_us, to_us })
    }

    /// The file that was named, if one was.
    pub(super) fn file(&self) -> Option<FileRecords> {
        let Origin { input, rows, .. } = &self.origin;
        let file = |path: &PathBuf, form| FileRecords { path: path.clone(), form };
        let input = input.as_ref().map(|path| file(path, Form::Records(ReplayFormat::Envelope)));
        input.or_else(|| rows.as_ref().map(|path| file(path, Form::Rows)))
    }

    /// Whether rows come, and not records.
    pub(super) fn takes_rows(&self) -> bool {
        self.origin.rows.is_some() || self.origin.parquet.is_some()
    }

    /// The place of an export, if rows come from one.
    pub(super) fn parquet(&self) -> Option<&str> {
        self.origin.parquet.as_deref()
    }

    pub(super) fn source(&self) -> Option<&str> {
        self.origin.source.as_deref()
    }

    pub(super) fn slack(&self) -> Slack {
        let us = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Slack { early_us: us(self.origin.early), late_us: us(self.origin.late) }
    }

    pub(super) fn partial(&self) -> bool {
        self.origin.partial
    }
}

/// A time as RFC 3339, or a day, which begins at midnight UTC.
fn moment(text: &str) -> Result<i64, String> {
    let time = text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse());
    time.map(jiff::Timestamp::as_microsecond)
        .map_err(|_| format!("`{text}` is no time; write 2026-11-29T08:00:00Z, or 2026-11-29"))
}

fn duration(text: &str) -> Result<Duration, String> {
    aqueduct_topology::duration(text).ok_or_else(|| format!("`{text}` is no duration; write 500ms, 5s or 1m"))
}
