//! `aqueduct dlq list|show|replay`: dead letters as a piece of work.
//!
//! One filter for all three, so that what was listed is what is shown and replayed.

pub(crate) mod filter;
mod list;
mod rehearse;
mod replay;
mod show;

use crate::exit::Exit;
use anyhow::Result;
use aqueduct_actors::dlq::Letter;
use aqueduct_topology::model::Topology;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List dead letters, or count them by reason.
    List(list::Arguments),
    /// Show dead letters with their bytes, or write them as envelopes for `try --envelope`.
    Show(show::Arguments),
    /// Send dead letters through their topology again, each exactly once.
    ///
    /// It may run beside nodes, be killed at any point and be run again: what became of a letter is marked in the transaction
    /// of its rows.
    Replay(replay::Arguments),
}

pub(crate) fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::List(arguments) => list::run(arguments),
        Command::Show(arguments) => show::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
    }
}

/// How the file names the actor of that identity, under which letters are kept; an actor that it does not have any more
/// stays what it was.
fn name_of(topology: &Topology, id: &str) -> String {
    topology.identified(id).map_or_else(|| id.to_owned(), |actor| actor.name.value.clone())
}

/// Whatever of a letter names an actor, as the file does.
fn named(topology: &Topology, letter: &mut Letter) {
    letter.actor = name_of(topology, &letter.actor);
    let again = letter.again.as_mut().and_then(|again| again.actor.as_mut());
    if let Some(actor) = again {
        *actor = name_of(topology, actor);
    }
}

/// What a topology without a database keeps there, as messages say it.
const WHAT: &str = "its dead letters (those of a topology without one are in the topic of `dead_letter`, and cannot be marked there)";
