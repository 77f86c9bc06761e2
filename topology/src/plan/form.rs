//! The canonical form: names to keys to values, and nothing a comparison would have to know about YAML.

use super::resolved::Graph;
use super::{Files, connections, specs};
use crate::model::{Supervisor, Topology};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the form; forms of different versions are not compared.
pub const VERSION: u32 = 1;

/// The keys of one actor, supervisor or connection. `flush.rows` is a key of its own; what stands for its default is
/// written out. Keys that begin with `resolved.` follow from the rest of the file.
pub type Keys = BTreeMap<String, Value>;

/// For each actor, those that read from it.
pub(super) type Readers<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// A topology in its canonical form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// See [`VERSION`].
    pub version: u32,
    /// The topology's name.
    pub topology: String,
    /// By part: `kafka`, `timescale`, `redis`, `registry`.
    pub connections: BTreeMap<String, Keys>,
    /// By name.
    pub supervisors: BTreeMap<String, Keys>,
    /// By name.
    pub actors: BTreeMap<String, Keys>,
}

impl Form {
    /// The form of `topology`, whose referenced files `files` digests.
    pub fn of(topology: &Topology, files: &Files<'_>) -> Self {
        let graph = Graph::new(topology);
        let supervisors = topology.supervisors.iter();
        let actors = topology.actors.iter();
        Self {
            version: VERSION,
            topology: topology.name.value.clone(),
            connections: connections::keys(&topology.connections),
            supervisors: supervisors.map(|one| (one.name.value.clone(), supervisor(one))).collect(),
            actors: actors
                .map(|actor| (actor.name.value.clone(), specs::keys(&graph, actor, files)))
                .collect(),
        }
    }

    /// The text of a key of an actor; empty where it has none.
    pub(super) fn word<'a>(&'a self, actor: &str, key: &str) -> &'a str {
        self.actors.get(actor).and_then(|keys| keys.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// The names in a list key of an actor.
    pub(super) fn names<'a>(&'a self, actor: &str, key: &str) -> Vec<&'a str> {
        self.actors.get(actor).map(|keys| list(keys, key)).unwrap_or_default()
    }

    /// For each actor that is read from, its readers by name.
    pub(super) fn readers(&self) -> Readers<'_> {
        let mut readers = Readers::new();
        for name in self.actors.keys() {
            for from in self.names(name, "from") {
                readers.entry(from).or_default().push(name);
            }
        }
        readers
    }

    /// The sources whose records reach `actor`, itself included if it is one, by name.
    pub(super) fn sources<'a>(&'a self, actor: &'a str) -> Vec<&'a str> {
        let (mut seen, mut next) = (vec![actor], 0);
        while next < seen.len() {
            let passes = next == 0 || !self.is_gate(seen[next]);
            for from in self.names(seen[next], "from").into_iter().filter(|_| passes) {
                if !seen.contains(&from) {
                    seen.push(from);
                }
            }
            next += 1;
        }
        seen.retain(|name| self.is_source(name) || self.is_gate(name));
        seen.sort_unstable();
        seen
    }

    /// Whether a full link into `actor` holds its writer up, and the best-effort sinks it leads to: what the writer is
    /// built with.
    pub(super) fn behind<'a>(&'a self, actor: &'a str, readers: &Readers<'a>) -> (bool, Vec<&'a str>) {
        let (mut below, mut next) = (vec![actor], 0);
        while let Some(name) = below.get(next) {
            let readers = readers.get(name).into_iter().flatten().filter(|_| !self.is_gate(name));
            let more: Vec<_> = readers.filter(|one| !below.contains(one)).collect();
            below.extend(more);
            next += 1;
        }
        below.retain(|name| self.is_sink(name) && self.word(name, "policy") != "required");
        below.sort_unstable();
        (self.word(actor, "resolved.say") == "required", below)
    }

    /// Whether the actor begins a stream.
    pub(super) fn is_source(&self, actor: &str) -> bool {
        self.word(actor, "kind").ends_with("_source")
    }

    /// Whether the actor ends one stream and begins another.
    pub(super) fn is_gate(&self, actor: &str) -> bool {
        self.word(actor, "kind") == "quality_gate"
    }

    /// Whether the actor ends a stream.
    pub(super) fn is_sink(&self, actor: &str) -> bool {
        matches!(self.word(actor, "kind"), "timescale_writer" | "redis_cache" | "kafka_sink")
    }
}

/// The names in a list.
pub(super) fn list<'a>(keys: &'a Keys, key: &str) -> Vec<&'a str> {
    let values = keys.get(key).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn supervisor(supervisor: &Supervisor) -> Keys {
    let mut keys = super::write::Writer::default();
    keys.put("strategy", supervisor.strategy.word());
    keys.put("intensity", supervisor.intensity);
    keys.time("period", supervisor.period);
    keys.time("backoff.initial", supervisor.backoff.initial);
    keys.time("backoff.max", supervisor.backoff.max);
    keys.put("backoff.jitter", supervisor.backoff.jitter.to_string());
    keys.texts("children", supervisor.children.iter().map(|child| child.value.clone()));
    keys.done()
}
