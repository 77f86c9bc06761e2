//! `aqueduct export FILE` and `aqueduct export verify FILE`: rows of a table as Parquet, by Spark.
//!
//! This side decides what is exported and keeps the record; the programs of `config/spark`, which it submits, move the
//! rows. What they are told is an order in a file; the password goes by the environment, and nothing secret stands on a
//! command line.

mod command;
mod describe;
mod lock;
pub(crate) mod options;
pub(crate) mod order;
pub(crate) mod spark;
pub(crate) mod submit;
mod verify;

use crate::exit::Exit;
use anyhow::Result;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    export: command::Arguments,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compare exported files with the table, partition by partition: exit 1 if anything differs.
    Verify(verify::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    match &arguments.command {
        Some(Command::Verify(arguments)) => verify::run(arguments),
        None => command::run(&arguments.export),
    }
}
