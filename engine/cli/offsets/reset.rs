//! `aqueduct offsets reset FILE --to ..`.

use super::group;
use super::show::{beside_rows, kafka_sources};
use crate::dlq::filter::time as parsed_time;
use crate::exit::Exit;
use crate::output::{Format, counted, say, table};
use crate::{file, stores};
use anyhow::{Result, bail};
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::offsets::reset::{self, Order, Report, Target};
use aqueduct_engine::LogRange;
use aqueduct_topology::model::{Actor, Kind, Start, Topology};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// Where to: an offset, `earliest`, `latest`, a time as RFC 3339, or so long ago, such as `2h`.
    #[arg(long, value_name = "WHERE", value_parser = place, required_unless_present = "forget")]
    to: Option<Place>,
    /// Only this partition; may be repeated.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// Only this sink; all of them unless said.
    #[arg(long, value_name = "SINK")]
    pub(super) sink: Option<String>,
    /// Only this source, where there are several.
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Although a node owns the partition: it is fenced, and reads on from there.
    #[arg(long)]
    pub(super) fence: bool,
    /// Although rows that are written already are written again.
    #[arg(long)]
    pub(super) write_again: bool,
    /// Although records that were never read are passed over; they are counted as skipped.
    #[arg(long)]
    pub(super) skip_unread: bool,
    /// Forget the offsets of a sink that the file does not have any more, so that another may feed its table.
    #[arg(long, requires = "sink", conflicts_with_all = ["to", "partition", "source"])]
    forget: bool,
    /// Say what would be done; nothing is changed.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Where to.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Offset(i64),
    Start(Start),
}

fn place(text: &str) -> Result<Place, String> {
    match (text, text.parse::<i64>()) {
        ("earliest", _) => Ok(Place::Start(Start::Earliest)),
        ("latest", _) => Ok(Place::Start(Start::Latest)),
        (_, Ok(offset)) if offset >= 0 => Ok(Place::Offset(offset)),
        (_, Ok(_)) => Err("an offset is 0 or more".into()),
        (_, Err(_)) => parsed_time(text).map(|us| Place::Start(Start::At(us))).map_err(|_| {
            format!("`{text}` is no place; write an offset, earliest, latest, 2026-11-29T08:00:00Z, or how long ago: 2h")
        }),
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    if arguments.forget {
        return forget(arguments, &topology);
    }
    let Some(to) = &arguments.to else { return stores::wrong("say where to: --to".into()) };
    let Some(kafka) = &topology.connections.kafka else {
        return stores::wrong(format!(
            "topology `{}` reads no topic: a file that is replayed is read from where its sinks stand",
            topology.name.value
        ));
    };
    let logs = Logs::new(kafka, &topology.name.value)?;
    let targets = targets(arguments, &topology, to, &logs)?;
    if !beside_rows(&topology) {
        return group::reset(arguments, &topology, &logs, targets);
    }
    let members = stores::answered(logs.members())?;
    let order = Order {
        targets,
        sinks: sinks(arguments, &topology)?,
        fence: arguments.fence,
        write_again: arguments.write_again,
        skip_unread: arguments.skip_unread,
        members,
    };
    let report = stores::block_on(async {
        let connection = stores::database(&topology, "its offsets").await?;
        let outcome = reset::reset(&connection, &topology.name.value, &order, arguments.dry_run).await;
        stores::answered(outcome)
    })?;
    match report {
        Ok(report) => print(&report, arguments, true)?,
        Err(why) => bail!("nothing was changed: {why}"),
    }
    Ok(Exit::Ok)
}

/// The sinks that move, each with whether it would write again what it has.
pub(super) fn sinks(arguments: &Arguments, topology: &Topology) -> Result<BTreeMap<String, bool>> {
    let doubles = |actor: &Actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => writer.unique.is_empty(),
        Kind::KafkaSink(_) => true,
        _ => false,
    };
    let all: BTreeMap<String, bool> = topology
        .actors
        .iter()
        .filter(|actor| actor.kind.is_sink())
        .map(|actor| (actor.id.value.clone(), doubles(actor)))
        .collect();
    let Some(wanted) = &arguments.sink else { return Ok(all) };
    match topology.actor(wanted).map(|actor| actor.id.value.clone()).or_else(|| Some(wanted.clone())) {
        Some(id) if all.contains_key(&id) => Ok([(id.clone(), all[&id])].into()),
        _ => {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            stores::wrong(format!("the topology has no sink `{wanted}`; its sinks: {}", names.join(", ")))
        }
    }
}

/// Every partition that is meant, and the offset it goes to, within what its log has.
fn targets(arguments: &Arguments, topology: &Topology, to: &Place, logs: &Logs) -> Result<Vec<Target>> {
    let all: Vec<(&Actor, &str)> = kafka_sources(topology).collect();
    let wanted = arguments.source.as_deref();
    let chosen: Vec<(&Actor, &str)> = all
        .iter()
        .filter(|(actor, _)| wanted.is_none_or(|wanted| actor.name.value == wanted))
        .copied()
        .collect();
    let names = || all.iter().map(|(actor, _)| actor.name.value.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, chosen.as_slice(), to) {
        (Some(wanted), [], _) => {
            return stores::wrong(format!("the topology has no source `{wanted}`; its sources: {}", names()));
        }
        (None, [_, _, ..], Place::Offset(_)) => {
            return stores::wrong(format!(
                "an offset is one source's: choose with --source one of {}",
                names()
            ));
        }
        _ => {}
    }
    let mut targets = Vec::new();
    for (source, topic) in chosen {
        let start = match to {
            Place::Start(start) => start.clone(),
            Place::Offset(_) => Start::Earliest,
        };
        let ranges = stores::answered(logs.ranges(topic, &start))?;
        for (partition, range) in meant(&arguments.partition, topic, &ranges)? {
            let to = match to {
                Place::Offset(offset) => within(*offset, topic, partition, range)?,
                Place::Start(_) => range.initial,
            };
            targets.push(Target { input: source.id.value.clone(), topic: topic.to_owned(), partition, to });
        }
    }
    Ok(targets)
}

fn meant(wanted: &[i32], topic: &str, ranges: &BTreeMap<i32, LogRange>) -> Result<Vec<(i32, LogRange)>> {
    if let Some(unknown) = wanted.iter().find(|partition| !ranges.contains_key(partition)) {
        let last = ranges.keys().next_back().copied().unwrap_or(0);
        return stores::wrong(format!("topic `{topic}` has no partition {unknown}; it has 0 to {last}"));
    }
    let meant = |partition: &i32| wanted.is_empty() || wanted.contains(partition);
    Ok(ranges
        .iter()
        .filter(|(partition, _)| meant(partition))
        .map(|(number, range)| (*number, *range))
        .collect())
}

fn within(offset: i64, topic: &str, partition: i32, range: LogRange) -> Result<i64> {
    if (range.start..=range.end).contains(&offset) {
        return Ok(offset);
    }
    let LogRange { start, end, .. } = range;
    stores::wrong(format!(
        "offset {offset} is not in the log of {topic}/{partition}, which reaches from {start} to {end}"
    ))
}

fn forget(arguments: &Arguments, topology: &Topology) -> Result<Exit> {
    let Some(sink) = &arguments.sink else { return stores::wrong("say which: --sink".into()) };
    if topology.actors.iter().any(|actor| actor.id.value == *sink) {
        return stores::wrong(format!(
            "the file has `{sink}`: --forget is for a sink that it does not have any more"
        ));
    }
    if arguments.dry_run {
        say!("would forget every offset of `{sink}`; nothing was changed");
        return Ok(Exit::Ok);
    }
    let forgotten = stores::block_on(async {
        let connection = stores::database(topology, "its offsets").await?;
        stores::answered(reset::forget(&connection, &topology.name.value, sink).await)
    })?;
    if forgotten == 0 {
        bail!("no offset of a sink `{sink}` is stored; `aqueduct offsets show FILE` lists them");
    }
    writeln!(std::io::stdout(), "forgot {} of `{sink}`", counted(forgotten as usize, "offset"))?;
    Ok(Exit::Ok)
}

/// `letters`: whether it is known what becomes of the dead letters there.
pub(super) fn print(report: &Report, arguments: &Arguments, letters: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if arguments.format == Format::Json {
        let mut json = serde_json::to_value(report)?;
        json["dry_run"] = arguments.dry_run.into();
        writeln!(out, "{json:#}")?;
        return Ok(());
    }
    let cells = |one: &reset::Move| {
        [
            ("sink", one.sink.clone()),
            ("input", one.input.clone()),
            ("topic", one.topic.clone()),
            ("partition", one.partition.to_string()),
            ("from", one.from.to_string()),
            ("to", one.to.to_string()),
            ("again", one.again.to_string()),
            ("skipped", one.skipped.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    };
    table(&report.moves.iter().map(cells).collect::<Vec<_>>(), &mut out)?;
    let Report { fenced, letters_judged_again, letters_kept, .. } = report;
    if letters {
        writeln!(
            out,
            "dead letters there: {letters_judged_again} go with the next claim, for their records are judged again; \
             {letters_kept} stay"
        )?;
    }
    if !fenced.is_empty() {
        writeln!(out, "fenced: {}", fenced.join(", "))?;
    }
    out.flush()?;
    if arguments.dry_run {
        say!("nothing was changed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_offsets_words_and_times() {
        assert_eq!(place("42"), Ok(Place::Offset(42)));
        assert_eq!(place("earliest"), Ok(Place::Start(Start::Earliest)));
        assert_eq!(place("1970-01-01T00:00:02Z"), Ok(Place::Start(Start::At(2_000_000))));
        assert!(matches!(place("90s"), Ok(Place::Start(Start::At(_)))));
        for wrong in ["-1", "soon", "", "1.5"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_offset_is_one_that_the_log_has_or_its_end() {
        let range = LogRange { start: 10, end: 20, initial: 10 };
        assert_eq!(within(20, "md", 3, range).unwrap(), 20);
        for beyond in [9, 21] {
            let error = within(beyond, "md", 3, range).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("offset {beyond} is not in the log of md/3, which reaches from 10 to 20")
            );
        }
        let ranges = [(0, range), (1, range)].into();
        assert_eq!(meant(&[], "md", &ranges).unwrap().len(), 2);
        assert_eq!(
            meant(&[2], "md", &ranges).unwrap_err().to_string(),
            "topic `md` has no partition 2; it has 0 to 1"
        );
    }
}
