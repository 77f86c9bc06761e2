//! `aqueduct audit config`: what is said, and what runs.

mod config;
mod manifest;

use crate::exit::Exit;
use anyhow::Result;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Compare file and environment with a running node: exit 0 if they agree, 1 if they have drifted apart.
    Config(config::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Config(arguments) => config::run(arguments),
    }
}
