//! Bytewax: a dataflow in Python, two workers, COPY.

use super::{Database, bound, write_all};
use crate::stage::{Stage, Task};
use crate::workload::Sinks;
use anyhow::{Context, Result};
use aqueduct_stack::Error;
use aqueduct_stack::software::{Fetching, Recipe};
use std::path::Path;
use std::process::Command;

const FLOW: &str = include_str!("../../peers/bytewax/drain.py");
const REQUIREMENTS: &str = include_str!("../../peers/bytewax/requirements.txt");
const WORKERS: &str = "2";

pub(super) const RECIPE: Recipe<'_> = Recipe {
    folder: "bench-bytewax-0.21.1-1",
    title: "Bytewax 0.21.1",
    announcement: "  - Bytewax 0.21.1 and what its flow needs, from PyPI",
};

pub(super) fn fill(fetching: &Fetching<'_>) -> Result<(), Error> {
    write_all(fetching.folder, &[("requirements.txt", REQUIREMENTS), ("drain.py", FLOW)])?;
    fetching.step(0, 1, "download");
    fetching.run("python3", |python| {
        python.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]);
        python.args(["--root-user-action", "ignore", "--target", "site", "-r", "requirements.txt"]);
    })
}

pub(super) fn command(place: &Path, stage: &Stage, task: &Task) -> Result<Command> {
    let database = Database::of(&stage.stack.timescale_url())?;
    let python = |module: &str| {
        let mut command = bound("python3");
        command.env("PYTHONPATH", format!("{0}/site:{0}", place.display())).current_dir(&task.folder);
        command.args(["-m", module]);
        command
    };
    let recovery = task.folder.join("recovery");
    if !recovery.exists() {
        std::fs::create_dir(&recovery)?;
        let made =
            python("bytewax.recovery").arg(&recovery).arg(WORKERS).output().context("start python3")?;
        anyhow::ensure!(
            made.status.success(),
            "its recovery store: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let mut command = python("bytewax.run");
    command.args(["drain:flow", "-w", WORKERS, "-s", "1", "-b", "0", "-r"]).arg(&recovery);
    command
        .env("BENCH_KAFKA", stage.stack.kafka_bootstrap())
        .env("BENCH_TOPIC", &task.load.topic)
        .env("PGHOST", &database.host)
        .env("PGPORT", database.port.to_string())
        .env("PGUSER", &database.user)
        .env("PGPASSWORD", &database.password)
        .env("PGDATABASE", &database.name);
    if task.sinks == Sinks::Both {
        command.env("BENCH_REDIS", stage.stack.redis_url());
    }
    Ok(command)
}
