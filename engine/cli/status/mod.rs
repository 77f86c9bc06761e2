//! `aqueduct status`: how a node is, as a report: health, ingest, lag, cache, quality, drills, versions, known gaps.
//!
//! As Markdown it is a status page that anyone can host; as JSON an artefact that CI keeps. Deliberately absent: a history.
//! One report says how it was at one moment; Prometheus keeps the rest.

mod markdown;
mod report;

use crate::exit::Exit;
use crate::http::Node;
use anyhow::Result;
use report::Report;
use std::io::Write;

/// The form of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A page for people.
    #[default]
    Markdown,
    /// For programs.
    Json,
}

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    node: Node,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Exit 0 as long as the node answers, ready or not: an outage is no reason to be killed.
    #[arg(long)]
    alive: bool,
}

/// Exit 0 if the node is ready (or alive, where that is asked), 1 if it is not; the report is printed either way.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let report = Report::of(&arguments.node)?;
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Form::Markdown => write!(out, "{}", markdown::page(&report))?,
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(if report.health.ready || arguments.alive { Exit::Ok } else { Exit::Failed })
}
