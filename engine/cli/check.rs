//! `aqueduct check FILE`.

use crate::exit::Exit;
use crate::settings::Config;
use crate::{file, output};
use anyhow::Result;
use aqueduct_topology::{has_errors, to_json, to_sarif};
use std::io::Write;
use std::path::PathBuf;

/// The form of the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, on standard error.
    #[default]
    Text,
    /// `{"diagnostics": [..]}`.
    Json,
    /// SARIF 2.1.0, for code review tools.
    Sarif,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The form of the findings.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    config: Config,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let budget = arguments.config.memory_budget_bytes()?;
    let loaded = file::read(&arguments.file)?.within(budget);
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => {
            output::findings(&loaded.source, &loaded.diagnostics);
            if let Some(topology) = loaded.topology.as_ref().filter(|_| !has_errors(&loaded.diagnostics)) {
                writeln!(
                    out,
                    "{}: {} actors, nothing wrong",
                    arguments.file.display(),
                    topology.actors.len()
                )?;
            }
        }
        Format::Json => writeln!(out, "{}", to_json(&loaded.source, &loaded.diagnostics))?,
        Format::Sarif => writeln!(out, "{}", to_sarif(&loaded.source, &loaded.diagnostics))?,
    }
    Ok(if has_errors(&loaded.diagnostics) { Exit::Failed } else { Exit::Ok })
}
