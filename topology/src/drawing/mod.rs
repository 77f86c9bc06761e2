//! A topology as a picture: who supervises whom, and where data flows. Mermaid and DOT for those who lay out, SVG laid
//! out here.
//!
//! Invariant: a text of the file is only ever a label, escaped for its format; ids are made here. Deliberately absent:
//! fonts, scripts, styles from elsewhere: an SVG is whole by itself.

mod dot;
mod mermaid;
mod svg;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;

use crate::model::{Actor, Kind, Policy, Supervisor, Topology};
use std::collections::HashMap;

/// What a picture shows.
struct Drawing<'a> {
    topology: &'a Topology,
    index: HashMap<&'a str, usize>,
}

/// A child of a supervisor.
enum Child<'a> {
    Actor(usize, &'a Actor),
    Supervisor(usize, &'a Supervisor),
}

/// From one actor to another.
struct Edge<'a> {
    from: usize,
    to: usize,
    reader: &'a Actor,
}

impl<'a> Drawing<'a> {
    fn new(topology: &'a Topology) -> Self {
        let actors = topology.actors.iter().enumerate();
        Self { topology, index: actors.map(|(at, actor)| (actor.name.value.as_str(), at)).collect() }
    }

    fn children(&self, supervisor: &'a Supervisor) -> Vec<Child<'a>> {
        let child = |name: &str| {
            if let Some(&at) = self.index.get(name) {
                return Some(Child::Actor(at, &self.topology.actors[at]));
            }
            let supervisors = &self.topology.supervisors;
            let at = supervisors.iter().position(|one| one.name.value == name)?;
            Some(Child::Supervisor(at, &supervisors[at]))
        };
        supervisor.children.iter().filter_map(|name| child(&name.value)).collect()
    }

    fn edges(&self) -> impl Iterator<Item = Edge<'a>> {
        let readers = self.topology.actors.iter().enumerate();
        readers.flat_map(move |(to, reader)| {
            let inputs = reader.from.iter().filter_map(|from| self.index.get(from.value.as_str()));
            inputs.map(move |&from| Edge { from, to, reader }).collect::<Vec<_>>()
        })
    }

    /// How far each actor is from its farthest source.
    fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0; self.topology.actors.len()];
        for actor in self.topology.topological_order() {
            let inputs = actor.from.iter().filter_map(|from| self.index.get(from.value.as_str()));
            let depth = inputs.map(|&at| depths[at] + 1).max().unwrap_or(0);
            depths[self.index[actor.name.value.as_str()]] = depth;
        }
        depths
    }
}

/// The lines of an actor's box: name, kind, and what it reads or writes.
fn lines(actor: &Actor) -> Vec<String> {
    let clones = match actor.parallelism.value {
        1 => String::new(),
        count => format!(" x {count}"),
    };
    let mut lines = vec![format!("{}{clones}", actor.name.value), actor.kind.name().to_owned()];
    lines.extend(place(&actor.kind));
    lines
}

/// What of the world an actor touches.
pub(crate) fn place(kind: &Kind) -> Option<String> {
    match kind {
        Kind::KafkaSource(source) => Some(format!("topic {}", source.topic.value)),
        Kind::ReplaySource(source) => Some(format!("file {}", source.file.value.display())),
        Kind::TimescaleWriter(writer) => Some(format!("table {}", writer.table.value)),
        Kind::RedisCache(cache) => {
            Some(format!("key {}", cache.key.value.iter().map(ToString::to_string).collect::<String>()))
        }
        Kind::KafkaSink(sink) => Some(format!("topic {}", sink.topic.value)),
        Kind::QualityGate(gate) => {
            let by: Vec<&str> = gate.by.iter().map(|field| field.value.as_str()).collect();
            Some(format!("by {}", by.join(", ")))
        }
        Kind::Schedule(schedule) => {
            Some(format!("{} every {}", schedule.run.value.word(), schedule.every.value))
        }
        Kind::Normalizer(_) | Kind::DeadLetter(_) => None,
    }
}

/// The title of a supervisor's box.
fn title(supervisor: &Supervisor) -> String {
    format!("{} ({})", supervisor.name.value, supervisor.strategy.word())
}

/// Whether an edge may be passed over while its sink is away.
fn is_best_effort(reader: &Actor) -> bool {
    (reader.kind.is_sink() || reader.kind.is_gate()) && reader.policy == Policy::BestEffort
}
