//! What a row costs as things grow: partitions, actors, columns, keys. Wanted is a flat line.
//!
//! Every partition is claimed and every source joins a group of its own before the first row, however many rows follow. That
//! start is drained alone, with a few rows, told beside, and taken off.

use super::Outcome;
use super::drain;
use super::watch::{self, Arrival, Drained};
use crate::programs::{Program, Running, engine_command};
use crate::progress::say;
use crate::stage::{Stage, Task};
use crate::workload::{self, Load, PARTITIONS, SYMBOLS, Sinks, Work};
use anyhow::{Context, Result};
use aqueduct_stack::feed::Feed;
use serde::Serialize;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// Columns of one table, at most: PostgreSQL's own bound is 1,600.
const TABLE_COLUMNS_MAX: usize = 500;
/// Rows with more columns are fewer, so that a point takes as long as others: so many cells for each row asked for.
const CELLS_PER_ROW: u64 = 20;
/// Rows for each partition or source, to see what a start takes.
const FEW: u64 = 4;
/// Fewer rows are too few to be timed.
const ROWS_MIN: u64 = 5_000;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Partitions of the topic.
    Partitions,
    /// Actors of the topology: pairs of a source and a normalizer, which share the rows, and one writer.
    Actors,
    /// Columns of all tables together.
    Columns,
    /// Keys in the cache.
    Keys,
}

impl Axis {
    /// All.
    pub const ALL: [Axis; 4] = [Axis::Partitions, Axis::Actors, Axis::Columns, Axis::Keys];

    /// Its name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Axis::Partitions => "partitions",
            Axis::Actors => "actors",
            Axis::Columns => "columns",
            Axis::Keys => "keys in the cache",
        }
    }

    /// What the cost is told for: a row, or where rows grow, a cell.
    pub fn unit(self) -> &'static str {
        if self == Axis::Columns { "cell" } else { "row" }
    }

    fn points(self, is_whole: bool) -> &'static [u64] {
        match (self, is_whole) {
            (Axis::Partitions, false) => &[1, 4, 64],
            (Axis::Partitions, true) => &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024],
            (Axis::Actors, false) => &[3, 31, 101],
            (Axis::Actors, true) => &[3, 11, 31, 101, 251, 501],
            (Axis::Columns, false) => &[10, 100, 1000],
            (Axis::Columns, true) => &[1, 10, 50, 100, 250, 500, 1000, 2000],
            (Axis::Keys, false) => &[10, 1_000, 100_000],
            (Axis::Keys, true) => &[10, 100, 1_000, 10_000, 100_000, 1_000_000],
        }
    }
}

/// One line of the chart.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// What grows.
    pub axis: Axis,
    /// In ascending order.
    pub points: Vec<Point>,
}

/// One size.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// How many there were.
    pub count: u64,
    /// What it took.
    pub drained: Outcome<Drained>,
    /// CPU of the engine for a start and a few rows, seconds, where what grows has to be started.
    pub start_seconds: Option<f64>,
}

impl Point {
    /// CPU of the engine for each row or cell, microseconds, the start left out.
    pub fn cost_us(&self, axis: Axis) -> Option<f64> {
        let drained = self.drained.figures()?;
        let start_us = self.start_seconds.unwrap_or_default() * 1e6;
        let per_row = drained.program_us - start_us / drained.rows as f64;
        Some(if axis == Axis::Columns { per_row / self.count as f64 } else { per_row })
    }
}

/// All sizes of one axis; `rows` is what a plain point drains.
pub async fn run(stage: &Stage, axis: Axis, rows: u64, is_whole: bool) -> Series {
    let mut points = Vec::new();
    for &count in axis.points(is_whole) {
        let (drained, start_seconds) = match point(stage, axis, count, rows).await {
            Ok((drained, start_seconds)) => (Ok(drained), start_seconds),
            Err(error) => (Err(error), None),
        };
        let point = Point { count, drained: drained.into(), start_seconds };
        match &point.drained {
            Outcome::Measured(one) => say(&format!(
                "scale: {count} {}: {:.0} rows/s, {:.2} us/{}",
                axis.title(),
                one.rows_per_second(),
                point.cost_us(axis).unwrap_or_default(),
                axis.unit()
            )),
            Outcome::NotRun { not_run_here } => {
                say(&format!("scale: {count} {}: {not_run_here}", axis.title()))
            }
        }
        points.push(point);
    }
    Series { axis, points }
}

async fn point(stage: &Stage, axis: Axis, count: u64, rows: u64) -> Result<(Drained, Option<f64>)> {
    let plain = async |rows: u64, partitions: u32, symbols: usize| {
        let load = stage.fill(Work::Ticks, rows, partitions, symbols)?;
        let drained = drain::once(stage, &load, Sinks::Both, Program::Aqueduct).await;
        stage.stack.delete_topic(&load.topic)?;
        drained
    };
    match axis {
        Axis::Partitions => {
            // Enough symbols that no partition stays empty.
            let (partitions, symbols) = (u32::try_from(count)?, SYMBOLS.max(count as usize * 4));
            let start = plain(count * FEW, partitions, symbols).await?;
            Ok((plain(rows, partitions, symbols).await?, Some(seconds(&start))))
        }
        Axis::Keys => Ok((plain(rows, PARTITIONS, usize::try_from(count)?).await?, None)),
        Axis::Actors => pairs(stage, usize::try_from((count - 1) / 2)?, rows).await,
        Axis::Columns => Ok((columns(stage, usize::try_from(count)?, rows).await?, None)),
    }
}

/// CPU of the engine.
fn seconds(drained: &Drained) -> f64 {
    drained.program_us * drained.rows as f64 / 1e6
}

const HEAD: &str = "topology: \"${BENCH_NAME}\"
connections:
  kafka:     { bootstrap: \"${KAFKA_BOOTSTRAP}\" }
  timescale: { url: \"${TIMESCALE_URL}\" }
actors:
";

/// So many pairs of a source and a normalizer, each with a topic of its own, that share the rows; one writer for all.
async fn pairs(stage: &Stage, count: usize, rows: u64) -> Result<(Drained, Option<f64>)> {
    let topics =
        (0..count).map(|_| stage.stack.fresh_topic(1)).collect::<std::result::Result<Vec<_>, _>>()?;
    let each = rows.div_ceil(count as u64);
    let start = drain_pairs(stage, &topics, each, 0..FEW).await?;
    let drained = drain_pairs(stage, &topics, each, FEW..each).await;
    topics.iter().try_for_each(|topic| stage.stack.delete_topic(topic))?;
    Ok((drained?, Some(seconds(&start))))
}

/// Fills each topic, which is to hold `each` rows, with those of `range`, and drains all of them from their beginning.
async fn drain_pairs(stage: &Stage, topics: &[String], each: u64, range: Range<u64>) -> Result<Drained> {
    let mut loads = Vec::new();
    for (topic, before) in topics.iter().zip((0..).step_by(usize::try_from(each)?)) {
        let market = workload::market(Work::Ticks, SYMBOLS, before + range.start);
        let rows = range.end - range.start;
        loads.push(workload::fill(
            &stage.stack.kafka_bootstrap(),
            topic.clone(),
            1,
            Work::Ticks,
            rows,
            market,
        )?);
    }
    workload::empty_table(&stage.client, Work::Ticks).await?;
    let whole = Load {
        rows: range.end * topics.len() as u64,
        messages: range.end * topics.len() as u64,
        // The last of each topic, and a few more.
        last: loads.iter().flat_map(|load| load.last.iter().rev().take(2)).copied().collect(),
        ..loads.first().context("at least one pair")?.clone()
    };
    let task = stage.task("actors", &whole, Sinks::History)?;
    write_topology(&task, &of_pairs(topics))?;
    let mut running = [start(stage, &task)?];
    watch::drain(stage, &mut running, &Arrival::Last(&whole.last), whole.rows).await
}

fn of_pairs(topics: &[String]) -> String {
    let mut text = HEAD.to_owned();
    for (index, topic) in topics.iter().enumerate() {
        let _ = write!(
            text,
            "  ticks_{index}: {{ kind: kafka_source, topic: {topic} }}
  trades_{index}:
    kind: normalizer
    from: ticks_{index}
    fields:
      ts:       {{ type: timestamp, path: /ts, unit: iso }}
      symbol:   {{ type: text, path: /symbol }}
      venue:    {{ type: text, path: /venue }}
      price:    {{ type: float64, path: /price }}
      size:     {{ type: float64, path: /size }}
      side:     {{ type: text, path: /side }}
      trade_id: {{ type: int64, path: /trade_id }}
    event_time: ts
"
        );
    }
    let all: Vec<String> = (0..topics.len()).map(|index| format!("trades_{index}")).collect();
    let _ = writeln!(
        text,
        "  history: {{ kind: timescale_writer, from: [{}], table: bench.trades }}",
        all.join(", ")
    );
    text
}

/// Rows of so many columns, in as many tables as they take.
async fn columns(stage: &Stage, count: usize, rows: u64) -> Result<Drained> {
    let rows = (rows * CELLS_PER_ROW / count as u64).clamp(ROWS_MIN, rows.max(ROWS_MIN));
    let topic = stage.stack.fresh_topic(PARTITIONS)?;
    fill_wide(&stage.stack.kafka_bootstrap(), &topic, count, rows)?;
    let load =
        Load { topic, partitions: PARTITIONS, work: Work::Ticks, messages: rows, rows, last: Vec::new() };
    let task = stage.task("columns", &load, Sinks::History)?;
    write_topology(&task, &of_columns(count))?;
    create_tables(stage, &task).await?;
    let arrival = Arrival::Offsets {
        name: &task.name,
        sinks: count.div_ceil(TABLE_COLUMNS_MAX) as i64,
        messages: rows as i64,
    };
    let mut running = [start(stage, &task)?];
    let drained = watch::drain(stage, &mut running, &arrival, rows).await;
    drop(running);
    stage.stack.delete_topic(&load.topic)?;
    drained
}

fn of_columns(count: usize) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("  raw: { kind: kafka_source, topic: \"${BENCH_TOPIC}\" }\n");
    let columns: Vec<usize> = (0..count).collect();
    for (table, columns) in columns.chunks(TABLE_COLUMNS_MAX).enumerate() {
        let name = if table == 0 { "trades".to_owned() } else { format!("wide_{table}") };
        let _ = write!(
            text,
            "  part_{table}:
    kind: normalizer
    from: raw
    fields:
      ts: {{ type: timestamp, path: /ts, unit: iso }}
"
        );
        for column in columns {
            let _ = writeln!(text, "      c{column}: {{ type: float64, path: /c{column} }}");
        }
        let _ = write!(
            text,
            "    event_time: ts
  history_{table}: {{ kind: timescale_writer, from: part_{table}, table: bench.{name} }}
"
        );
    }
    text
}

fn fill_wide(bootstrap: &str, topic: &str, columns: usize, rows: u64) -> Result<()> {
    let feed = Feed::new(bootstrap, topic)?;
    let mut value = String::new();
    for row in 0..rows {
        let at = jiff::Timestamp::try_from(workload::time_of(row))?;
        value.clear();
        let _ = write!(value, r#"{{"ts":"{at:.6}""#);
        for column in 0..columns {
            // Numbers of some digits, other ones in each row.
            let _ = write!(value, r#","c{column}":{}.{:02}"#, row % 9_973 + column as u64, (row + 7) % 100);
        }
        value.push('}');
        feed.send(Some(row.to_string().as_bytes()), Some(value.as_bytes()), None)?;
    }
    Ok(feed.flush()?)
}

/// The tables that the topology wants, as `migrate new` drafts them.
async fn create_tables(stage: &Stage, task: &Task) -> Result<()> {
    let drafted = Command::new(&stage.binary)
        .args(["migrate", "new"])
        .arg(task.folder.join("topology.yaml"))
        .envs(stage.stack.env())
        .env("BENCH_NAME", &task.name)
        .env("BENCH_TOPIC", &task.load.topic)
        .stdout(Stdio::null())
        .status()
        .context("run the engine")?;
    anyhow::ensure!(drafted.success(), "no draft of the tables");
    stage.client.batch_execute("DROP SCHEMA IF EXISTS bench CASCADE").await?;
    let mut files: Vec<_> = std::fs::read_dir(task.folder.join("migrations"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    for file in files {
        execute(stage, &file).await?;
    }
    Ok(())
}

async fn execute(stage: &Stage, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    stage.client.batch_execute(&text).await.with_context(|| format!("execute {}", file.display()))
}

fn write_topology(task: &Task, text: &str) -> Result<()> {
    std::fs::write(task.folder.join("topology.yaml"), text).context("write a topology")
}

fn start(stage: &Stage, task: &Task) -> Result<Running> {
    Running::start(engine_command(stage, task)?, &task.folder.join("log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_of_many_has_them_all() {
        let text = of_pairs(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(text.matches("kind:").count(), 5, "{text}");
        let text = of_columns(1200);
        assert_eq!(text.matches("type: float64").count(), 1200);
        assert_eq!(text.matches("timescale_writer").count(), 3);
    }

    #[test]
    fn a_cell_costs_its_share_of_the_row() {
        let drained = Drained {
            rows: 1,
            seconds: 1.0,
            program_us: 50.0,
            database_us: None,
            broker_us: None,
            cache_us: None,
            rss_peak_bytes: 0,
        };
        let point = Point { count: 100, drained: Outcome::Measured(drained), start_seconds: None };
        assert_eq!(point.cost_us(Axis::Columns), Some(0.5));
        assert_eq!(point.cost_us(Axis::Keys), Some(50.0));
    }

    #[test]
    fn a_start_is_no_part_of_what_a_row_costs() {
        let drained = Drained {
            rows: 1_000_000,
            seconds: 1.0,
            program_us: 1.5,
            database_us: None,
            broker_us: None,
            cache_us: None,
            rss_peak_bytes: 0,
        };
        assert!((seconds(&drained) - 1.5).abs() < 1e-9);
        let point = Point { count: 100, drained: Outcome::Measured(drained), start_seconds: Some(0.5) };
        assert_eq!(point.cost_us(Axis::Actors), Some(1.0));
    }
}
