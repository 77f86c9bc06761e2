//! `aqueduct drill restore`: the database loses its disk, and comes back from a base backup and from Kafka.
//!
//! A node writes under live load; the database is backed up; the node writes on; then the server is killed and its data are
//! deleted. The backup is put in their place and a node is started: offsets lie beside the rows, so it reads from Kafka what the
//! backup lacks. Proved: every row is there once, and those that were there before the loss are what they were.
//!
//! On a private stack, whatever the environment names: nobody else's disk is deleted.

use super::load::{Load, Record};
use super::report::{Bound, Report};
use super::stage::{Stage, wait};
use super::trades::{self, topology};
use super::{Common, Drill};
use crate::environment::host_name;
use anyhow::{Context, Result, bail};
use aqueduct_engine::Clock;
use std::time::Duration;

const NAME: &str = "drill-restore";
const PARTITIONS: u32 = 4;
/// How long rows may take to be written.
const WRITTEN_MAX: Duration = Duration::from_secs(120);
/// Rows keep coming so long before the backup begins.
const AROUND: Duration = Duration::from_secs(1);
/// 2024-08-08T12:00Z, microseconds since 1970: the time of the first trade.
const START_US: i64 = 1_723_118_400_000_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Trades in the table before the live load begins.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    rows: u64,
    /// Live trades a second.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    live_rate: u64,
    /// How long the node writes on after the backup, before the loss.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    after: u64,
    /// The objective: so many seconds after the loss every row that was sent before it is there again.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    rto: u64,
    /// Leave the node running through the loss, as where nobody stops it; else it is killed, and started after the restore.
    #[arg(long)]
    leave_node: bool,
    #[command(flatten)]
    common: Common,
}

impl Drill for Arguments {
    fn name(&self) -> &'static str {
        "restore"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn carry_out(&self) -> Result<Report> {
        let stage = Stage::private(self.name(), self.common.i_know, PARTITIONS)?;
        let report = Report::begin(self.name(), NAME, &host_name());
        Ok(report.of(|report| carry_out(self, &stage, report)))
    }
}

fn carry_out(arguments: &Arguments, stage: &Stage, report: &mut Report) -> Result<()> {
    let file = stage.prepare(&topology(NAME))?;
    let node = stage.node(&file, "drill")?;
    send(stage, arguments.rows)?;
    await_rows(stage, arguments.rows)?;
    report.happens(format!("{} rows are written, and more keep coming", arguments.rows));
    let before = arguments.rows;
    let load = Load::start(stage, arguments.live_rate, move |number, _| trade(before + number))?;
    std::thread::sleep(AROUND);

    let clock = Clock::system();
    let began = clock.now();
    stage.stack.back_up()?;
    let backup_seconds = began.elapsed().as_secs_f64();
    report.happens("the database is backed up");
    std::thread::sleep(Duration::from_secs(arguments.after));
    let mark = before + load.sent();
    await_rows(stage, mark)?;
    let sum = checksum(stage, mark)?;
    report.happens(format!("{mark} rows are written, their checksum is taken"));

    let lost_at = clock.now();
    stage.stack.lose_data()?;
    let due = before + load.sent();
    report.happens("the database is killed, its data are deleted");
    // One that is stopped could not drain: where it would write is gone.
    let node = arguments.leave_node.then_some(node);
    stage.stack.restore()?;
    let restored = count(stage, mark)?;
    report.happens(format!("the backup is restored: it has {restored} of these rows"));
    let node = match node {
        Some(node) => node,
        None => stage.node(&file, "drill")?,
    };
    report.happens("a node is at work");
    await_rows(stage, due)?;
    let rto_seconds = lost_at.elapsed().as_secs_f64();
    report.happens("every row that was sent before the loss is there");

    let sent = before + load.finish()?;
    await_rows(stage, sent)?;
    if let Some(code) = node.drain()?.filter(|code| *code != 0) {
        bail!("the node ended with {code} when it was told to drain");
    }
    let (rows, distinct) = totals(stage)?;
    let kept = count(stage, mark)?;
    let is_equal = checksum(stage, mark)? == sum;
    report.figure("rto_seconds", rto_seconds, "s", Bound::AtMost(arguments.rto as f64));
    report.figure("rpo_rows", mark as f64 - kept as f64, "rows", Bound::Exactly(0.0));
    report.figure("rows_lost", sent as f64 - distinct as f64, "rows", Bound::Exactly(0.0));
    report.figure("rows_doubled", (rows - distinct) as f64, "rows", Bound::Exactly(0.0));
    report.figure("checksum_equal", f64::from(u8::from(is_equal)), "", Bound::Exactly(1.0));
    // A node that was left running may have read some of them again before they could be counted.
    let replayed = if arguments.leave_node { Bound::Free } else { Bound::AtLeast(1.0) };
    report.figure("rows_replayed", mark as f64 - restored as f64, "rows", replayed);
    report.figure("rows_total", rows as f64, "rows", Bound::Free);
    report.figure("backup_seconds", backup_seconds, "s", Bound::Free);
    Ok(())
}

fn trade(id: u64) -> Record {
    trades::trade(id, START_US + id as i64 * 1_000)
}

/// Trades 1 to `rows`, as fast as they are taken.
fn send(stage: &Stage, rows: u64) -> Result<()> {
    let feed = stage.feed()?;
    for id in 1..=rows {
        trade(id).send(&feed)?;
    }
    Ok(feed.flush()?)
}

/// Until trades 1 to `last` are there.
fn await_rows(stage: &Stage, last: u64) -> Result<()> {
    let there = || Ok((count(stage, last)? >= last as i64).then_some(()));
    wait(WRITTEN_MAX, there)?.with_context(|| format!("{last} rows were not written within {WRITTEN_MAX:?}"))
}

/// How many of the trades 1 to `last` are there; one that is there twice counts once.
fn count(stage: &Stage, last: u64) -> Result<i64> {
    let last = last as i64;
    stage.ask(NAME, async |connection| Ok(connection.row("count rows", COUNT, &[&last]).await?.get(0)))
}

/// Of the trades 1 to `last`, each as often as it is there.
fn checksum(stage: &Stage, last: u64) -> Result<String> {
    let last = last as i64;
    stage.ask(NAME, async |connection| Ok(connection.row("take a checksum", SUM, &[&last]).await?.get(0)))
}

/// Rows, and different ones.
fn totals(stage: &Stage) -> Result<(i64, i64)> {
    stage.ask(NAME, async |connection| {
        let row = connection.row("count rows", TOTALS, &[]).await?;
        Ok((row.get(0), row.get(1)))
    })
}

const COUNT: &str = "SELECT count(DISTINCT id) FROM market.drill_trades WHERE id <= $1";
const TOTALS: &str = "SELECT count(*), count(DISTINCT id) FROM market.drill_trades";
const SUM: &str = "\
    SELECT COALESCE(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.md5(t::text), '' ORDER BY id, ts)), '') \
    FROM market.drill_trades AS t WHERE id <= $1";
