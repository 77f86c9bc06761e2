//! Apache Flink: its Table API in a local cluster of two slots, the job in `peers/flink`.

use super::{Database, bound, fetch_jars, write_all};
use crate::stage::{Stage, Task};
use crate::workload::Sinks;
use anyhow::Result;
use aqueduct_stack::Error;
use aqueduct_stack::software::{Fetching, Recipe};
use std::path::Path;
use std::process::Command;

const POM: &str = include_str!("../../peers/flink/pom.xml");
const JOB: &str = include_str!("../../peers/flink/Drain.java");
/// Packages that Flink reaches into by reflection.
const OPENED: [&str; 10] = [
    "java.io",
    "java.lang",
    "java.lang.reflect",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "sun.nio.ch",
];

pub(super) const RECIPE: Recipe<'_> = Recipe {
    folder: "bench-flink-2.2.1-1",
    title: "Flink 2.2.1",
    announcement: "  - Apache Flink 2.2.1 with its connectors, from Maven Central (or the mirror in your Maven settings)",
};

pub(super) fn fill(fetching: &Fetching<'_>) -> Result<(), Error> {
    write_all(fetching.folder, &[("pom.xml", POM), ("Drain.java", JOB)])?;
    fetching.step(0, 2, "download");
    fetch_jars(fetching)?;
    fetching.step(1, 2, "compile the job");
    fetching.run("javac", |javac| {
        javac.args(["-d", "classes", "-cp", "libs/*", "Drain.java"]);
    })
}

pub(super) fn command(place: &Path, stage: &Stage, task: &Task) -> Result<Command> {
    let database = Database::of(&stage.stack.timescale_url())?;
    let mut command = bound("java");
    command.args(["-Xmx2g", "-Duser.timezone=UTC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command.args(OPENED.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED")));
    command.arg("-cp").arg(format!("{0}/classes:{0}/libs/*", place.display()));
    command.arg("Drain").current_dir(&task.folder);
    command
        .env("BENCH_KAFKA", stage.stack.kafka_bootstrap())
        .env("BENCH_TOPIC", &task.load.topic)
        .env("BENCH_GROUP", &task.name)
        .env("BENCH_CHECKPOINTS", task.folder.join("checkpoints"))
        .env("BENCH_JDBC", database.jdbc())
        .env("BENCH_USER", &database.user)
        .env("BENCH_PASSWORD", &database.password);
    if task.sinks == Sinks::Both {
        command.env("BENCH_REDIS", stage.stack.redis_url());
    }
    Ok(command)
}
