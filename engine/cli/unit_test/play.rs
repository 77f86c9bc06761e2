//! Plays one test: sends, faults, and a look at everything when it is over.

use crate::rehearsal::Rehearsal;
use anyhow::{Context, Result};
use aqueduct_actors::replay_source::Message;
use aqueduct_actors::stand_in::{Content, Crash, RecordTimes, StandIns};
use aqueduct_engine::application::Handle;
use aqueduct_engine::ledger::Counts;
use aqueduct_engine::registry::ActorView;
use aqueduct_engine::{Class, Clock, Error, Letter, Position};
use aqueduct_topology::model::{Fault, FaultKind, Record, Test, TestRecord, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When a test begins whose records have no time: 2026-01-01T00:00:00Z, so that every run is alike.
const BEGINS_MS: i64 = 1_767_225_600_000;
/// How often it is looked whether everything is decided.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A test without `lasts` is judged so long after its last event at the latest, in virtual time.
const SETTLING_MAX: Duration = Duration::from_secs(600);

/// What is seen when a test is over.
pub(super) struct Seen {
    pub(super) contents: BTreeMap<String, Content>,
    pub(super) letters: Vec<Letter>,
    pub(super) actors: Vec<ActorView>,
    pub(super) ledger: Counts,
    pub(super) positions: Vec<Position>,
}

/// One thing that happens.
enum Event {
    Send {
        to: String,
        messages: Vec<Message>,
    },
    Fault(Fault),
    /// An outage ends.
    Healed(String),
}

/// Runs `test`; files are looked for beside the topology, in `folder`.
pub(super) fn play(topology: &Arc<Topology>, test: &Test, folder: &Path) -> Result<Seen> {
    let mut events = Vec::new();
    let mut partitions: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    let mut earliest: Option<i64> = None;
    for send in &test.sends {
        let messages = messages(topology, &send.to.value, &send.records, folder)?;
        let used = messages.iter().map(|message| message.partition.unwrap_or(0));
        partitions.entry(send.to.value.clone()).or_default().extend(used);
        earliest = messages.iter().filter_map(|message| message.time_ms).chain(earliest).min();
        events.push((send.at, Event::Send { to: send.to.value.clone(), messages }));
    }
    for fault in &test.faults {
        events.push((fault.at, Event::Fault(fault.clone())));
        if let Some(lasting) = fault.lasting {
            events.push((fault.at + lasting, Event::Healed(fault.actor.value.clone())));
        }
    }
    events.sort_by_key(|(at, _)| *at);
    let starts_us = earliest.unwrap_or(BEGINS_MS).saturating_mul(1000);
    let rehearsal = Rehearsal { topology: topology.clone(), starts_us, partitions };
    let judged = (test.lasts, test.last_event());
    let (_, seen) = rehearsal.run(async |handle, around, clock| {
        let seen = act(&handle, &around, &clock, events, judged).await;
        handle.abort().await;
        seen
    })?;
    Ok(seen?)
}

async fn act(
    handle: &Handle,
    around: &StandIns,
    clock: &Clock,
    events: Vec<(Duration, Event)>,
    (lasts, last_event): (Option<Duration>, Duration),
) -> Result<Seen, Error> {
    let began = clock.now();
    let until = |at: Duration| (began + at).saturating_duration_since(clock.now());
    let end = lasts.unwrap_or(last_event + SETTLING_MAX);
    for (at, event) in events.into_iter().filter(|(at, _)| *at <= end) {
        if !until(at).is_zero() {
            clock.sleep(until(at)).await;
        }
        happen(around, clock, event)?;
    }
    if lasts.is_some() {
        clock.sleep(until(end)).await;
    } else {
        while !until(end).is_zero() {
            clock.sleep(LOOK_EVERY).await;
            if is_decided(handle, around).await? {
                break;
            }
        }
    }
    Ok(Seen {
        contents: around.contents().into_iter().collect(),
        letters: around.letters(),
        actors: handle.registry().actors(),
        ledger: handle.registry().ledger().totals(),
        positions: around.offsets().positions().await?,
    })
}

fn happen(around: &StandIns, clock: &Clock, event: Event) -> Result<(), Error> {
    match event {
        Event::Send { to, messages } => {
            let feed = around.feed(&to).expect("invariant: checked to be a source");
            let now_ms = clock.wall_us().div_euclid(1000);
            for message in messages {
                feed.send(Message { time_ms: message.time_ms.or(Some(now_ms)), ..message });
            }
        }
        Event::Healed(sink) => around.set_outage(&sink, None)?,
        Event::Fault(fault) => {
            let outage = |class, message: &'static str| {
                around.set_outage(&fault.actor.value, Some(Error::new(class, message)))
            };
            match fault.kind {
                FaultKind::Crash => around.crash(&fault.actor.value, Crash::Error),
                FaultKind::Panic => around.crash(&fault.actor.value, Crash::Panic),
                FaultKind::Revoke => around.revoke(&fault.actor.value),
                FaultKind::RedisDown => outage(Class::Transient, "redis is away")?,
                FaultKind::SinkTimeout => outage(Class::Transient, "no answer in time")?,
                FaultKind::DiskFull => outage(Class::Capacity, "no space left on device")?,
            }
        }
    }
    Ok(())
}

/// Whether every sink has come to the end of what was sent, and everybody is well.
async fn is_decided(handle: &Handle, around: &StandIns) -> Result<bool, Error> {
    if !handle.registry().not_ready().is_empty() || !handle.registry().ledger().is_idle() {
        return Ok(false);
    }
    let lengths = around.lengths();
    let positions = around.offsets().positions().await?;
    let is_at_end = |position: &Position| {
        let partition = (position.key.source.to_string(), position.key.partition as u32);
        lengths.get(&partition).is_none_or(|length| position.next_offset >= *length)
    };
    let claimed = |source: &str| positions.iter().any(|position| &*position.key.source == source);
    Ok(positions.iter().all(is_at_end)
        && lengths.iter().all(|((source, _), length)| *length == 0 || claimed(source)))
}

fn messages(
    topology: &Topology,
    source: &str,
    records: &[TestRecord],
    folder: &Path,
) -> Result<Vec<Message>> {
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
    RecordTimes::new(topology, source)?.fill(&mut messages);
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
