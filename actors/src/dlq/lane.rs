//! A part of a topology through which letters go again: one entry, and the sinks that lack what comes of it.
//!
//! Pure. A letter of a normalizer enters there and reaches every sink below; one of a sink enters at the normalizer
//! before it, so that the rules of today judge the record anew, and reaches that sink alone: the others have it, whichever
//! normalizer it is said to enter at. Between normalizer and sinks stands an actor that lets only those rows pass that were
//! rejected: the others of the record are where they belong.

use super::SOURCE_PREFIX;
use crate::lane::part::{self, named, plain, renamed};
use aqueduct_topology::model::{Actor, Kind, Policy, Topology};
use std::sync::Arc;

/// The topic that replayed records claim to come from.
pub(super) const TOPIC: &str = "dead_letter";
/// The name of the actor that lets only the rejected rows pass.
pub const ROWS: &str = "dlq:rows";

/// See the module.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The part of the topology, under its name.
    pub topology: Arc<Topology>,
    /// Name and identity of the source.
    pub source: Arc<str>,
    /// The identity of the normalizer that judges.
    pub normalizer: Arc<str>,
    /// The identities of the sinks without which a letter is not done.
    pub deciding: Vec<String>,
    /// Whether a record has one row at most here: then it does not matter which was rejected.
    pub single_row: bool,
}

/// Where letters of `rejecter`, whose records came from the source `source`, enter `topology`. `to` names another entry;
/// the sinks in `done` have what is replayed already. The error says what to do.
pub(super) fn lane(
    topology: &Topology,
    (rejecter, source): (&str, &str),
    to: Option<&str>,
    done: &[String],
) -> Result<Lane, String> {
    let entry = entry(topology, rejecter, to)?;
    let (normalizer, sinks) = match &entry.kind {
        Kind::Normalizer(_) => (entry, sinks_below(topology, entry, rejecter)?),
        kind if kind.is_sink() => (normalizer_before(topology, entry, source)?, vec![entry]),
        kind => {
            let (name, kind) = (&entry.name.value, kind.name());
            return Err(format!(
                "letters cannot enter at `{name}`, a {kind}: name a normalizer, or a sink to reach it alone"
            ));
        }
    };
    let Kind::Normalizer(rules) = &normalizer.kind else {
        return Err(format!("`{}` reads no rows of a normalizer", entry.name.value));
    };
    let id = |sink: &&Actor| sink.id.value.clone();
    let required: Vec<String> = sinks.iter().filter(|sink| sink.policy == Policy::Required).map(id).collect();
    let deciding = if required.is_empty() { sinks.iter().map(id).collect() } else { required };
    let single_row = rules.match_mode == aqueduct_topology::model::MatchMode::First
        && rules.cases.iter().all(|case| case.explode.is_none());
    let left: Vec<&Actor> = sinks.into_iter().filter(|sink| !done.contains(&sink.id.value)).collect();
    let source = format!("{SOURCE_PREFIX}{}", topology.name.value);
    Ok(Lane {
        topology: Arc::new(part(topology, &source, normalizer, &left)),
        source: source.into(),
        normalizer: normalizer.id.value.as_str().into(),
        deciding,
        single_row,
    })
}

/// The actor at which letters enter.
fn entry<'t>(topology: &'t Topology, rejecter: &str, to: Option<&str>) -> Result<&'t Actor, String> {
    let names = || {
        let entries = topology.actors.iter();
        let entries =
            entries.filter(|actor| matches!(actor.kind, Kind::Normalizer(_)) || actor.kind.is_sink());
        entries.map(|actor| actor.name.value.as_str()).collect::<Vec<_>>().join(", ")
    };
    if let Some(to) = to {
        let found = topology.actor(to).or_else(|| topology.identified(to));
        return found
            .ok_or_else(|| format!("the topology has no actor `{to}`; letters can enter at: {}", names()));
    }
    signer(topology, rejecter).ok_or_else(|| {
        format!(
            "actor `{rejecter}` rejected these letters and is not in the file any more; say where they enter: --to one of {}",
            names()
        )
    })
}

/// The actor of the file that signs letters so: with its identity; formerly with its name, and a clone's number behind it.
fn signer<'t>(topology: &'t Topology, rejecter: &str) -> Option<&'t Actor> {
    let name = rejecter.split_once('#').map_or(rejecter, |(name, _)| name);
    topology.identified(rejecter).or_else(|| topology.actor(name))
}

/// Those that lack what `rejecter` rejected, of the sinks that read from `entry`.
fn sinks_below<'t>(
    topology: &'t Topology,
    entry: &'t Actor,
    rejecter: &str,
) -> Result<Vec<&'t Actor>, String> {
    let mut readers = topology.readers(&entry.name.value);
    let Some(sink) = signer(topology, rejecter).filter(|signer| signer.kind.is_sink()) else {
        return Ok(readers.collect());
    };
    match readers.find(|reader| reader.name.value == sink.name.value) {
        Some(reader) => Ok(vec![reader]),
        None => Err(format!(
            "`{}` rejected these letters and reads nothing from `{}`, whose sinks would have them twice: name a normalizer \
             that it reads from, or another sink to reach that one alone",
            sink.name.value, entry.name.value
        )),
    }
}

/// The normalizer through which records of `source` reach `sink`.
fn normalizer_before<'t>(topology: &'t Topology, sink: &'t Actor, source: &str) -> Result<&'t Actor, String> {
    let above: Vec<&Actor> = sink.from.iter().filter_map(|from| topology.actor(&from.value)).collect();
    let reads = |actor: &&&Actor| {
        let mut sources = actor.from.iter().filter_map(|from| topology.actor(&from.value));
        sources.any(|from| from.id.value == source)
    };
    match above.as_slice() {
        [only] => Ok(*only),
        several => several.iter().find(reads).copied().ok_or_else(|| {
            format!(
                "sink `{}` reads from several, and none of them from the source `{source}` of these letters; \
                 say where they enter: --to NORMALIZER",
                sink.name.value
            )
        }),
    }
}

/// The topology with nothing but this way through it.
fn part(topology: &Topology, source: &str, normalizer: &Actor, sinks: &[&Actor]) -> Topology {
    let mut actors: Vec<Actor> = part::letters(topology).into_iter().collect();
    actors.push(part::source(normalizer, source, TOPIC));
    actors.push(plain(normalizer, vec![named(source)]));
    // It is a normalizer to whoever asks for the columns of a sink; what it does is said where it is made.
    actors.push(renamed(normalizer, ROWS, vec![normalizer.name.clone()]));
    actors.extend(sinks.iter().map(|sink| plain(sink, vec![named(ROWS)])));
    part::part(topology, actors)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: &str = r#"
topology: t
connections: { kafka: { bootstrap: "k:9092" }, timescale: { url: "postgres://u@h/d" }, redis: { url: "redis://r" } }
actors:
  a: { kind: kafka_source, topic: a }
  b: { kind: kafka_source, topic: b }
  one: { kind: normalizer, from: a, fields: { ts: { type: timestamp, path: /t, unit: ms }, x: { type: int64, path: /x } } }
  two: { kind: normalizer, from: b, explode: /l, fields: { ts: { type: timestamp, path: /t, unit: ms }, x: { type: int64, path: /x } } }
  history: { kind: timescale_writer, from: [one, two], table: m.t, id: h }
  other: { kind: timescale_writer, from: one, table: m.o }
  cache: { kind: redis_cache, from: one, key: "k:{x}", value: [x], order_by: ts, policy: best_effort }
"#;

    fn topology() -> Topology {
        let source = aqueduct_topology::Source::new("t.yaml", TOPOLOGY);
        let (topology, diagnostics) = aqueduct_topology::load(&source, &|_| None);
        topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &diagnostics, false)))
    }

    fn names(lane: &Lane) -> Vec<String> {
        lane.topology.actors.iter().map(|actor| actor.name.value.clone()).collect()
    }

    #[test]
    fn a_normalizers_letters_reach_every_sink_below_it_and_a_sinks_only_that_sink() {
        let lane =
            |rejecter, source| super::lane(&topology(), (rejecter, source), None, &[]).expect("a lane");
        let of_one = lane("one", "a");
        assert_eq!(names(&of_one), ["dead_letter", "dlq:t", "one", ROWS, "history", "other", "cache"]);
        assert_eq!(of_one.deciding, ["h", "other"]);
        assert!(of_one.single_row);
        let of_sink = lane("h", "b");
        assert_eq!(names(&of_sink), ["dead_letter", "dlq:t", "two", ROWS, "history"]);
        assert_eq!((&*of_sink.normalizer, of_sink.single_row), ("two", false));
        assert_eq!(names(&lane("one#3", "a")), names(&of_one), "a further clone");
    }

    #[test]
    fn who_has_it_already_is_left_out_and_still_decides() {
        let lane = lane(&topology(), ("one", "a"), None, &["h".to_owned()]).expect("a lane");
        assert_eq!(names(&lane), ["dead_letter", "dlq:t", "one", ROWS, "other", "cache"]);
        assert_eq!(lane.deciding, ["h", "other"]);
    }

    #[test]
    fn an_entry_that_cannot_be_says_which_can() {
        let error = |rejecter, source, to| lane(&topology(), (rejecter, source), to, &[]).unwrap_err();
        assert_eq!(
            error("gone", "a", None),
            "actor `gone` rejected these letters and is not in the file any more; say where they enter: --to one of one, \
             two, history, other, cache"
        );
        assert_eq!(
            error("one", "a", Some("nobody")),
            "the topology has no actor `nobody`; letters can enter at: one, two, history, other, cache"
        );
        assert!(error("one", "a", Some("a")).contains("name a normalizer"), "a source is no entry");
        assert!(error("h", "c", None).contains("none of them from the source `c`"));
        assert!(
            error("other", "a", Some("two"))
                .starts_with("`other` rejected these letters and reads nothing from")
        );
    }

    #[test]
    fn a_sinks_letters_reach_that_sink_alone_wherever_they_enter() {
        let lane = |to| super::lane(&topology(), ("h", "c"), Some(to), &[]).expect("a lane");
        assert_eq!(names(&lane("one")), ["dead_letter", "dlq:t", "one", ROWS, "history"]);
        assert_eq!(lane("two").deciding, ["h"]);
        let elsewhere = super::lane(&topology(), ("h", "a"), Some("other"), &[]).expect("a lane");
        assert_eq!(names(&elsewhere), ["dead_letter", "dlq:t", "one", ROWS, "other"], "as was asked for");
    }
}
