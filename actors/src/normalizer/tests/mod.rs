//! What messages become, as data: a topology, messages, and the rows and rejects expected of them.

mod actor;
mod agreement;
mod arbitrary;
mod bad_input;
mod cases;
mod csv;
mod judge;
mod library;
mod schemas;
mod short;

use super::{Decoder, reject::Reject};
use crate::expr::rows::cell;
use aqueduct_engine::{Batch, testing::RecordsBuilder};
use aqueduct_topology::model::{Kind, Normalizer};
use aqueduct_topology::{Source, load};

/// The Kafka time of the messages of [`batch`]: 2023-11-14T22:13:20Z.
pub(super) const RECORD_MS: i64 = 1_700_000_000_000;

/// Addresses that no test calls.
fn environment(name: &str) -> Option<String> {
    match name {
        "TIMESCALE_URL" => Some("postgres://127.0.0.1:1/x".to_owned()),
        "REDIS_URL" => Some("redis://127.0.0.1:1".to_owned()),
        "SCHEMA_REGISTRY_URL" => Some("http://127.0.0.1:1".to_owned()),
        _ => Some("127.0.0.1:1".to_owned()),
    }
}

/// The normalizer of a whole topology file.
pub(super) fn normalizer_of(text: &str) -> Normalizer {
    let source = Source::new("test.yaml", text);
    let (topology, diagnostics) = load(&source, &environment);
    let topology = topology.unwrap_or_else(|| panic!("{diagnostics:#?}"));
    topology
        .actors
        .into_iter()
        .find_map(|actor| match actor.kind {
            Kind::Normalizer(normalizer) => Some(normalizer),
            _ => None,
        })
        .expect("a normalizer")
}

/// The normalizer whose entry, after `kind` and `from`, reads `options`: lines of YAML without indentation.
pub(super) fn normalizer(options: &str) -> Normalizer {
    let options: String = options.lines().map(|line| format!("    {line}\n")).collect();
    normalizer_of(&format!(
        "topology: t\nactors:\n  ticks: {{ kind: replay_source, file: x.jsonl }}\n  rows:\n    kind: normalizer\n    \
         from: ticks\n{options}  out: {{ kind: kafka_sink, from: rows, topic: t }}\n\
         connections: {{ kafka: {{ bootstrap: \"127.0.0.1:9092\" }} }}\n"
    ))
}

/// `messages` at the offsets from 0 on.
pub(super) fn batch<V: AsRef<[u8]>>(messages: &[V]) -> Batch {
    messages
        .iter()
        .fold(RecordsBuilder::new(0, 0), |records, message| records.value(message).time_ms(RECORD_MS))
        .build()
}

/// What became of a batch, in words.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    /// `offset.row: a | b | c`
    pub(super) rows: Vec<String>,
    /// `offset.row reason`
    pub(super) rejects: Vec<String>,
    pub(super) details: Vec<String>,
    pub(super) filtered: u64,
}

pub(super) fn outcome(normalizer: &Normalizer, batch: &Batch) -> Outcome {
    outcome_of(Decoder::new(normalizer).unwrap_or_else(|error| panic!("{error}")), batch)
}

pub(super) fn outcome_of(mut decoder: Decoder, batch: &Batch) -> Outcome {
    let decoded = decoder.decode(batch);
    let rows = decoded.rows;
    let hidden = rows.num_columns() - 2;
    let word = |column: usize, row: usize| match cell(rows.column(column), row) {
        value if value.is_null() => "NULL".to_owned(),
        value => value.written().expect("a scalar").into_owned(),
    };
    let line = |row: usize| {
        let cells: Vec<_> = (0..hidden).map(|column| word(column, row)).collect();
        format!("{}.{}: {}", word(hidden, row), word(hidden + 1, row), cells.join(" | "))
    };
    let reject = |reject: &Reject| format!("{}.{} {}", reject.offset, reject.row, reject.reason);
    Outcome {
        rows: (0..rows.num_rows()).map(line).collect(),
        rejects: decoded.rejects.iter().map(reject).collect(),
        details: decoded.rejects.into_iter().map(|reject| reject.detail).collect(),
        filtered: decoded.filtered,
    }
}

/// Checks what becomes of `messages` at the offsets from 0 on.
#[track_caller]
pub(super) fn check(options: &str, messages: &[&str], rows: &[&str], rejects: &[&str]) {
    let found = outcome(&normalizer(options), &batch(messages));
    assert_eq!(found.rows, rows, "{found:#?}");
    assert_eq!(found.rejects, rejects, "{found:#?}");
}
