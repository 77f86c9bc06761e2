//! What is wrong with a file whose every part can be read: names that nobody declares, edges that do not fit, columns
//! that are not there. A family of rules a file.
//!
//! Invariant: a rule is silent about what lowering has already refused, so that one mistake gives one finding.

mod columns;
mod defaults;
mod edges;
mod expressions;
mod gate;
mod identity;
mod row;
mod schedule;
mod supervision;
mod tests;

use crate::lower::{Context, Draft, File};
use crate::model::{Kind, Normalizer, QualityGate};
use std::collections::HashMap;

/// Runs every rule; each looks at the whole file.
pub(crate) fn check(cx: &Context<'_>, file: &File) {
    let graph = Graph::new(&file.actors);
    edges::check(cx, &graph);
    identity::check(cx, &graph, file);
    supervision::check(cx, &graph, file);
    row::check(cx, &graph);
    defaults::check(cx, &graph);
    columns::check(cx, &graph);
    gate::check(cx, &graph);
    schedule::check(cx, &graph);
    expressions::check(cx, &graph);
    tests::check(cx, &graph, file);
}

/// The actors as they were declared, by name.
struct Graph<'a> {
    drafts: &'a [Draft],
    by_name: HashMap<&'a str, &'a Draft>,
    /// The rows of each gate, as if a normalizer gave them.
    verdicts: HashMap<&'a str, Normalizer>,
}

impl<'a> Graph<'a> {
    fn new(drafts: &'a [Draft]) -> Self {
        let by_name = drafts.iter().map(|draft| (draft.name.value.as_str(), draft)).collect();
        let mut graph = Self { drafts, by_name, verdicts: HashMap::new() };
        let gates = drafts.iter().filter_map(|draft| Some((draft, gate(draft)?)));
        let rows = |(draft, gate): (&'a Draft, &QualityGate)| {
            let (_, judged) = graph.rows_of(draft)?;
            Some((draft.name.value.as_str(), gate::verdicts(gate, judged)))
        };
        graph.verdicts = gates.filter_map(rows).collect();
        graph
    }

    fn get(&self, name: &str) -> Option<&'a Draft> {
        self.by_name.get(name).copied()
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.drafts.iter().map(|draft| draft.name.value.as_str())
    }

    /// The actors that an actor reads from, as far as they exist.
    fn inputs(&self, draft: &'a Draft) -> impl Iterator<Item = &'a Draft> {
        draft.from.iter().filter_map(|from| self.get(&from.value))
    }

    fn normalizers(&self) -> impl Iterator<Item = (&'a Draft, &'a Normalizer)> {
        self.drafts.iter().filter_map(|draft| Some((draft, normalizer(draft)?)))
    }

    /// The normalizer whose rows arrive at a sink or gate; none if the edge is wrong. A gate's verdicts are rows too.
    fn rows_of(&self, reader: &'a Draft) -> Option<(&'a Draft, &Normalizer)> {
        self.inputs(reader).find_map(|input| Some((input, self.rows_from(input)?)))
    }

    /// The rows that an actor gives.
    fn rows_from(&self, giver: &'a Draft) -> Option<&Normalizer> {
        normalizer(giver).or_else(|| self.verdicts.get(giver.name.value.as_str()))
    }
}

fn gate(draft: &Draft) -> Option<&QualityGate> {
    match draft.actor.as_ref().map(|actor| &actor.kind) {
        Some(Kind::QualityGate(gate)) => Some(gate),
        _ => None,
    }
}

fn normalizer(draft: &Draft) -> Option<&Normalizer> {
    match draft.actor.as_ref().map(|actor| &actor.kind) {
        Some(Kind::Normalizer(normalizer)) => Some(normalizer),
        _ => None,
    }
}
