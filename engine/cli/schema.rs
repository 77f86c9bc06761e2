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

/// What it describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// A topology file.
    #[default]
    Topology,
    /// A node's settings, engine.yaml.
    Engine,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which file's schema; the reference page is about both.
    #[arg(long, value_enum, default_value_t)]
    of: Of,
    /// Who it is for.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let text = match (arguments.format, arguments.of) {
        (Format::Json, Of::Topology) => format!("{:#}\n", schema::json()),
        (Format::Json, Of::Engine) => format!("{:#}\n", schema::settings_json()),
        (Format::Markdown, _) => schema::markdown(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}
