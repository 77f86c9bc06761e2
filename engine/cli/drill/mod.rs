//! `aqueduct drill NAME`: a procedure is carried out on real servers, disturbed as it would be some day, and judged.
//!
//! A drill runs what an operator runs, this very binary, against servers that nobody misses: a private stack, or those that
//! the environment names, in a database and a topic of its own. What comes of it is a [`Report`]: figures held against their
//! bounds, and a timeline. It is printed, and kept in `aqueduct.drills`, where the page and `aqueduct status` read it.
//! Exit 0: it passed, 1: it did not.
//!
//! A new drill is a file here with its `Arguments`, a variant of [`Command`], and a function that fills a [`Report`].

mod backfill;
mod failover;
mod guard;
mod load;
mod report;
mod rotation;
mod stage;

use crate::exit::Exit;
use crate::{file, stores};
use anyhow::{Context, Result};
use aqueduct_actors::drills;
use report::{Form, Report};
use stage::Stage;
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Lose an hour of a table, and fill it again beside live load.
    Backfill(backfill::Arguments),
    /// Lose a region, and go on from the other.
    Failover(failover::Arguments),
    /// Exchange every login and the certificates while rows are written.
    Rotation(rotation::Arguments),
}

/// What every drill takes.
#[derive(Default, clap::Args)]
pub(crate) struct Common {
    /// Go on although the servers that the environment names look like somebody's production.
    #[arg(long)]
    i_know: bool,
    /// Keep the verdict in the database of this topology too, where its page and its status show it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Backfill(arguments) => backfill::run(arguments),
        Command::Failover(arguments) => failover::run(arguments),
        Command::Rotation(arguments) => rotation::run(arguments),
    }
}

impl Common {
    /// Keeps and prints the report of a drill that was carried out on `stage`; gives the exit that its verdict asks for.
    fn conclude(&self, report: &Report, stage: &Stage) -> Result<Exit> {
        let row = report.row();
        let kept = stores::block_on(async {
            let connection = stage.connect(report.topology()).await?;
            stores::answered(drills::record(&connection, report.topology(), &row).await)?;
            let Some(file) = &self.record else { return Ok(()) };
            let topology = file::read(file)?.accepted()?;
            let connection = stores::database(&topology, "its drills").await?;
            stores::answered(drills::record(&connection, &topology.name.value, &row).await)
        });
        report.print(self.format, &mut std::io::stdout().lock())?;
        kept.context("the report is kept nowhere")?;
        Ok(if report.passed() { Exit::Ok } else { Exit::Failed })
    }
}
