//! The engine.

use super::bound;
use crate::stage::{Stage, Task};
use crate::workload::{Sinks, Work};
use anyhow::{Context, Result};
use std::process::Command;

/// The topology that does `work`, with these sinks.
pub fn topology_of(work: Work, sinks: Sinks) -> Result<String> {
    let text = work.topology();
    match sinks {
        Sinks::Both => Ok(text.to_owned()),
        Sinks::History => {
            let (others, caches): (Vec<&str>, Vec<&str>) =
                text.lines().partition(|line| !line.contains("kind: redis_cache"));
            anyhow::ensure!(caches.len() == 1, "the topology of {} has its cache on one line", work.name());
            Ok(others.join("\n"))
        }
    }
}

/// The engine on a task, with an admin endpoint that nobody knows.
pub fn command(stage: &Stage, task: &Task) -> Result<Command> {
    let file = task.folder.join("topology.yaml");
    // A task with a topology of its own has put it there.
    if !file.exists() {
        let text = topology_of(task.load.work, task.sinks)?;
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    let mut command = bound(&stage.binary);
    command
        .arg("run")
        .arg(&file)
        .envs(stage.stack.env())
        .env("BENCH_NAME", &task.name)
        .env("BENCH_TOPIC", &task.load.topic)
        .env("BENCH_PREFIX", &task.name)
        .env("AQUEDUCT_NODE", "bench")
        .env("AQUEDUCT_ADMIN_LISTEN", "127.0.0.1:0")
        .env("AQUEDUCT_LOG", "warn");
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_without_a_cache_has_the_rest() {
        for work in Work::ALL {
            let alone = topology_of(work, Sinks::History).expect("one line");
            assert!(!alone.contains("redis_cache") && alone.contains("timescale_writer"), "{alone}");
            assert!(topology_of(work, Sinks::Both).expect("whole").contains("redis_cache"));
        }
    }
}
