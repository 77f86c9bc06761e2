//! Questions about the graph of actors.

use crate::model::{Actor, Column, GATE_AT, Kind, Topology};
use std::collections::{HashMap, HashSet};

impl Topology {
    /// The columns of the rows that arrive at a sink or gate: those of the first actor it reads from that gives rows.
    /// Empty for an actor that receives messages, or nothing.
    pub fn input_columns(&self, actor: &str) -> Vec<Column> {
        let Some(actor) = self.actor(actor) else { return Vec::new() };
        let inputs = actor.from.iter().filter_map(|from| self.actor(&from.value));
        inputs.map(|input| self.output_columns(input)).find(|columns| !columns.is_empty()).unwrap_or_default()
    }

    /// The event time of the rows that arrive at an actor: a normalizer's own, or when a gate gave its verdict.
    pub fn input_event_time<'a>(&'a self, actor: &'a Actor) -> Option<&'a str> {
        self.inputs(actor).find_map(|input| match &input.kind {
            Kind::Normalizer(normalizer) => {
                normalizer.event_time.as_ref().map(|time| time.field.value.as_str())
            }
            Kind::QualityGate(_) => Some(GATE_AT),
            _ => None,
        })
    }

    /// The columns of the rows that an actor gives; empty for sources, which give messages, and for sinks.
    pub fn output_columns(&self, actor: &Actor) -> Vec<Column> {
        match &actor.kind {
            Kind::Normalizer(normalizer) => normalizer.columns.clone(),
            Kind::QualityGate(gate) => {
                let rows = self.inputs(actor).find_map(|input| match &input.kind {
                    Kind::Normalizer(normalizer) => Some(normalizer.columns.as_slice()),
                    _ => None,
                });
                gate.columns(rows.unwrap_or_default())
            }
            _ => Vec::new(),
        }
    }

    /// The sinks that the records of a source or gate reach, in the file's order. What a source gives ends at a gate.
    pub fn sinks_of(&self, source: &str) -> Vec<&Actor> {
        let sinks = self.actors.iter().filter(|actor| actor.kind.is_sink());
        sinks.filter(|sink| self.ancestors(&sink.name.value).contains(source)).collect()
    }

    /// The sources and gates whose records reach an actor, in the file's order; a source is its own.
    pub fn sources_of(&self, actor: &str) -> Vec<&Actor> {
        let ancestors = self.ancestors(actor);
        let reaches =
            |source: &&Actor| source.name.value == actor || ancestors.contains(source.name.value.as_str());
        self.actors.iter().filter(|actor| actor.kind.begins()).filter(reaches).collect()
    }

    /// The only source, or the first of several, whose records reach an actor.
    pub fn source_of(&self, actor: &str) -> Option<&Actor> {
        self.sources_of(actor).into_iter().next()
    }

    /// Every actor after those it reads from; among equals, in the file's order.
    pub fn topological_order(&self) -> Vec<&Actor> {
        let mut waits: HashMap<&str, usize> =
            self.actors.iter().map(|actor| (actor.name.value.as_str(), self.inputs(actor).count())).collect();
        let mut order: Vec<&Actor> =
            self.actors.iter().filter(|actor| waits[actor.name.value.as_str()] == 0).collect();
        let mut next = 0;
        while let Some(done) = order.get(next).copied() {
            next += 1;
            for reader in self.readers(&done.name.value) {
                let waiting = waits.entry(reader.name.value.as_str()).or_default();
                *waiting = waiting.saturating_sub(1);
                if *waiting == 0 {
                    order.push(reader);
                }
            }
        }
        order
    }

    fn inputs<'a>(&'a self, actor: &'a Actor) -> impl Iterator<Item = &'a Actor> {
        actor.from.iter().filter_map(|from| self.actor(&from.value))
    }

    /// Those whose records reach `actor`: what lies before a gate above it gives it none.
    fn ancestors<'a>(&'a self, actor: &'a str) -> HashSet<&'a str> {
        let mut found = HashSet::new();
        let mut open = vec![actor];
        while let Some(name) = open.pop() {
            for input in self.actor(name).into_iter().flat_map(|actor| self.inputs(actor)) {
                if found.insert(input.name.value.as_str()) && !input.kind.is_gate() {
                    open.push(&input.name.value);
                }
            }
        }
        found
    }
}
