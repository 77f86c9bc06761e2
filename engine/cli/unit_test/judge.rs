//! Compares what is seen with what is expected; says every difference, and where it was expected.

use super::play::Seen;
use super::value::equal;
use crate::output;
use aqueduct_actors::redis_cache::Hash;
use aqueduct_actors::stand_in::Content;
use aqueduct_engine::Letter;
use aqueduct_topology::model::{ExpectedLetter, ExpectedRow, FieldType, SinkExpect, Test, Topology};
use aqueduct_topology::{Span, Spanned};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Rows of what was seen that a message shows.
const SHOWN_MAX: usize = 10;

/// An expectation that does not hold.
pub(crate) struct Failure {
    /// Where it is written.
    pub(crate) span: Span,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What was seen.
    pub(crate) notes: Vec<String>,
}

impl Failure {
    pub(super) fn new(span: Span, message: String) -> Self {
        Self { span, message, notes: Vec::new() }
    }

    fn seeing(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// Everything that is not as `test` expects.
pub(super) fn judge(topology: &Topology, test: &Test, seen: &Seen) -> Vec<Failure> {
    let mut failures = Vec::new();
    let expect = &test.expect;
    for (sink, expected) in &expect.sinks {
        let kinds = kinds(topology, &sink.value);
        match seen.contents.get(&sink.value) {
            Some(Content::Rows(found)) => rows(sink, expected, found, &kinds, &mut failures),
            Some(Content::Hashes(found)) => hashes(sink, expected, found, &kinds, &mut failures),
            None => {}
        }
    }
    if let Some(expected) = &expect.dead_letter {
        letters(expected, &seen.letters, &mut failures);
    }
    for (sink, partition, expected) in &expect.offsets {
        let id = topology.actor(&sink.value).map_or("", |actor| actor.id.value.as_str());
        let found = seen
            .positions
            .iter()
            .find(|position| &*position.sink == id && position.key.partition == *partition as i32);
        let found = found.map_or(0, |position| position.next_offset);
        number(
            expected,
            found,
            &format!("`{}` in partition {partition}: next offset", sink.value),
            &mut failures,
        );
    }
    for (actor, expected) in &expect.restarts {
        let found =
            seen.actors.iter().filter(|view| is_of(&view.name, &actor.value)).map(|view| view.restarts);
        number(expected, found.sum::<u64>() as i64, &format!("`{}`: restarts", actor.value), &mut failures);
    }
    for (actor, expected) in &expect.states {
        for view in seen.actors.iter().filter(|view| is_of(&view.name, &actor.value)) {
            if view.state != expected.value {
                let message = format!("`{}` is {}, not {}", view.name, view.state, expected.value);
                failures.push(Failure::new(expected.span, message).seeing(view.reason.clone()));
            }
        }
    }
    let ledger = serde_json::to_value(seen.ledger).unwrap_or_default();
    for (fate, expected) in &expect.ledger {
        let found = ledger.get(&fate.value).and_then(serde_json::Value::as_i64).unwrap_or_default();
        number(expected, found, &format!("ledger: {}", fate.value), &mut failures);
    }
    failures
}

/// Whether a clone's name is that of the actor.
fn is_of(clone: &str, actor: &str) -> bool {
    clone.split('#').next() == Some(actor)
}

fn kinds(topology: &Topology, sink: &str) -> BTreeMap<String, FieldType> {
    topology.input_columns(sink).into_iter().map(|column| (column.name, column.kind)).collect()
}

fn number(expected: &Spanned<i64>, found: i64, what: &str, failures: &mut Vec<Failure>) {
    if expected.value != found {
        failures.push(Failure::new(expected.span, format!("{what} is {found}, not {}", expected.value)));
    }
}

fn counted(sink: &str, expected: &SinkExpect, found: usize, failures: &mut Vec<Failure>) {
    if let Some(count) = &expected.count {
        number(count, found as i64, &format!("`{sink}`: count"), failures);
    }
}

fn rows(
    sink: &Spanned<String>,
    expected: &SinkExpect,
    found: &[String],
    kinds: &BTreeMap<String, FieldType>,
    failures: &mut Vec<Failure>,
) {
    counted(&sink.value, expected, found.len(), failures);
    let Some(wanted) = &expected.rows else { return };
    if wanted.value.len() != found.len() {
        let message = format!(
            "`{}` has {}, not {}",
            sink.value,
            output::counted(found.len(), "row"),
            wanted.value.len()
        );
        let shown = found.iter().take(SHOWN_MAX).enumerate();
        let shown = shown.map(|(index, row)| format!("row {}: {row}", index + 1));
        failures.push(Failure::new(wanted.span, message).seeing(shown));
    }
    for (index, (wanted, found)) in wanted.value.iter().zip(found).enumerate() {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(found).unwrap_or_default();
        let get = |name: &str| fields.get(name).map(|value| value.get().to_owned());
        let what = format!("`{}`, row {}", sink.value, index + 1);
        fields_differ(wanted, get, kinds, (&what, found), failures);
    }
}

fn hashes(
    sink: &Spanned<String>,
    expected: &SinkExpect,
    found: &BTreeMap<String, Hash>,
    kinds: &BTreeMap<String, FieldType>,
    failures: &mut Vec<Failure>,
) {
    let live: BTreeMap<&String, &Hash> = found.iter().filter(|(_, hash)| !hash.tombstone).collect();
    counted(&sink.value, expected, live.len(), failures);
    for (key, wanted) in &expected.keys {
        let what = format!("`{}`, key `{}`", sink.value, key.value);
        match (wanted, live.get(&key.value)) {
            (None, None) => {}
            (None, Some(hash)) => {
                let message = format!("{what} has a value");
                failures.push(Failure::new(key.span, message).seeing([shown(hash)]));
            }
            (Some(_), None) => {
                let keys: Vec<&str> = live.keys().take(SHOWN_MAX).map(|key| key.as_str()).collect();
                let note = format!("{}: {}", output::counted(live.len(), "key"), keys.join(", "));
                failures.push(Failure::new(key.span, format!("{what} has no value")).seeing([note]));
            }
            (Some(wanted), Some(hash)) => {
                let get = |name: &str| {
                    let field = hash.fields.iter().find(|(field, _)| field == name);
                    Some(field.map_or_else(|| "null".to_owned(), |(_, value)| quoted(value)))
                };
                fields_differ(wanted, get, kinds, (&what, &shown(hash)), failures);
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn shown(hash: &Hash) -> String {
    let fields: Vec<String> = hash.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.join(", ")
}

fn fields_differ(
    wanted: &ExpectedRow,
    get: impl Fn(&str) -> Option<String>,
    kinds: &BTreeMap<String, FieldType>,
    (what, whole): (&str, &str),
    failures: &mut Vec<Failure>,
) {
    for (name, expected) in &wanted.fields {
        let found = get(&name.value).unwrap_or_else(|| "null".to_owned());
        if !equal(&expected.value, &found, kinds.get(&name.value).copied()) {
            let message = format!("{what}: `{}` is {found}, not {}", name.value, expected.value);
            failures.push(Failure::new(expected.span, message).seeing([format!("the whole: {whole}")]));
        }
    }
}

fn letters(expected: &Spanned<Vec<ExpectedLetter>>, found: &[Letter], failures: &mut Vec<Failure>) {
    let shown = |letter: &Letter| format!("{} rejected: {}: {}", letter.actor, letter.reason, letter.detail);
    if expected.value.len() != found.len() {
        let message =
            format!("{}, not {}", output::counted(found.len(), "dead letter"), expected.value.len());
        failures.push(Failure::new(expected.span, message).seeing(found.iter().take(SHOWN_MAX).map(shown)));
    }
    for (index, (expected, found)) in expected.value.iter().zip(found).enumerate() {
        for (part, wanted) in &expected.parts {
            let value = match *part {
                "actor" => found.actor.to_string(),
                "reason" => found.reason.to_string(),
                "partition" => found.key.partition.to_string(),
                "offset" => found.offset.to_string(),
                _ => found.row.to_string(),
            };
            if value != wanted.value {
                let message = format!("dead letter {}: {part} is {value}, not {}", index + 1, wanted.value);
                failures.push(Failure::new(wanted.span, message).seeing([shown(found)]));
            }
        }
    }
}
