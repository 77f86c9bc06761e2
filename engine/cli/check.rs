//! `aqueduct check FILE`, with `--connect` also beside the servers it names.

use crate::environment::host_name;
use crate::exit::Exit;
use crate::file::Loaded;
use crate::output::say;
use crate::settings::Config;
use crate::{file, output};
use anyhow::Result;
use aqueduct_actors::connected;
use aqueduct_actors::timescale::migrate::{Error as MigrationError, MigrationSet};
use aqueduct_engine::Clock;
use aqueduct_topology::model::Topology;
use aqueduct_topology::{has_errors, sorted, to_json, to_sarif};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The form of the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, on standard error.
    #[default]
    Text,
    /// `{"diagnostics": [..]}`.
    Json,
    /// SARIF 2.1.0, for code review tools.
    Sarif,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Ask Kafka, TimescaleDB, Redis and the schema registry too whether topics, tables, privileges and settings fit; changes nothing there.
    /// A server that is away is an error like any other: exit 1.
    #[arg(long)]
    connect: bool,
    /// The form of the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    config: Config,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let budget = arguments.config.memory_budget_bytes()?;
    let mut loaded = file::read(&arguments.file)?.within(budget);
    let refused = has_errors(&loaded.diagnostics);
    if arguments.connect
        && !refused
        && let Some(topology) = &loaded.topology
    {
        loaded.diagnostics.extend(ask(topology, &arguments.file)?);
        loaded.diagnostics = sorted(loaded.diagnostics);
    }
    print(arguments, &loaded)?;
    if arguments.connect && refused && arguments.format == Format::Text {
        say!("the servers were not asked: first the file has to be right");
    }
    Ok(if has_errors(&loaded.diagnostics) { Exit::Failed } else { Exit::Ok })
}

fn print(arguments: &Arguments, loaded: &Loaded) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => {
            output::findings(&loaded.source, &loaded.diagnostics);
            if let Some(topology) = loaded.topology.as_ref().filter(|_| !has_errors(&loaded.diagnostics)) {
                let (file, actors) = (arguments.file.display(), topology.actors.len());
                let servers = if arguments.connect { asked(topology) } else { String::new() };
                writeln!(out, "{file}: {actors} actors{servers}, nothing wrong")?;
            }
        }
        Format::Json => writeln!(out, "{}", to_json(&loaded.source, &loaded.diagnostics))?,
        Format::Sarif => writeln!(out, "{}", to_sarif(&loaded.source, &loaded.diagnostics))?,
    }
    Ok(())
}

/// `, kafka and redis asked`.
fn asked(topology: &Topology) -> String {
    let connections = &topology.connections;
    let servers = [
        ("kafka", connections.kafka.is_some()),
        ("timescale", connections.timescale.is_some()),
        ("redis", connections.redis.is_some()),
        ("registry", connections.registry.is_some()),
    ];
    let names: Vec<&str> = servers.iter().filter(|(_, named)| *named).map(|(name, _)| *name).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!(", {last} asked"),
        Some((last, others)) => format!(", {} and {last} asked", others.join(", ")),
    }
}

/// What the servers have to say about the topology of `file`.
fn ask(topology: &Topology, file: &Path) -> Result<Vec<aqueduct_topology::Diagnostic>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let node = host_name();
    let asking = connected::check(topology, &node, Clock::system(), migrations(topology, file));
    let found = tokio::task::LocalSet::new().block_on(&runtime, asking);
    // A name that is still being resolved would hold the end up.
    runtime.shutdown_background();
    Ok(found)
}

/// The files that the database should know: the engine's, and those beside the topology.
fn migrations(topology: &Topology, file: &Path) -> Result<Vec<MigrationSet>, MigrationError> {
    let files = aqueduct_config::migrations::all();
    let engine = MigrationSet::engine(files.iter().map(|file| (file.name, file.sql)))?;
    Ok(vec![engine, MigrationSet::beside(&topology.name, file)?])
}
