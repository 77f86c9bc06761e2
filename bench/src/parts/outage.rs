//! TimescaleDB is stopped in the middle of a drain, with the rest of the topic waiting all the while: the engine's memory, and
//! what becomes of the rows once the database is back.

use super::kill::{at_rest, await_rows, count};
use crate::clock::now;
use crate::programs::Program;
use crate::progress::say;
use crate::stage::Stage;
use crate::workload::{self, Load, Sinks};
use anyhow::{Context, Result};
use aqueduct_stack::Part;
use serde::Serialize;
use std::time::Duration;

/// The share of the rows after which the database is stopped.
const STOPPED_AT: f64 = 0.2;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an outage did.
#[derive(Clone, Debug, Serialize)]
pub struct Outage {
    /// How long the database was stopped.
    pub seconds: f64,
    /// The most memory the engine held, from its start to the end of the outage, MiB.
    pub rss_peak_mib: f64,
    /// From the database's first answer to the next row.
    pub seconds_to_go_on: f64,
    /// Rows that never came.
    pub lost: u64,
    /// Rows that came twice or more often, beyond the first time.
    pub doubled: u64,
}

/// Drains `load` with an outage of so long on the way.
pub async fn run(stage: &mut Stage, load: &Load, lasting: Duration) -> Result<Outage> {
    workload::empty_table(&stage.client, load.work).await?;
    let task = stage.task(Program::Aqueduct.word(), load, Sinks::Both)?;
    let mut running = Program::Aqueduct.start(stage, &task)?;
    let wanted = (load.rows as f64 * STOPPED_AT) as u64;
    await_rows(stage, &mut running, wanted).await?;
    stage.stack.stop(Part::Timescale)?;
    let stopped = now();
    while stopped.elapsed() < lasting {
        running.check()?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let rss_peak_bytes = running.usage().context("the engine is gone")?.rss_peak_bytes;
    stage.stack.start(Part::Timescale)?;
    let seconds = stopped.elapsed().as_secs_f64();
    stage.know_anew().await?;
    let (answered, before) = (now(), count(stage).await?);
    anyhow::ensure!(before < load.rows, "it was through before the database was stopped: take more rows");
    await_rows(stage, &mut running, before + 1).await?;
    let seconds_to_go_on = answered.elapsed().as_secs_f64();
    let found = at_rest(stage, load.rows).await?;
    let outage = Outage {
        seconds,
        rss_peak_mib: rss_peak_bytes as f64 / f64::from(1 << 20),
        seconds_to_go_on,
        lost: load.rows.saturating_sub(found.distinct),
        doubled: found.rows - found.distinct,
    };
    say(&format!(
        "outage of {seconds:.0} s: {:.0} MiB, went on after {:.1} s, {} lost, {} doubled",
        outage.rss_peak_mib, outage.seconds_to_go_on, outage.lost, outage.doubled
    ));
    Ok(outage)
}
