//! `aqueduct stack up|down|status|env`.

use crate::exit::Exit;
use crate::output::Format;
use anyhow::Result;
use aqueduct_stack::{DEFAULT_NAME, Lifetime, Options, commands, progress};

#[derive(clap::Args)]
pub(crate) struct Which {
    /// Which stack, where there are several.
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Fetch what is missing, start what does not run, return when everything answers.
    Up(Which),
    /// End it; its data stay.
    Down {
        #[command(flatten)]
        which: Which,
        /// Delete its data too.
        #[arg(long)]
        purge: bool,
    },
    /// How each part is; exit 1 if one is not well.
    Status(Which),
    /// The variables that lead a program to it: `eval "$(aqueduct stack env)"`.
    Env(Which),
}

impl Which {
    fn options(&self) -> Result<Options> {
        Ok(Options::from_env(&self.name, Lifetime::Kept)?)
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
        Command::Up(which) => {
            commands::up(&which.options()?, which.format(), &mut out, &*progress::on_stderr())?;
        }
        Command::Down { which, purge } => commands::down(&which.options()?, purge, which.format(), &mut out)?,
        Command::Status(which) => {
            if !commands::status(&which.options()?, which.format(), &mut out)? {
                return Ok(Exit::Failed);
            }
        }
        Command::Env(which) => commands::env(&which.options()?, which.format(), &mut out)?,
    }
    Ok(Exit::Ok)
}
