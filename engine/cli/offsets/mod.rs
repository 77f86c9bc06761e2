//! `aqueduct offsets show|reset`: where every sink stands, and moving it.

mod group;
mod reset;
mod show;

use crate::exit::Exit;
use anyhow::Result;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show where every sink stands in every partition, beside where the log begins and ends.
    Show(show::Arguments),
    /// Have sinks read on from another offset; refuses what would double or lose rows unless told so.
    Reset(reset::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Show(arguments) => show::run(arguments),
        Command::Reset(arguments) => reset::run(arguments),
    }
}
