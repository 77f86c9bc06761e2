//! `aqueduct graph FILE`.

use crate::exit::Exit;
use crate::file;
use anyhow::Result;
use aqueduct_topology::drawing;
use std::io::Write;
use std::path::PathBuf;

/// The form of the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For Markdown pages.
    #[default]
    Mermaid,
    /// For Graphviz.
    Dot,
    /// A picture that is whole by itself.
    Svg,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The form of the picture.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let text = match arguments.format {
        Format::Mermaid => drawing::mermaid(&topology),
        Format::Dot => drawing::dot(&topology),
        Format::Svg => drawing::svg(&topology),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}
