//! `aqueduct staging up|down|status|env`: what a topology meets in production, on one machine: brokers that ask for a password
//! and speak TLS, a primary and a standby with roles of least privilege, Redis with users, a replica and a Sentinel,
//! Prometheus with the rules, and two nodes of this very binary.
//!
//! Servers and nodes are a [closed](aqueduct_stack::Access::Closed) stack's; here is what makes a staging of it: logins in
//! files ([`place`], [`users`]), topics and tables, and the questions that it must answer before it counts as up
//! ([`questions`]).
//!
//! Invariant: whoever is interrupted before all of it was answered leaves nothing that runs; a staging that was up stays so.
//! Deliberately absent: anything that a managed service does not give, such as a way in without a password.

mod place;
mod questions;
mod show;
mod up;
mod users;

use crate::exit::Exit;
use crate::output::Format;
use anyhow::Result;
use aqueduct_stack::{Lifetime, Options, Own, Part, Stack, commands};
use std::path::PathBuf;

/// The instance's name unless told otherwise, and what nodes and users are called.
const NAME: &str = "staging";

/// What runs beside the nodes.
const SERVERS: [Part; 9] = [
    Part::Kafka,
    Part::Broker2,
    Part::Broker3,
    Part::Timescale,
    Part::Standby,
    Part::Redis,
    Part::Replica,
    Part::Sentinel,
    Part::Prometheus,
];

#[derive(clap::Args)]
pub(crate) struct Which {
    /// Which staging, where there are several.
    #[arg(long, default_value = NAME)]
    name: String,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Start what does not run, put users, topics and tables there, and return when every question is answered.
    Up {
        /// The topology that the nodes run; without it, the one of before, and at first one of trades. `aqueduct staging env` has the variables it may use.
        file: Option<PathBuf>,
        #[command(flatten)]
        which: Which,
    },
    /// Drain the nodes, then end the servers; their data stay.
    Down {
        #[command(flatten)]
        which: Which,
        /// Delete the data and the logins too.
        #[arg(long)]
        purge: bool,
    },
    /// How each part is; exit 1 if one is not well.
    Status(Which),
    /// The variables that lead a program to it, secrets by the files they are in: `eval "$(aqueduct staging env)"`.
    Env(Which),
}

impl Which {
    fn options(&self, parts: &[Part]) -> Result<Options> {
        let mut options = Options::from_env(&self.name, Lifetime::Kept)?.parts(parts).closed();
        // A staging is whole, whatever servers the environment names.
        options.own = Own::default();
        options.command = "staging";
        Ok(options)
    }

    /// Of all that a staging has.
    fn whole(&self) -> Result<Options> {
        self.options(&[&SERVERS[..], &Part::NODES].concat())
    }

    fn format(&self) -> commands::Format {
        match self.format {
            Format::Text => commands::Format::Text,
            Format::Json => commands::Format::Json,
        }
    }
}

pub(crate) fn run(command: Command) -> Result<Exit> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Up { file, which } => up::run(file.as_deref(), &which, &mut out),
        Command::Down { which, purge } => {
            commands::down(&which.whole()?, purge, which.format(), &mut out)?;
            Ok(Exit::Ok)
        }
        Command::Status(which) => {
            let options = which.whole()?;
            let Some(stack) = Stack::attach(&options)? else {
                show::nothing(&options, which.format, &mut out)?;
                return Ok(Exit::Failed);
            };
            let parts = stack.status();
            show::parts(&stack, &parts, which.format, &mut out)?;
            Ok(if parts.iter().all(|part| part.healthy) { Exit::Ok } else { Exit::Failed })
        }
        Command::Env(which) => {
            let options = which.whole()?;
            let Some(stack) = Stack::attach(&options)? else {
                anyhow::bail!(commands::not_running(&options));
            };
            show::environment(&place::Place::of(&stack).told()?, which.format, &mut out)?;
            Ok(Exit::Ok)
        }
    }
}
