//! `aqueduct schema`: the language, for editors and for people.

use crate::exit::Exit;
use anyhow::Result;
use aqueduct_topology::schema;
use std::io::Write;

/// Who it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A JSON Schema, for YAML language servers.
    #[default]
    Json,
    /// The reference page.
    Markdown,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Who it is for.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let text = match arguments.format {
        Format::Json => format!("{:#}\n", schema::json()),
        Format::Markdown => schema::markdown(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}
