//! Compares what is seen with what is expected; says every difference, and where it was expected.
//!
//! Whatever a test expects, the ledger accounts for every record, and no sink gets the records of a partition out of
//! their order.

mod lists;

use super::play::Seen;
use super::value::equal;
use crate::output;
use crate::rehearsal::is_door;
use aqueduct_actors::stand_in::{Content, Hash, Row};
use aqueduct_topology::model::{ExpectedOffset, ExpectedRow, FieldType, SinkExpect, Test, Topology};
use aqueduct_topology::{Span, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// Of what was seen, a message shows so much.
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
    sent_in_vain(test, seen, &mut failures);
    for (sink, expected) in &expect.sinks {
        let kinds = kinds(topology, &sink.value);
        match seen.contents.get(&sink.value) {
            Some(Content::Rows(found)) => {
                let mut met = BTreeSet::new();
                let is_new =
                    |row: &&Row| !expected.doubles || met.insert((row.place.clone(), row.json.clone()));
                let found: Vec<&Row> = found.iter().filter(is_new).collect();
                counted(&sink.value, expected, found.len(), &mut failures);
                if let Some(wanted) = &expected.rows {
                    lists::rows(sink, (wanted, expected.order), found, &kinds, &mut failures);
                }
            }
            Some(Content::Hashes(found)) => hashes(sink, expected, found, &kinds, &mut failures),
            None => {}
        }
    }
    if let Some(expected) = &expect.dead_letter {
        lists::letters(expected, &seen.letters, &mut failures);
    }
    for expected in &expect.offsets {
        offset(topology, expected, seen, &mut failures);
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
    ledger(test, seen, &mut failures);
    exit(test, seen, &mut failures);
    failures
}

/// Rows for a sink whose values are not of its columns' types never reach it: that is the test's mistake.
fn sent_in_vain(test: &Test, seen: &Seen, failures: &mut Vec<Failure>) {
    for letter in seen.letters.iter().filter(|letter| is_door(&letter.actor)) {
        let send = test.sends.iter().find(|send| send.are_rows && letter.actor.ends_with(&send.to.value));
        let (span, to) = send.map_or((test.name.span, ""), |send| (send.to.span, send.to.value.as_str()));
        let message = format!("a row sent to `{to}` does not fit its columns: {}", letter.detail);
        let row = letter.payload.as_deref().map(|row| String::from_utf8_lossy(row).into_owned());
        failures.push(Failure::new(span, message).seeing(row));
    }
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

fn offset(topology: &Topology, expected: &ExpectedOffset, seen: &Seen, failures: &mut Vec<Failure>) {
    let id = |name: &str| topology.actor(name).map(|actor| actor.id.value.clone()).unwrap_or_default();
    let (sink, source) = (id(&expected.sink.value), expected.source.as_ref().map(|source| id(&source.value)));
    let of_partition = |position: &&aqueduct_engine::Position| {
        *position.sink == sink && position.key.partition == expected.partition as i32
    };
    let of_source = |position: &&aqueduct_engine::Position| match &source {
        Some(source) => *position.key.source == *source,
        // Where rows were sent to the sink itself, they are meant.
        None => {
            !seen.positions.iter().filter(of_partition).any(|one| is_door(&one.key.source))
                || is_door(&position.key.source)
        }
    };
    let found = seen.positions.iter().filter(of_partition).find(of_source);
    let found = found.map_or(0, |position| position.next_offset);
    let what = format!("`{}` in partition {}: next offset", expected.sink.value, expected.partition);
    number(&expected.next, found, &what, failures);
}

fn ledger(test: &Test, seen: &Seen, failures: &mut Vec<Failure>) {
    let counts = serde_json::to_value(seen.ledger).unwrap_or_default();
    let unaccounted = seen.ledger.unaccounted();
    let whole = || format!("the ledger: {counts}");
    for (fate, expected) in &test.expect.ledger {
        let found = match fate.value.as_str() {
            "unaccounted" => unaccounted,
            fate => counts.get(fate).and_then(serde_json::Value::as_i64).unwrap_or_default(),
        };
        if expected.value != found {
            let message = format!("ledger: {} is {found}, not {}", fate.value, expected.value);
            failures.push(Failure::new(expected.span, message).seeing([whole()]));
        }
    }
    let is_expected = test.expect.ledger.iter().any(|(fate, _)| fate.value == "unaccounted");
    if unaccounted != 0 && !is_expected {
        let message =
            format!("the ledger cannot account for {unaccounted} records: this is a bug of the engine");
        failures.push(Failure::new(test.name.span, message).seeing([whole()]));
    }
}

fn exit(test: &Test, seen: &Seen, failures: &mut Vec<Failure>) {
    match (&test.expect.exit, seen.exit) {
        (Some(expected), Some(code)) => number(expected, i64::from(code), "the exit code", failures),
        (Some(expected), None) => {
            let message = "the run has not ended by itself".to_owned();
            failures.push(Failure::new(expected.span, message));
        }
        (None, Some(code)) => {
            let message = format!("the run has ended by itself, with exit code {code}");
            failures.push(Failure::new(test.name.span, message).seeing(seen.reasons.clone()));
        }
        (None, None) => {}
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
                    field.map_or_else(|| "null".to_owned(), |(_, value)| quoted(value))
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

/// `get` gives a field's JSON.
fn fields_differ(
    wanted: &ExpectedRow,
    get: impl Fn(&str) -> String,
    kinds: &BTreeMap<String, FieldType>,
    (what, whole): (&str, &str),
    failures: &mut Vec<Failure>,
) {
    for (name, expected) in &wanted.fields {
        let found = get(&name.value);
        if !equal(&expected.value, &found, kinds.get(&name.value).copied()) {
            let message = format!("{what}: `{}` is {found}, not {}", name.value, expected.value);
            failures.push(Failure::new(expected.span, message).seeing([format!("the whole: {whole}")]));
        }
    }
}
