//! Kafka Connect, standalone, with Debezium's JDBC sink.

use super::{Database, bound, fetch_jars, write, write_all};
use crate::stage::{Stage, Task};
use anyhow::Result;
use aqueduct_stack::Error;
use aqueduct_stack::software::{Fetching, Recipe};
use std::path::Path;
use std::process::Command;

const POM: &str = include_str!("../../peers/kafka-connect/pom.xml");
const WORKER: &str = include_str!("../../peers/kafka-connect/worker.properties");
const SINK: &str = include_str!("../../peers/kafka-connect/sink.properties");

pub(super) const RECIPE: Recipe<'_> = Recipe {
    folder: "bench-kafka-connect-4.2.0-1",
    title: "Kafka Connect 4.2.0",
    announcement: "  - Kafka Connect 4.2.0 and Debezium's JDBC sink 3.5.0, from Maven Central (or the mirror in your Maven settings)",
};

pub(super) fn fill(fetching: &Fetching<'_>) -> Result<(), Error> {
    write_all(fetching.folder, &[("pom.xml", POM)])?;
    fetching.step(0, 1, "download");
    fetch_jars(fetching)
}

pub(super) fn command(place: &Path, stage: &Stage, task: &Task) -> Result<Command> {
    let database = Database::of(&stage.stack.timescale_url())?;
    let address = format!("bootstrap.servers={}\n", stage.stack.kafka_bootstrap());
    let worker = write(&task.folder, "worker.properties", &format!("{WORKER}{address}"))?;
    let of_the_task = format!(
        "name={name}\ntopics={}\nconsumer.override.group.id={name}\nconnection.url={}\nconnection.username={}\n\
         connection.password={}\n",
        task.load.topic,
        database.jdbc(),
        database.user,
        database.password,
        name = task.name,
    );
    let sink = write(&task.folder, "sink.properties", &format!("{SINK}{of_the_task}"))?;
    let mut command = bound("java");
    command
        .args(["-Xmx1g", "-Duser.timezone=UTC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp"])
        .arg(place.join("libs/*"))
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .args([worker, sink])
        .current_dir(&task.folder);
    Ok(command)
}
