//! Lines into records, each with a time: its own, else that of the event it tells of, else that of the one before it.

use super::Arguments;
use anyhow::Result;
use aqueduct_actors::replay_source::Message;
use aqueduct_actors::stand_in::RecordTimes;
use aqueduct_engine::Clock;
use aqueduct_topology::model::{Kind, ReplayFormat, ReplaySource, TimeUnit, Topology};
use aqueduct_topology::{Span, Spanned};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal};

/// What is tried.
pub(super) struct Records {
    pub(super) messages: Vec<Message>,
    /// The least time among them, milliseconds since 1970 UTC; the present where there is none.
    pub(super) earliest_ms: i64,
}

impl Records {
    /// Those the records name.
    pub(super) fn partitions(&self) -> BTreeSet<u32> {
        self.messages.iter().filter_map(|message| message.partition).collect()
    }
}

/// Reads the records for `source`. The inner error is one of usage.
pub(super) fn read(
    topology: &Topology,
    source: &str,
    arguments: &Arguments,
) -> Result<Result<Records, String>> {
    let options = options(topology, source, arguments.envelope);
    let input: Box<dyn BufRead> = match arguments.input.as_deref().filter(|path| path.as_os_str() != "-") {
        None => {
            if std::io::stdin().is_terminal() {
                crate::output::say!("reading records from the terminal, one a line; end with Ctrl-D");
            }
            Box::new(std::io::stdin().lock())
        }
        Some(path) => match File::open(path) {
            Ok(file) => Box::new(BufReader::new(file)),
            Err(error) => return Ok(Err(format!("cannot open `{}`: {error}", path.display()))),
        },
    };
    let mut messages = Vec::new();
    let lines = input.split(b'\n').take_while({
        let limit = arguments.limit.unwrap_or(usize::MAX);
        let mut records = 0;
        move |line| {
            records += usize::from(line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty()));
            records <= limit
        }
    });
    for line in lines {
        let line = match line {
            Ok(line) => line,
            Err(error) => return Ok(Err(format!("cannot read record {}: {error}", messages.len() + 1))),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.trim_ascii().is_empty() {
            continue;
        }
        let mut message = Message::read(&options, line);
        if let Some(Kind::ReplaySource(options)) = topology.actor(source).map(|actor| &actor.kind) {
            message.partition = Some(message.partition(messages.len() as i64, options.partitions));
        }
        message.partition.get_or_insert(0);
        messages.push(message);
    }
    let earliest_ms = set_times(topology, source, &mut messages)?;
    Ok(Ok(Records { messages, earliest_ms }))
}

/// How lines are read: as the source itself says, if it reads files.
fn options(topology: &Topology, source: &str, envelope: bool) -> ReplaySource {
    let format = if envelope { ReplayFormat::Envelope } else { ReplayFormat::Jsonl };
    match topology.actor(source).map(|actor| &actor.kind) {
        Some(Kind::ReplaySource(options)) => ReplaySource { format, ..options.clone() },
        _ => ReplaySource {
            file: Spanned::new("-".into(), Span::default()),
            format,
            topic: source.to_owned(),
            time: None,
            time_unit: TimeUnit::Millis,
            key: None,
            speed: None,
            partitions: 1,
            repeat: Some(1),
        },
    }
}

/// Gives every message a time; the least of them.
fn set_times(topology: &Topology, source: &str, messages: &mut [Message]) -> Result<i64> {
    RecordTimes::new(topology, source)?.fill(messages);
    let earliest = messages.iter().filter_map(|message| message.time_ms).min();
    let earliest = earliest.unwrap_or_else(|| Clock::system().wall_us().div_euclid(1000));
    let mut before = earliest;
    for message in messages {
        before = *message.time_ms.get_or_insert(before);
    }
    Ok(earliest)
}
