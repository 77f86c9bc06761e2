//! `aqueduct drill export`: a day of a table goes to Parquet, the export is killed in the middle, and the same command goes on.
//!
//! A node writes a day that has passed, from Kafka. Spark exports it; the export is killed with SIGKILL once some slices are
//! done; the same command is given again; the files are held against the table. Proved: one copy of each row.

use super::report::{Bound, Report};
use super::stage::{Stage, path, wait};
use super::trades::{topology, trade};
use super::{Common, Drill};
use crate::environment::host_name;
use crate::output::time;
use anyhow::{Context, Result, bail};
use aqueduct_engine::Clock;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const NAME: &str = "drill-export";
const PARTITIONS: u32 = 4;
const DAY_US: i64 = 86_400_000_000;
/// How long rows may take to be written.
const WRITTEN_MAX: Duration = Duration::from_secs(900);
/// How long Spark may take until its first slice is done.
const SLICE_MAX: Duration = Duration::from_secs(600);
/// In so many slices the day is read: what is done before the kill is a part of it.
const SLICES: u64 = 16;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rows of the day that is exported.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    rows: u64,
    /// Where Spark runs.
    #[arg(long, value_name = "MASTER", default_value = "local[*]")]
    master: String,
    #[command(flatten)]
    common: Common,
}

impl Drill for Arguments {
    fn name(&self) -> &'static str {
        "export"
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
    stage.ask(NAME, async |connection| {
        for grant in GRANTS {
            connection.hits("let exports read", grant, &[]).await?;
        }
        Ok(())
    })?;
    let from_us = (Clock::system().wall_us() - 2 * DAY_US).div_euclid(DAY_US) * DAY_US;
    write_day(stage, &file, from_us, arguments.rows)?;
    report.happens(format!("{} rows of a passed day are written", arguments.rows));

    let into = stage.folder.join("exported");
    let slice_rows = arguments.rows.div_ceil(SLICES).to_string();
    let (from, to) = (time(from_us), time(from_us + DAY_US));
    let export = ["export", path(&file), "--into", path(&into), "--master", &arguments.master];
    let range = ["--from", &from, "--to", &to, "--slice-rows", &slice_rows, "--format", "json"];
    let export = [export.as_slice(), &range].concat();
    let clock = Clock::system();
    let began = clock.now();
    kill_in_the_middle(stage, &export, &into)?;
    report.happens("some slices are done, and the export is killed");
    let exported = answer(stage, &export)?;
    let export_seconds = began.elapsed().as_secs_f64();
    report.happens(format!(
        "the same command goes on: {} rows in {} files",
        exported["rows"], exported["files"]
    ));

    let began = clock.now();
    let verify = ["export", "verify", path(&file), "--into", path(&into), "--master", &arguments.master];
    let verified = verified(stage, &[verify.as_slice(), &["--format", "json"]].concat())?;
    report.happens("the files are held against the table");
    let counted = number(&exported, "rows")?;
    report.figure("rows_exported", counted, "rows", Bound::Exactly(arguments.rows as f64));
    report.figure("rows_missing", verified.missing, "rows", Bound::Exactly(0.0));
    report.figure("rows_doubled", verified.doubled, "rows", Bound::Exactly(0.0));
    report.figure("checksum_equal", f64::from(u8::from(verified.equal)), "", Bound::Exactly(1.0));
    report.figure("slices_resumed", number(&exported, "slices_resumed")?, "slices", Bound::AtLeast(1.0));
    report.figure("files", number(&exported, "files")?, "files", Bound::AtLeast(1.0));
    report.figure("export_seconds", export_seconds, "s", Bound::Free);
    report.figure("verify_seconds", began.elapsed().as_secs_f64(), "s", Bound::Free);
    Ok(())
}

/// As many trades as that, spread over the day, through Kafka and a node.
fn write_day(stage: &Stage, file: &Path, from_us: i64, rows: u64) -> Result<()> {
    let node = stage.node(file, "drill")?;
    let feed = stage.feed()?;
    let step_us = DAY_US / rows as i64;
    for id in 1..=rows {
        trade(id, from_us + (id as i64 - 1) * step_us).send(&feed)?;
    }
    feed.flush()?;
    let count = || -> Result<i64> {
        stage.ask(NAME, async |connection| Ok(connection.row("count rows", COUNT, &[]).await?.get(0)))
    };
    let there = || Ok((count()? >= rows as i64).then_some(()));
    wait(WRITTEN_MAX, there)?
        .with_context(|| format!("{rows} rows were not written within {WRITTEN_MAX:?}"))?;
    match node.drain()? {
        Some(0) => Ok(()),
        code => bail!("the node ended with {code:?} when it was told to drain"),
    }
}

/// Starts the export, and kills it once a slice is done.
fn kill_in_the_middle(stage: &Stage, export: &[&str], into: &Path) -> Result<()> {
    let said = stage.folder.join("export.log");
    let log = fs::File::create(&said).context("write the export's log")?;
    let mut child =
        stage.command(export)?.stdout(Stdio::null()).stderr(log).spawn().context("start a command")?;
    let done = wait(SLICE_MAX, || match child.try_wait()? {
        Some(status) => {
            let said = fs::read_to_string(&said).unwrap_or_default();
            bail!("the export ended before it could be killed ({status}); it said: {}", said.trim())
        }
        None => Ok(is_slice_done(into).then_some(())),
    });
    // It may have ended by itself, which `done` says.
    let _ = child.kill();
    child.wait().context("wait for the end of an export")?;
    done?.with_context(|| format!("no slice was done after {SLICE_MAX:?}"))
}

/// Whether an unfinished export has left a finished slice.
fn is_slice_done(into: &Path) -> bool {
    let runs = fs::read_dir(into.join("_staging")).into_iter().flatten().flatten();
    let mut slices =
        runs.flat_map(|run| fs::read_dir(run.path().join("done")).into_iter().flatten().flatten());
    slices.any(|slice| slice.path().extension().is_some_and(|ending| ending == "json"))
}

/// What `export verify` found.
struct Verified {
    missing: f64,
    doubled: f64,
    equal: bool,
}

fn verified(stage: &Stage, verify: &[&str]) -> Result<Verified> {
    let output = stage.command(verify)?.output().context("start a command")?;
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("export verify: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())
    })?;
    Ok(differences(&said, output.status.success()))
}

fn differences(said: &Value, is_well: bool) -> Verified {
    let parts = said["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = |part: &Value, of: &str| part[of].as_f64().unwrap_or(0.0);
    let surplus = |part: &Value, more: &str, less: &str| (rows(part, more) - rows(part, less)).max(0.0);
    // A sum of nothing would be -0.
    Verified {
        missing: parts.iter().map(|part| surplus(part, "table", "files")).fold(0.0, |sum, rows| sum + rows),
        doubled: parts.iter().map(|part| surplus(part, "files", "table")).fold(0.0, |sum, rows| sum + rows),
        equal: is_well && said["different"] == 0,
    }
}

fn answer(stage: &Stage, command: &[&str]) -> Result<Value> {
    serde_json::from_slice(&stage.run(command)?.stdout).context("read the export's answer")
}

fn number(answer: &Value, name: &str) -> Result<f64> {
    answer[name].as_f64().with_context(|| format!("the export's answer has no {name}"))
}

const GRANTS: [&str; 2] = [
    "GRANT USAGE ON SCHEMA market TO aqueduct_export",
    "GRANT SELECT ON market.drill_trades TO aqueduct_export",
];
const COUNT: &str = "SELECT count(*) FROM market.drill_trades";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_that_differ_are_missing_or_doubled_and_never_cancel_out() {
        let said = json!({ "different": 2, "differences": [
            { "part": "a", "table": 10, "files": 8 }, { "part": "b", "table": 5, "files": 7 },
        ]});
        let found = differences(&said, false);
        assert_eq!((found.missing, found.doubled, found.equal), (2.0, 2.0, false));
        let well = differences(&json!({ "different": 0, "differences": [] }), true);
        assert_eq!((well.missing, well.doubled, well.equal), (0.0, 0.0, true));
        assert!(!differences(&json!({ "different": 0 }), false).equal, "the command failed");
    }
}
