//! `aqueduct migrate new|plan|up|status|verify`.
//!
//! Without a file the commands are about the engine's own schema, in the database of `TIMESCALE_URL`; with one, about
//! the topology's tables too, in the database that its connection names.

use crate::environment::{host_name, variable};
use crate::exit::Exit;
use crate::file;
use crate::output::Format;
use anyhow::{Context, Result};
use aqueduct_actors::timescale::draft::draft;
use aqueduct_actors::timescale::migrate::{FOLDER, MigrationSet};
use aqueduct_actors::timescale::{Connector, Migrator};
use aqueduct_config::topologies::Example;
use aqueduct_engine::Clock;
use aqueduct_topology::model::{TimescaleConnection, Topology};
use aqueduct_topology::{Span, Spanned};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Which {
    /// The topology file; without it, only the engine's own schema.
    file: Option<PathBuf>,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Draft the migration that the topology's writers need, for review.
    New {
        /// The topology file; the draft goes into `migrations/` beside it.
        file: PathBuf,
    },
    /// What `up` would apply; exit 2 if there is anything.
    Plan(Which),
    /// Apply what is missing.
    Up(Which),
    /// Every migration and whether it is applied.
    Status(Which),
    /// Compare what was applied with the files, and what is live with what they made; exit 1 if they differ.
    Verify(Which),
}

pub(crate) fn run(command: Command) -> Result<Exit> {
    match command {
        Command::New { file } => new(&file),
        Command::Plan(which) => {
            let plan = answer(async { Ok(which.migrator()?.plan().await?) })?;
            print(&which, &plan)?;
            Ok(if plan.pending.is_empty() { Exit::Ok } else { Exit::Changes })
        }
        Command::Up(which) => {
            let applied =
                answer(async { Ok(which.migrator()?.up(&|event| crate::output::say!("{event}")).await?) })?;
            print(&which, &applied)?;
            Ok(Exit::Ok)
        }
        Command::Status(which) => {
            let status = answer(async { Ok(which.migrator()?.status().await?) })?;
            print(&which, &status)?;
            Ok(Exit::Ok)
        }
        Command::Verify(which) => {
            let verified = answer(async { Ok(which.migrator()?.verify().await?) })?;
            print(&which, &verified)?;
            Ok(if verified.fails() { Exit::Failed } else { Exit::Ok })
        }
    }
}

/// Applies what the embedded example and the engine need.
pub(crate) fn up_example(topology: &Topology, example: &Example) -> Result<()> {
    let set = MigrationSet::topology(&topology.name, example.name, example.migrations.iter().copied())?;
    let migrator =
        migrator(topology.connections.timescale.as_ref(), &topology.name, vec![engine_set()?, set])?;
    answer(async { Ok(migrator.up(&|_| {}).await?) })?;
    Ok(())
}

/// Applies what the engine and the topology of `file` need, as the owner of its tables; says what it does.
pub(crate) fn up_as(owner: &TimescaleConnection, topology: &Topology, file: &Path) -> Result<()> {
    let sets = vec![engine_set()?, MigrationSet::beside(&topology.name, file)?];
    let migrator = migrator(Some(owner), &topology.name, sets)?;
    answer(async { Ok(migrator.up(&|event| crate::output::say!("{event}")).await?) })?;
    Ok(())
}

fn new(file: &Path) -> Result<Exit> {
    let topology = file::read(file)?.accepted()?;
    let existing = MigrationSet::beside(&topology.name, file)?;
    let mut out = std::io::stdout().lock();
    let Some(draft) = draft(&topology, &existing)? else {
        writeln!(out, "nothing is missing: the files in {} create what the writers need", existing.place)?;
        return Ok(Exit::Ok);
    };
    let folder = file.parent().unwrap_or(Path::new("")).join(FOLDER);
    let path = folder.join(&draft.file_name);
    let doing = || format!("cannot write `{}`", path.display());
    std::fs::create_dir_all(&folder).with_context(doing)?;
    std::fs::write(&path, &draft.sql).with_context(doing)?;
    writeln!(out, "{}\nreview it, then: aqueduct migrate up {}", path.display(), file.display())?;
    Ok(Exit::Ok)
}

impl Which {
    fn migrator(&self) -> Result<Migrator> {
        let Some(file) = &self.file else { return migrator(None, "migrations", vec![engine_set()?]) };
        let topology = file::read(file)?.accepted()?;
        let sets = vec![engine_set()?, MigrationSet::beside(&topology.name, file)?];
        migrator(topology.connections.timescale.as_ref(), &topology.name, sets)
    }
}

fn engine_set() -> Result<MigrationSet> {
    let files = aqueduct_config::migrations::all();
    Ok(MigrationSet::engine(files.iter().map(|file| (file.name, file.sql)))?)
}

/// A migrator for the database of `connection`, else of `TIMESCALE_URL`.
fn migrator(
    connection: Option<&TimescaleConnection>,
    topology: &str,
    sets: Vec<MigrationSet>,
) -> Result<Migrator> {
    let connection = match connection {
        Some(connection) => connection.clone(),
        None => from_environment()?,
    };
    let connector = Connector::new(&connection, topology, &host_name(), Clock::system())?;
    Ok(Migrator::new(connector, sets))
}

fn from_environment() -> Result<TimescaleConnection> {
    let url = variable("TIMESCALE_URL").context("no database: name a topology file, or set TIMESCALE_URL")?;
    Ok(TimescaleConnection {
        url: Spanned::new(url.into(), Span::default()),
        user_file: None,
        password_file: None,
        pool: 1,
        tls: None,
    })
}

/// Runs `work` on a runtime of its own.
fn answer<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    actix_rt::System::new().block_on(work)
}

fn print(which: &Which, answer: &(impl Serialize + Display)) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match which.format {
        Format::Text => writeln!(out, "{answer}")?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(answer)?)?,
    }
    Ok(())
}
