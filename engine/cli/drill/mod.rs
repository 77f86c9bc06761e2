//! `aqueduct drill NAME`: a procedure is carried out on real servers, disturbed as it would be some day, and judged.
//! `aqueduct drill all`: every one of them, and what they and some checks prove of the product's claims.
//!
//! A drill runs what an operator runs, this very binary, against servers that nobody misses: a private stack, or those that
//! the environment names, in a database and a topic of its own. What comes of it is a [`Report`]: figures held against their
//! bounds, and a timeline. It is printed, and kept where one asks for it: in `aqueduct.drills` of a topology, where the page
//! and `aqueduct status` read it (`--record`), and in playbooks (`--into`). Exit 0: it passed, 1: it did not.
//!
//! A new drill is a file here with `Arguments` that are a [`Drill`]; `procedures` is the list of them.

mod all;
mod backfill;
mod evidence;
mod export;
mod failover;
mod guard;
mod interrupt;
mod load;
mod page;
mod procedures;
mod report;
mod restore;
mod rotation;
mod stage;
mod trades;

use crate::exit::Exit;
use crate::{file, stores};
use anyhow::Result;
use aqueduct_actors::drills;
use procedures::Procedure;
use report::{Form, Report};
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    One(Procedure),
    /// Carry out every drill, one after another, and say what they prove: exit 1 if any did not pass.
    All(all::Arguments),
}

/// A procedure that is carried out and judged.
trait Drill {
    /// As the command line names it.
    fn name(&self) -> &'static str;

    /// What every drill takes.
    fn common(&self) -> &Common;

    /// Carries it out. An error is one from before it began: afterwards, what fails is part of the report.
    fn carry_out(&self) -> Result<Report>;
}

/// What every drill takes.
#[derive(Default, clap::Args)]
pub(crate) struct Common {
    /// Go on although the servers that the environment names look like somebody's production.
    #[arg(long)]
    i_know: bool,
    /// Keep the verdict in the database of this topology, where its page and its status show it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Put the figures into these pages, between `<!-- drill NAME -->` and `<!-- /drill -->`.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    into: Vec<PathBuf>,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::One(procedure) => one(procedure.drill()),
        Command::All(arguments) => all::run(arguments),
    }
}

fn one(drill: &dyn Drill) -> Result<Exit> {
    let common = drill.common();
    page::check(&common.into, &[drill.name()])?;
    let report = drill.carry_out()?;
    report.print(common.format, &mut std::io::stdout().lock())?;
    page::insert(&common.into, drill.name(), &report.section(&spoken()))?;
    common.keep(&[&report])?;
    Ok(if report.passed() { Exit::Ok } else { Exit::Failed })
}

/// The command as it was typed.
fn spoken() -> String {
    let words = std::env::args().skip(1);
    ["aqueduct".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

impl Common {
    /// Keeps what came of drills in the database where that is asked for.
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
