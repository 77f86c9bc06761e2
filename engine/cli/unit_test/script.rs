//! A test as a list of things that happen, over a topology with the doors they need.

use crate::rehearsal::Doors;
use anyhow::{Context, Result};
use aqueduct_actors::replay_source::Message;
use aqueduct_actors::stand_in::{Declared, RecordTimes};
use aqueduct_topology::model::{Fault, FaultKind, Record, Table, Test, TestRecord, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One thing that happens.
pub(super) enum Event {
    /// Messages arrive at a source.
    Send { to: String, messages: Vec<Message> },
    /// Something goes wrong.
    Fault(Fault),
    /// It is well again.
    Healed(Fault),
}

/// See the module.
pub(super) struct Script {
    pub(super) topology: Arc<Topology>,
    /// When, from the start.
    pub(super) events: Vec<(Duration, Event)>,
    /// The partitions that each source needs.
    pub(super) partitions: BTreeMap<String, BTreeSet<u32>>,
    /// What the tables behind writers are like.
    pub(super) tables: Vec<(String, Declared)>,
    /// The least time of what is sent, milliseconds since 1970 UTC.
    pub(super) earliest_ms: Option<i64>,
    /// Whether partitions go to another node.
    pub(super) has_other: bool,
}

impl Script {
    pub(super) fn of(topology: &Topology, test: &Test, folder: &Path) -> Result<Self> {
        let mut doors = Doors::of(topology);
        let mut events = Vec::new();
        let mut partitions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        let mut earliest_ms: Option<i64> = None;
        for send in &test.sends {
            let to = doors.to(&send.to.value);
            let messages = messages(topology, &send.to.value, &send.records, folder)?;
            let used = messages.iter().map(|message| message.partition.unwrap_or(0));
            partitions.entry(to.clone()).or_default().extend(used);
            earliest_ms = messages.iter().filter_map(|message| message.time_ms).chain(earliest_ms).min();
            events.push((send.at, Event::Send { to, messages }));
        }
        for fault in &test.faults {
            events.push((fault.at, Event::Fault(fault.clone())));
            events.extend(fault.lasting.map(|lasting| (fault.at + lasting, Event::Healed(fault.clone()))));
        }
        let moves = |fault: &Fault| match fault.kind {
            FaultKind::Takeover | FaultKind::Revoke => fault.lasting.is_some(),
            _ => false,
        };
        Ok(Self {
            topology: Arc::new(doors.into_topology()),
            events,
            partitions,
            tables: test
                .tables
                .iter()
                .map(|(writer, table)| (writer.value.clone(), declared(table)))
                .collect(),
            earliest_ms,
            has_other: test.faults.iter().any(moves),
        })
    }
}

fn declared(table: &Table) -> Declared {
    let names =
        |names: &[aqueduct_topology::Spanned<String>]| names.iter().map(|name| name.value.clone()).collect();
    Declared {
        columns: table.columns.iter().map(|(name, kind)| (name.value.clone(), *kind)).collect(),
        not_null: names(&table.not_null),
        unique: names(&table.unique),
        check: table.check.iter().map(|(name, check)| (name.value.clone(), check.text.clone())).collect(),
    }
}

fn messages(topology: &Topology, to: &str, records: &[TestRecord], folder: &Path) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for record in records {
        match record {
            TestRecord::Record(record) => messages.push(message(&record.value)),
            TestRecord::File(path) => {
                let path = folder.join(&path.value);
                let bytes =
                    std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                let lines =
                    bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                let value = |line: &[u8]| Message { value: Some(line.to_vec()), ..Message::default() };
                messages.extend(lines.filter(|line| !line.trim_ascii().is_empty()).map(value));
            }
        }
    }
    RecordTimes::new(topology, to)?.fill(&mut messages);
    Ok(messages)
}

fn message(record: &Record) -> Message {
    let headers = record.headers.iter();
    Message {
        key: record.key.as_ref().map(|key| key.clone().into_bytes()),
        value: record.value.clone(),
        time_ms: record.time_us.map(|time_us| time_us.div_euclid(1000)),
        headers: headers
            .map(|(name, value)| (name.as_str().into(), Some(value.clone().into_bytes())))
            .collect(),
        partition: Some(record.partition.unwrap_or(0)),
    }
}
