//! `aqueduct drill NAME`: a procedure is carried out on real servers, disturbed as it would be some day, and judged.
//!
//! A drill runs what an operator runs, this very binary, against servers that nobody misses: a private stack, or those that
//! the environment names, in a database and a topic of its own. What comes of it is a [`Report`]: figures held against their
//! bounds, and a timeline. It is printed, and kept where one asks for it: in `aqueduct.drills` of a topology, where the page
//! and `aqueduct status` read it (`--record`), and in the playbook (`--into`). Exit 0: it passed, 1: it did not.
//!
//! A new drill is a file here with its `Arguments` that are a [`Drill`], a variant of [`Command`] and its line in
//! [`Command::drill`].

mod backfill;
mod guard;
mod interrupt;
mod load;
mod report;
mod restore;
mod rotation;
mod stage;

use crate::exit::Exit;
use crate::{file, stores};
use anyhow::Result;
use aqueduct_actors::drills;
use report::{Form, Report};
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lose an hour of a table, and fill it again beside live load.
    Backfill(backfill::Arguments),
    /// Lose the database, and bring it back from a base backup and from Kafka.
    Restore(restore::Arguments),
    /// Exchange every login and the certificates while rows are written.
    Rotation(rotation::Arguments),
}

impl Command {
    /// The drill that is asked for.
    fn drill(&self) -> &dyn Drill {
        match self {
            Command::Backfill(arguments) => arguments,
            Command::Restore(arguments) => arguments,
            Command::Rotation(arguments) => arguments,
        }
    }
}

/// A procedure that is carried out and judged.
trait Drill {
    /// What every drill takes.
    fn common(&self) -> &Common;

    /// Carries it out. An error is one from before it began: afterwards, what fails is part of the report.
    fn carry_out(&self) -> Result<Report>;
}

/// What every drill takes.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// Go on although the servers that the environment names look like somebody's production.
    #[arg(long)]
    i_know: bool,
    /// Keep the verdict in the database of this topology, where its page and its status show it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    let drill = command.drill();
    let report = drill.carry_out()?;
    report.print(drill.common().format, &mut std::io::stdout().lock())?;
    drill.common().keep(&[&report])?;
    Ok(if report.passed() { Exit::Ok } else { Exit::Failed })
}

impl Common {
    /// Keeps what came of drills where that is asked for.
    fn keep(&self, reports: &[&Report]) -> Result<()> {
        let Some(file) = &self.record else { return Ok(()) };
        let topology = file::read(file)?.accepted()?;
        stores::block_on(async {
            let connection = stores::database(&topology, "its drills").await?;
            for report in reports {
                stores::answered(drills::record(&connection, &topology.name.value, &report.row()).await)?;
            }
            Ok(())
        })
    }
}
