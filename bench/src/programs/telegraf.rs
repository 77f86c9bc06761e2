//! Telegraf, built by Go with the two plugins that are needed; its output writes by COPY.

use super::{Database, bound, write};
use crate::stage::{Stage, Task};
use anyhow::Result;
use aqueduct_stack::Error;
use aqueduct_stack::software::{Fetching, Recipe};
use std::path::Path;
use std::process::Command;

const CONFIG: &str = include_str!("../../peers/telegraf/telegraf.conf");
const PACKAGE: &str = "github.com/influxdata/telegraf/cmd/telegraf@v1.37.2";
/// Nothing but what the configuration names: each of `inputs`, `outputs` and `parsers` alone would stand for all of a kind.
const TAGS: &str = "custom,inputs.kafka_consumer,outputs.postgresql,parsers.json";

pub(super) const RECIPE: Recipe<'_> = Recipe {
    folder: "bench-telegraf-1.37.2-1",
    title: "Telegraf 1.37.2",
    announcement: "  - Telegraf 1.37.2, from your Go module proxy; built here in some minutes",
};

pub(super) fn fill(fetching: &Fetching<'_>) -> Result<(), Error> {
    fetching.step(0, 1, "download, build");
    fetching.run("go", |go| {
        go.args(["install", "-trimpath", "-ldflags=-s -w", "-tags", TAGS, PACKAGE]);
        go.env("GOBIN", fetching.folder).env("GOTOOLCHAIN", "local").env("GOFLAGS", "-buildvcs=false");
        go.env("CGO_ENABLED", "0");
    })
}

pub(super) fn command(place: &Path, stage: &Stage, task: &Task) -> Result<Command> {
    let database = Database::of(&stage.stack.timescale_url())?;
    let config = write(&task.folder, "telegraf.conf", CONFIG)?;
    let mut command = bound(place.join("telegraf"));
    command.arg("--config").arg(config).current_dir(&task.folder);
    command
        .env("BENCH_KAFKA", stage.stack.kafka_bootstrap())
        .env("BENCH_TOPIC", &task.load.topic)
        .env("BENCH_GROUP", &task.name)
        .env("PGHOST", &database.host)
        .env("PGPORT", database.port.to_string())
        .env("PGUSER", &database.user)
        .env("PGPASSWORD", &database.password)
        .env("PGDATABASE", &database.name);
    Ok(command)
}
