//! What the rest of the file means for an actor (`resolved.*`). Its factory is given these, so a change of them restarts
//! it although its own entry is the same.
//!
//! The graph is walked once for the whole file: a file may have thousands of actors.

use super::write::{Writer, column};
use crate::model::{Actor, Kind, Policy, Topology, Work};
use std::collections::{BTreeMap, BTreeSet};

/// A topology and what was found by walking it.
pub(super) struct Graph<'a> {
    topology: &'a Topology,
    /// The sinks that each actor is or feeds, in the file's order.
    sinks: BTreeMap<&'a str, Vec<&'a Actor>>,
    /// The sources that each actor is or is fed by.
    sources: BTreeMap<&'a str, Vec<&'a str>>,
    /// Where offsets are kept.
    store: &'static str,
}

impl<'a> Graph<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        let actors = &topology.actors;
        let by_name: BTreeMap<&str, &Actor> =
            actors.iter().map(|actor| (actor.name.value.as_str(), actor)).collect();
        let mut sinks: BTreeMap<&str, Vec<&Actor>> = BTreeMap::new();
        let mut sources: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for actor in actors {
            for above in above(actor, &by_name) {
                if actor.kind.is_sink() {
                    sinks.entry(&above.name.value).or_default().push(actor);
                }
                if above.kind.begins() {
                    sources.entry(&actor.name.value).or_default().push(&above.name.value);
                }
            }
        }
        let writes = actors.iter().any(|actor| matches!(actor.kind, Kind::TimescaleWriter(_)));
        let beside_rows = writes && topology.connections.timescale.is_some();
        Self { topology, sinks, sources, store: if beside_rows { "timescale" } else { "kafka" } }
    }

    /// Adds the keys of `actor`.
    pub(super) fn describe(&self, keys: &mut Writer, actor: &Actor) {
        if matches!(actor.kind, Kind::Schedule(_)) {
            if matches!(&actor.kind, Kind::Schedule(schedule) if schedule.run.value == Work::Retention) {
                keys.texts("resolved.tables", self.topology.kept_tables().map(|table| table.to_string()));
                let waits = self
                    .topology
                    .rollups()
                    .map(|(actor, rollup)| format!("{} for {}", rollup.of.value, actor.name.value));
                keys.some_texts("resolved.waits", waits);
            }
            keys.some_texts("resolved.connections", self.connections(&actor.kind));
            return;
        }
        if actor.kind.is_sink() || actor.kind.is_gate() {
            keys.texts("resolved.columns", self.topology.input_columns(&actor.name.value).iter().map(column));
        }
        if let Some(time) = self.topology.input_event_time(actor).filter(|_| actor.kind.is_gate()) {
            keys.put("resolved.event_time", time);
        }
        if actor.kind.begins() {
            // A partition is claimed for all its sinks together.
            let sink = |sink: &&Actor| {
                let adopts =
                    sink.adopts.as_ref().map_or(String::new(), |old| format!(" adopts {}", old.value));
                format!("{} {}{adopts}", sink.id.value, sink.policy.word())
            };
            keys.texts("resolved.sinks", self.sinks_of(&actor.name.value).iter().map(sink));
        }
        if matches!(actor.kind, Kind::KafkaSource(_)) && self.topology.connections.timescale.is_none() {
            // Without a database to lease it from, the member's name is its place in the file.
            keys.put("resolved.place", self.place(actor));
        }
        if !matches!(actor.kind, Kind::Normalizer(_)) {
            keys.put("resolved.offsets_in", self.store);
        }
        keys.some_texts("resolved.connections", self.connections(&actor.kind));
        keys.put("resolved.say", self.say(&actor.name.value));
    }

    fn sinks_of(&self, actor: &str) -> &[&'a Actor] {
        self.sinks.get(actor).map(Vec::as_slice).unwrap_or_default()
    }

    fn place(&self, source: &Actor) -> usize {
        let readers = self.topology.actors.iter().filter(|actor| matches!(actor.kind, Kind::KafkaSource(_)));
        readers.take_while(|other| other.name != source.name).count()
    }

    /// The connections that an actor of that kind is built with.
    fn connections(&self, kind: &Kind) -> Vec<String> {
        let mut uses = BTreeSet::new();
        match kind {
            Kind::Normalizer(normalizer) => {
                let asks = normalizer.coding.needs_registry().then_some("registry");
                return asks.into_iter().map(str::to_owned).collect();
            }
            // How far a table is closed, the log says.
            Kind::Schedule(schedule) => {
                let asks = (schedule.run.value != Work::Retention).then_some("kafka");
                return asks.into_iter().chain(["timescale"]).map(str::to_owned).collect();
            }
            Kind::KafkaSource(_) | Kind::KafkaSink(_) => uses.insert("kafka"),
            Kind::RedisCache(_) => uses.insert("redis"),
            Kind::QualityGate(_) | Kind::ReplaySource(_) | Kind::TimescaleWriter(_) | Kind::DeadLetter(_) => {
                false
            }
        };
        uses.insert(self.store);
        // Letters lie there if there is one; members of a group take their slot there.
        let slots = matches!(kind, Kind::KafkaSource(_) | Kind::DeadLetter(_));
        if slots && self.topology.connections.timescale.is_some() {
            uses.insert("timescale");
        }
        uses.into_iter().map(str::to_owned).collect()
    }

    /// What an actor has to say in the fate of records: a required sink is or descends from it; or, where none of its
    /// sources has a required sink, all of them decide; or nothing.
    fn say(&self, actor: &str) -> &'static str {
        if self.is_required(actor) {
            return "required";
        }
        let sources = self.sources.get(actor).map(Vec::as_slice).unwrap_or_default();
        if sources.iter().any(|source| self.is_required(source)) { "none" } else { "as good as required" }
    }

    fn is_required(&self, actor: &str) -> bool {
        if let Some(gate) = self.topology.actor(actor).filter(|actor| actor.kind.is_gate()) {
            return gate.policy == Policy::Required;
        }
        let sinks = self.sinks_of(actor);
        sinks.is_empty() || sinks.iter().any(|sink| sink.policy == Policy::Required)
    }
}

/// `actor` and all whose records reach it: nothing passes a gate.
fn above<'a>(actor: &'a Actor, by_name: &BTreeMap<&str, &'a Actor>) -> Vec<&'a Actor> {
    let mut seen = BTreeSet::from([actor.name.value.as_str()]);
    let (mut found, mut next) = (vec![actor], 0);
    while let Some(below) = found.get(next).copied() {
        next += 1;
        if below.kind.is_gate() && next > 1 {
            continue;
        }
        for input in below.from.iter().filter_map(|from| by_name.get(from.value.as_str())) {
            if seen.insert(&input.name.value) {
                found.push(input);
            }
        }
    }
    found
}
