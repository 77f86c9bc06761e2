//! `aqueduct try FILE`: what a topology would make of some records, without any service.

mod records;
mod report;

use crate::exit::Exit;
use crate::output::Format;
use crate::rehearsal::{Rehearsal, Stage};
use crate::{file, output};
use anyhow::Result;
use aqueduct_actors::stand_in::CALM;
use aqueduct_topology::model::Topology;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Records, one a line; `-` is standard input, and so is nothing.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Lines are `{ value | raw, key, partition, time, headers }` instead of values.
    #[arg(long)]
    envelope: bool,
    /// Read at most so many records.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The source that receives the records; needed where the topology has several.
    #[arg(long, value_name = "ACTOR")]
    to: Option<String>,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = Arc::new(file::read_unconnected(&arguments.file)?.0.accepted()?);
    let source = match source(&topology, arguments.to.as_deref()) {
        Ok(source) => source,
        Err(why) => {
            output::say!("error: {why}");
            return Ok(Exit::Usage);
        }
    };
    let records = match records::read(&topology, &source, arguments)? {
        Ok(records) => records,
        Err(why) => {
            output::say!("error: {why}");
            return Ok(Exit::Usage);
        }
    };
    let rehearsal = Rehearsal {
        topology: topology.clone(),
        starts_us: records.earliest_ms.saturating_mul(1000),
        partitions: [(source.clone(), records.partitions())].into(),
        seed: CALM,
        has_other: false,
    };
    let (outcome, around) = rehearsal.run(async |Stage { handle, around, .. }| {
        let feed = around.feed(&source).expect("invariant: a source has a feed").clone();
        records.messages.into_iter().for_each(|message| {
            feed.send(message);
        });
        handle.drain_when_idle(Duration::ZERO).await;
        around
    })?;
    if outcome.exit_code != 0 {
        outcome.reasons.iter().for_each(|reason| output::say!("error: {reason}"));
        return Ok(Exit::Runtime(outcome.exit_code));
    }
    report::print(&topology, &around, &outcome, arguments.format)?;
    Ok(Exit::Ok)
}

/// The source that the records go to.
fn source(topology: &Topology, wanted: Option<&str>) -> Result<String, String> {
    let sources: Vec<&str> = topology
        .actors
        .iter()
        .filter(|actor| actor.kind.is_source())
        .map(|actor| actor.name.value.as_str())
        .collect();
    match (wanted, sources.as_slice()) {
        (Some(wanted), _) if sources.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), _) => {
            Err(format!("`{wanted}` is no source of this topology; its sources: {}", sources.join(", ")))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err("the topology has no source to give records to".to_owned()),
        (None, _) => {
            Err(format!("the topology has several sources ({}); choose one with --to", sources.join(", ")))
        }
    }
}
