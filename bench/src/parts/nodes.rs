//! Several nodes of one group share a topic: no row twice, and what the division costs.

use super::watch::{self, Arrival, Drained};
use crate::programs::{Program, Running, engine_command};
use crate::progress::say;
use crate::stage::Stage;
use crate::workload::{self, Load, Sinks};
use anyhow::Result;
use serde::Serialize;

/// So many nodes drained it together; each row was there once.
#[derive(Clone, Debug, Serialize)]
pub struct Shared {
    /// Nodes.
    pub nodes: usize,
    /// What they took; CPU and memory are of all of them.
    pub drained: Drained,
}

/// Drains `load` by `nodes` nodes of one group, which start together.
pub async fn run(stage: &Stage, load: &Load, nodes: usize) -> Result<Shared> {
    workload::empty_table(&stage.client, load.work).await?;
    let task = stage.task(Program::Aqueduct.word(), load, Sinks::Both)?;
    let mut running = Vec::new();
    for node in 1..=nodes {
        let mut command = engine_command(stage, &task)?;
        command.env("AQUEDUCT_NODE", format!("bench-{node}"));
        running.push(Running::start(command, &task.folder.join(format!("log-{node}")))?);
    }
    let drained = watch::drain(stage, &mut running, &Arrival::Last(&load.last), load.rows).await?;
    say(&format!("{nodes} nodes: {:.0} rows/s, none doubled", drained.rows_per_second()));
    Ok(Shared { nodes, drained })
}
