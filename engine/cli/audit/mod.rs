//! `aqueduct audit config|retention`: what is said, and what is.

mod config;
mod manifest;
mod retention;

use crate::exit::Exit;
use anyhow::Result;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Compare file and environment with a running node: exit 0 if they agree, 1 if they have drifted apart.
    Config(config::Arguments),
    /// Compare how long rows are said to be kept with what is there: exit 0 without a breach, 1 with one.
    Retention(retention::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Config(arguments) => config::run(arguments),
        Command::Retention(arguments) => retention::run(arguments),
    }
}
