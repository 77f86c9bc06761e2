//! `aqueduct drill backfill`: an hour of a table is lost, and filled again beside live load.
//!
//! A node writes an hour that has passed; its rows' checksum is taken; they are deleted; while trades of now keep coming, the
//! hour is backfilled. Proved: the hour is what it was, the live rows are all there once, and their latency kept its objective.

use super::load::Load;
use super::report::{Bound, Report};
use super::stage::{Node, Stage, path, wait};
use super::trades::{topology, trade};
use super::{Common, Drill};
use crate::environment::host_name;
use crate::output::time;
use anyhow::{Context, Result, bail};
use aqueduct_engine::Clock;
use std::time::Duration;

const NAME: &str = "drill-backfill";
const PARTITIONS: u32 = 4;
const HOUR_US: i64 = 3_600_000_000;
/// How long rows may take to be written.
const WRITTEN_MAX: Duration = Duration::from_secs(120);
/// The live load runs so long before the backfill begins and after it has ended.
const AROUND: Duration = Duration::from_secs(3);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Trades of the hour that is lost.
    #[arg(long, default_value_t = 36_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    trades: u64,
    /// Live trades a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    live_rate: u64,
    /// Records a second of the backfill.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// The objective of the live trades: 99 of 100 are durable within so many milliseconds.
    #[arg(long, default_value_t = 2_500)]
    p99_ms: u64,
    #[command(flatten)]
    common: Common,
}

impl Drill for Arguments {
    fn name(&self) -> &'static str {
        "backfill"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn carry_out(&self) -> Result<Report> {
        let stage = Stage::up(self.name(), self.common.i_know, PARTITIONS)?;
        let report = Report::begin(self.name(), NAME, &host_name());
        Ok(report.of(|report| carry_out(self, &stage, report)))
    }
}

fn carry_out(arguments: &Arguments, stage: &Stage, report: &mut Report) -> Result<()> {
    let file = stage.prepare(&topology(NAME))?;
    let now_us = Clock::system().wall_us();
    let from_us = (now_us - 3 * HOUR_US).div_euclid(HOUR_US) * HOUR_US;
    let node = stage.node(&file, "live")?;
    report.happens("a node runs");
    send_hour(stage, from_us, arguments.trades)?;
    await_rows(stage, COUNT_ALL, arguments.trades)?;
    let before = sum(stage, from_us)?;
    report.happens(format!("{} rows of a passed hour are written, their checksum is taken", before.rows));
    let passed = arguments.trades;
    let load = Load::start(stage, arguments.live_rate, move |number, now_us| trade(passed + number, now_us))?;
    std::thread::sleep(AROUND);
    let deleted = delete(stage, from_us)?;
    report.happens(format!("{deleted} rows of the hour are lost"));
    let quiet = node.metrics()?;
    let began = Clock::system().now();
    let (from, to) = (time(from_us), time(from_us + HOUR_US));
    let rate = arguments.rate.to_string();
    let told = ["backfill", path(&file), "--from", &from, "--to", &to, "--rate", &rate, "--format", "json"];
    let output = stage.run(&told)?;
    let seconds = began.elapsed().as_secs_f64();
    let done: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("read the backfill's answer")?;
    report.happens(format!("backfilled: {} rows added", done["rows"]["added"]));
    std::thread::sleep(AROUND);
    let sent = load.finish()?;
    await_rows(stage, COUNT_LIVE, sent)?;
    let p99 = p99_ms(&quiet, &node.metrics()?)?;
    let after = sum(stage, from_us)?;
    let doubled = number(stage, DOUBLED)?;
    let live = number(stage, COUNT_LIVE)?;
    report.happens("the hour and the live rows are looked at");
    drained(node)?;
    let as_float = |count: i64| count as f64;
    report.figure("checksum_equal", f64::from(u8::from(before.text == after.text)), "", Bound::Exactly(1.0));
    report.figure("rows_lost", as_float((before.rows - after.rows).max(0)), "rows", Bound::Exactly(0.0));
    report.figure("rows_doubled", as_float(doubled), "rows", Bound::Exactly(0.0));
    report.figure("live_rows_missing", as_float(sent as i64 - live), "rows", Bound::Exactly(0.0));
    report.figure("live_p99_milliseconds", p99, "ms", Bound::AtMost(arguments.p99_ms as f64));
    report.figure("rows_backfilled", as_float(deleted), "rows", Bound::AtLeast(1.0));
    report.figure("live_rows", as_float(live), "rows", Bound::AtLeast(1.0));
    report.figure("backfill_seconds", seconds, "s", Bound::Free);
    Ok(())
}

fn drained(node: Node) -> Result<()> {
    match node.drain()? {
        Some(0) => Ok(()),
        code => bail!("the live node ended with {code:?} when it was told to drain"),
    }
}

/// Trades 1 to `trades`, spread over the hour.
fn send_hour(stage: &Stage, from_us: i64, trades: u64) -> Result<()> {
    let feed = stage.feed()?;
    let step_us = (HOUR_US / trades as i64).max(1);
    for id in 1..=trades {
        let time_us = (from_us + (id as i64 - 1) * step_us).min(from_us + HOUR_US - 1);
        trade(id, time_us).send(&feed)?;
    }
    Ok(feed.flush()?)
}

/// What a range holds.
struct Sum {
    rows: i64,
    text: String,
}

fn sum(stage: &Stage, from_us: i64) -> Result<Sum> {
    stage.ask(NAME, async |connection| {
        let to_us = from_us + HOUR_US;
        let row = connection.row("take a checksum", SUM, &[&from_us, &to_us]).await?;
        Ok(Sum { rows: row.get(0), text: row.get(1) })
    })
}

fn delete(stage: &Stage, from_us: i64) -> Result<i64> {
    stage.ask(NAME, async |connection| {
        let to_us = from_us + HOUR_US;
        Ok(connection.hits("lose an hour", DELETE, &[&from_us, &to_us]).await? as i64)
    })
}

fn number(stage: &Stage, statement: &'static str) -> Result<i64> {
    stage.ask(NAME, async |connection| Ok(connection.row("count rows", statement, &[]).await?.get(0)))
}

fn await_rows(stage: &Stage, statement: &'static str, rows: u64) -> Result<()> {
    let there = || Ok((number(stage, statement)? >= rows as i64).then_some(()));
    match wait(WRITTEN_MAX, there)? {
        Some(()) => Ok(()),
        None => bail!("{rows} rows were not written within {WRITTEN_MAX:?}"),
    }
}

const SUM: &str = "\
    SELECT count(*), COALESCE(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.md5(t::text), '' ORDER BY id, ts)), '') \
    FROM market.drill_trades AS t \
    WHERE ts >= 'epoch'::timestamptz + $1::int8 * interval '1 microsecond' \
      AND ts < 'epoch'::timestamptz + $2::int8 * interval '1 microsecond'";
const DELETE: &str = "\
    DELETE FROM market.drill_trades \
    WHERE ts >= 'epoch'::timestamptz + $1::int8 * interval '1 microsecond' \
      AND ts < 'epoch'::timestamptz + $2::int8 * interval '1 microsecond'";
const COUNT_ALL: &str = "SELECT count(*) FROM market.drill_trades";
const COUNT_LIVE: &str =
    "SELECT count(*) FROM market.drill_trades WHERE ts > pg_catalog.clock_timestamp() - interval '1 hour'";
const DOUBLED: &str = "SELECT count(*) - count(DISTINCT id) FROM market.drill_trades";

/// The bound below which 99 of 100 rows of the writer lie, of what came between two looks at the metrics.
fn p99_ms(before: &str, after: &str) -> Result<f64> {
    let (before, after) = (buckets(before), buckets(after));
    let count =
        |list: &[(f64, f64)], bound: f64| list.iter().find(|(le, _)| *le == bound).map_or(0.0, |(_, n)| *n);
    let grown: Vec<(f64, f64)> = after.iter().map(|(le, n)| (*le, n - count(&before, *le))).collect();
    let total = grown.iter().map(|(_, n)| *n).fold(0.0, f64::max);
    if total == 0.0 {
        bail!("the live node measured no latency");
    }
    let found = grown.iter().find(|(_, n)| *n >= total * 0.99).map_or(f64::INFINITY, |(le, _)| *le);
    // A page of figures has no infinity; a day is as bad.
    Ok(if found.is_finite() { found * 1000.0 } else { 86_400_000.0 })
}

/// The bounds of the writer's latency with what lies below each, ascending.
fn buckets(metrics: &str) -> Vec<(f64, f64)> {
    let line = |line: &str| {
        let rest = line.strip_prefix("aqueduct_end_to_end_seconds_bucket{")?;
        if !rest.contains("actor=\"history\"") {
            return None;
        }
        let bound = rest.split_once("le=\"")?.1.split('"').next()?;
        let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
        Some((bound, rest.rsplit_once(' ')?.1.parse().ok()?))
    };
    let mut buckets: Vec<(f64, f64)> = metrics.lines().filter_map(line).collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_is_of_what_came_between_two_looks() {
        let at = |a: u32, b: u32, c: u32| {
            let line = |le: &str, n: u32| {
                format!(
                    "aqueduct_end_to_end_seconds_bucket{{topology=\"t\",actor=\"history\",le=\"{le}\"}} {n}\n"
                )
            };
            [line("0.1", a), line("0.5", b), line("+Inf", c)].concat()
        };
        assert_eq!(p99_ms(&at(0, 0, 50), &at(100, 100, 150)).expect("a figure"), 100.0);
        assert_eq!(p99_ms(&at(0, 0, 0), &at(90, 100, 100)).expect("a figure"), 500.0);
        assert!(p99_ms(&at(0, 0, 0), &at(90, 95, 100)).expect("a figure") > 1e6);
        assert!(p99_ms(&at(1, 1, 1), &at(1, 1, 1)).is_err());
    }
}
