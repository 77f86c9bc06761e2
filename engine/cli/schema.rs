//! `aqueduct schema`: the language, settings and metrics, for editors, programs and people.

use crate::exit::Exit;
use anyhow::Result;
use aqueduct_engine::telemetry::catalogue;
use aqueduct_topology::schema;
use std::io::Write;

/// Who it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A JSON Schema, for YAML language servers; of metrics, a list.
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
    /// What a node's /metrics tells.
    Metrics,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Which file's schema, or the metrics; the reference page is about both files.
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
        (Format::Json, Of::Metrics) => format!("{:#}\n", catalogue::json()),
        (Format::Markdown, Of::Metrics) => catalogue::markdown(),
        (Format::Markdown, Of::Topology | Of::Engine) => schema::markdown(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}
