//! `kill -9` in the middle of a drain, and a start of the same program: rows lost, rows doubled, seconds until rows come again.

use crate::clock::now;
use crate::programs::{Program, Running};
use crate::progress::say;
use crate::stage::Stage;
use crate::workload::{self, Load, Sinks};
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// The share of the rows after which it is killed.
const KILLED_AT: f64 = 0.4;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Until so many rows are there, and from the start anew to the next one.
const SILENCE_MAX: Duration = Duration::from_secs(150);
/// All rows are there, or will not come any more: nothing has for so long.
const QUIET: Duration = Duration::from_secs(5);
/// A member that is dead keeps its partitions until its session is over; only after that is silence the end.
const QUIET_WHERE_ROWS_LACK: Duration = Duration::from_secs(60);

/// What became of the rows.
#[derive(Clone, Debug, Serialize)]
pub struct Killed {
    /// Who.
    pub program: Program,
    /// Rows that were sent.
    pub rows: u64,
    /// Rows that were there when it was killed.
    pub rows_at_the_kill: u64,
    /// Rows that never came.
    pub lost: u64,
    /// Rows that came twice or more often, beyond the first time.
    pub doubled: u64,
    /// From its start anew to its next row.
    pub seconds_to_go_on: f64,
}

/// Drains `load`, and kills the program once on the way.
pub async fn run(stage: &Stage, load: &Load, program: Program) -> Result<Killed> {
    workload::empty_table(&stage.client, load.work).await?;
    let task = stage.task(program.word(), load, Sinks::History)?;
    let mut running = program.start(stage, &task)?;
    await_rows(stage, &mut running, (load.rows as f64 * KILLED_AT) as u64).await?;
    running.kill();
    // What the dead program had sent may still be committed, or taken back.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let at_the_kill = count(stage).await?;
    anyhow::ensure!(at_the_kill < load.rows, "it was through before it was killed: take more rows");
    let anew = now();
    let mut running = program.start(stage, &task)?;
    await_rows(stage, &mut running, at_the_kill + 1).await?;
    let seconds_to_go_on = anew.elapsed().as_secs_f64();
    let found = at_rest(stage, load.rows).await?;
    let killed = Killed {
        program,
        rows: load.rows,
        rows_at_the_kill: at_the_kill,
        lost: load.rows.saturating_sub(found.distinct),
        doubled: found.rows - found.distinct,
        seconds_to_go_on,
    };
    say(&format!(
        "kill -9: {}: {} lost, {} doubled, went on after {:.1} s",
        program.title(),
        killed.lost,
        killed.doubled,
        killed.seconds_to_go_on
    ));
    Ok(killed)
}

/// Until the table has `wanted` rows.
pub(super) async fn await_rows(stage: &Stage, running: &mut Running, wanted: u64) -> Result<()> {
    let began = now();
    while count(stage).await? < wanted {
        anyhow::ensure!(
            began.elapsed() < SILENCE_MAX,
            "fewer than {wanted} rows after {SILENCE_MAX:?}\n{}",
            running.tail()
        );
        running.check()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Rows of the table.
pub(super) async fn count(stage: &Stage) -> Result<u64> {
    let row = stage.client.query_one("SELECT count(*) FROM bench.trades", &[]).await?;
    Ok(row.get::<_, i64>(0) as u64)
}

/// What the table holds once nothing comes any more.
pub(super) async fn at_rest(stage: &Stage, rows: u64) -> Result<workload::Found> {
    let mut found = workload::count(&stage.client).await?;
    let mut changed = now();
    loop {
        let patience = if found.distinct < rows { QUIET_WHERE_ROWS_LACK } else { QUIET };
        if changed.elapsed() > patience {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let again = workload::count(&stage.client).await?;
        if again != found {
            (found, changed) = (again, now());
        }
    }
}
