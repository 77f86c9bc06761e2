//! `aqueduct offsets show FILE`.
//!
//! What one server does not tell, the other's answer is printed without: the exit says that something was away.

use super::group::GROUP;
use crate::exit::{self, Exit};
use crate::output::{Format, say, second, table, time};
use crate::{file, stores};
use anyhow::Result;
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::offsets::{Stand, stands};
use aqueduct_engine::{Clock, LogRange};
use aqueduct_topology::model::{Actor, GroupProtocol, Kind, Start, Topology};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let mut exit = Exit::Ok;
    let logs = match logs(&topology) {
        Ok(logs) => logs,
        Err(error) if exit::of(&error) == Exit::Unavailable && beside_rows(&topology) => {
            say!("error: {error:#}; the logs' ends are left out");
            exit = Exit::Unavailable;
            BTreeMap::new()
        }
        Err(error) => return Err(error),
    };
    let lines: Vec<Line> = if beside_rows(&topology) {
        stores::block_on(async {
            let connection = stores::database(&topology, "its offsets").await?;
            let stored = stores::answered(stands(&connection, &topology.name.value).await)?;
            Ok(stored.into_iter().map(|stand| Line::stored(stand, &topology, &logs)).collect())
        })?
    } else {
        of_group(&topology, &logs)?
    };
    print(&lines, arguments.format)?;
    Ok(exit)
}

/// Whether offsets lie beside rows, not in the group.
pub(super) fn beside_rows(topology: &Topology) -> bool {
    topology.actors.iter().any(|actor| matches!(actor.kind, Kind::TimescaleWriter(_)))
}

/// The sources that read topics, with their topics.
pub(super) fn kafka_sources(topology: &Topology) -> impl Iterator<Item = (&Actor, &str)> {
    topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::KafkaSource(source) => Some((actor, source.topic.value.as_str())),
        _ => None,
    })
}

/// By topic and partition.
type Ranges = BTreeMap<(String, i32), LogRange>;

fn logs(topology: &Topology) -> Result<Ranges> {
    let mut ranges = Ranges::new();
    let Some(kafka) = &topology.connections.kafka else { return Ok(ranges) };
    let logs = Logs::new(kafka, &topology.name.value)?;
    for (_, topic) in kafka_sources(topology) {
        let found = stores::answered(logs.ranges(topic, &Start::Earliest))?;
        ranges.extend(found.into_iter().map(|(partition, range)| ((topic.to_owned(), partition), range)));
    }
    Ok(ranges)
}

/// What is shown of one sink in one partition.
struct Line {
    stand: Stand,
    log: Option<LogRange>,
    /// What is unusual about it.
    note: &'static str,
}

impl Line {
    fn stored(stand: Stand, topology: &Topology, logs: &Ranges) -> Self {
        let log = logs.get(&(stand.topic.clone(), stand.partition)).copied();
        let has = |id: &str| topology.actors.iter().any(|actor| actor.id.value == id);
        let is_gate = |id: &str| topology.identified(id).is_some_and(|actor| actor.kind.is_gate());
        let note = match log {
            _ if is_gate(&stand.input) => "verdicts of a gate, in no log",
            _ if stand.input.starts_with(aqueduct_actors::dlq::SOURCE_PREFIX) => "replay of dead letters",
            _ if stand.input.starts_with(aqueduct_actors::backfill::SOURCE_PREFIX) => "backfill",
            _ if !has(&stand.input) => "its source is not in the file any more",
            _ if !has(&stand.sink) => "the sink is not in the file any more",
            Some(log) if stand.next_offset > log.end => "beyond the end of the log",
            Some(log) if stand.next_offset < log.start => "below the start of the log",
            _ => "",
        };
        Self { stand, log, note }
    }

    fn lag(&self) -> Option<i64> {
        self.log.map(|log| (log.end - self.stand.next_offset.max(log.start)).max(0))
    }
}

/// A topology without rows keeps one offset per partition, for all its sinks, in the group.
fn of_group(topology: &Topology, logs: &Ranges) -> Result<Vec<Line>> {
    let Some(kafka) = &topology.connections.kafka else { return Ok(Vec::new()) };
    let asked = Logs::new(kafka, &topology.name.value)?;
    let members = stores::answered(asked.members())?;
    let mut lines = Vec::new();
    for (source, topic) in kafka_sources(topology) {
        let partitions: Vec<i32> =
            logs.keys().filter(|(known, _)| known == topic).map(|(_, partition)| *partition).collect();
        let committed = stores::answered(asked.committed(topic, &partitions))?;
        let told = !matches!(&source.kind, Kind::KafkaSource(source) if source.group_protocol == GroupProtocol::Consumer);
        let note = if told { "" } else { "a group of this protocol does not tell its members" };
        for (partition, committed) in partitions.into_iter().zip(committed) {
            let Some(next_offset) = committed else { continue };
            let stand = Stand {
                sink: GROUP.into(),
                input: source.id.value.clone(),
                topic: topic.to_owned(),
                partition,
                epoch: 0,
                node: members.join(" "),
                owned: !members.is_empty(),
                next_offset,
                required: true,
                target: String::new(),
                skipped: 0,
                updated_us: 0,
            };
            let log = logs.get(&(topic.to_owned(), partition)).copied();
            lines.push(Line { stand, log, note });
        }
    }
    Ok(lines)
}

fn print(lines: &[Line], format: Format) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            writeln!(out, "{:#}", lines.iter().map(line_json).collect::<Value>())?;
        }
        Format::Text => {
            let now_us = Clock::system().wall_us();
            table(&lines.iter().map(|line| cells(line, now_us)).collect::<Vec<_>>(), &mut out)?;
            if lines.is_empty() {
                say!("no offset is stored: nothing of this topology has run yet");
            }
        }
    }
    Ok(())
}

fn line_json(line: &Line) -> Value {
    let mut json = serde_json::to_value(&line.stand).expect("invariant: a stand has only texts and numbers");
    json["log_start"] = line.log.map(|log| log.start).into();
    json["log_end"] = line.log.map(|log| log.end).into();
    json["lag"] = line.lag().into();
    json["updated_at"] =
        if line.stand.updated_us > 0 { time(line.stand.updated_us).into() } else { Value::Null };
    json["note"] = if line.note.is_empty() { Value::Null } else { json!(line.note) };
    json
}

fn cells(line: &Line, now_us: i64) -> Vec<(String, String)> {
    let stand = &line.stand;
    let number = |value: Option<i64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let owner = match (stand.owned, stand.node.is_empty()) {
        (true, _) => stand.node.clone(),
        (false, true) => String::new(),
        (false, false) => format!("({})", stand.node),
    };
    let age = (now_us - stand.updated_us).max(0) / 1_000_000;
    let updated = match stand.updated_us {
        0 => String::new(),
        us if age > 86_400 => second(us),
        _ => format!("{age} s ago"),
    };
    [
        ("sink", stand.sink.clone()),
        ("input", stand.input.clone()),
        ("topic", stand.topic.clone()),
        ("partition", stand.partition.to_string()),
        ("epoch", stand.epoch.to_string()),
        ("owner", owner),
        ("next", stand.next_offset.to_string()),
        ("log start", number(line.log.map(|log| log.start))),
        ("log end", number(line.log.map(|log| log.end))),
        ("lag", number(line.lag())),
        ("skipped", stand.skipped.to_string()),
        ("moved", updated),
        ("note", line.note.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
