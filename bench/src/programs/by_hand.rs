//! What one writes without an engine ([`crate::ceiling`]), in a process of its own: this program, asked for that.

use super::bound;
use crate::stage::{Stage, Task};
use anyhow::Result;
use clap::ValueEnum;
use std::process::Command;

pub(super) fn command(stage: &Stage, task: &Task) -> Result<Command> {
    let mut command = bound(std::env::current_exe()?);
    let load = &task.load;
    let sinks = task.sinks.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    command
        .args(["ceiling", "--topic", &load.topic, "--work", load.work.name(), "--sinks", &sinks])
        .args(["--partitions", &load.partitions.to_string(), "--rows", &load.rows.to_string()])
        .envs(stage.stack.env());
    Ok(command)
}
