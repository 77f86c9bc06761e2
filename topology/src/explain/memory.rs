//! The worst case of a topology's memory: everything full at once, as in a long outage of every sink.
//!
//! Each addend is a bound that the runtime keeps. What depends on the node is said apart: a batch gathers for each
//! partition it is given. Not counted: the program itself, and messages above Kafka's usual 1 MiB.

use super::words::size;
use crate::bounds::{
    BATCH_BYTES_MAX, CACHE_KEYS_MAX, COPY_FRAME_BYTES, COPY_FRAMES_MAX, ENCODED_AHEAD_BYTES_MAX,
    KAFKA_PRODUCE_BYTES_MAX, KAFKA_QUEUE_BYTES_MAX, KAFKA_RESPONSE_BYTES_MAX, LETTER_STATEMENT_BYTES_MAX,
    LETTERS_BYTES_MAX,
};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    Actor, Column, FieldType, GateRules, Kind, Normalizer, QualityGate, RedisCache, TemplatePart, Topology,
};
use serde::Serialize;

/// What a key of a cache costs beside its texts: the map's slot, the order, the pointers.
const CACHE_KEY_BYTES: u64 = 160;
/// What a key of a gate costs beside its texts and medians: the map's slots, the counts of each rule, its verdict.
const GATE_KEY_BYTES: u64 = 1024;
/// .. and for each field whose nulls are counted.
const GATE_SHARE_BYTES: u64 = 64;
/// What is assumed of a text without `max_bytes` in a cache.
const TEXT_BYTES_ASSUMED: u64 = 64;

/// The worst case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// In the file's order.
    pub addends: Vec<Addend>,
    /// Their sum.
    pub total_bytes: u64,
    /// For each partition that this node reads, on top.
    pub per_partition_bytes: u64,
}

/// One part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Addend {
    /// Whose.
    pub actor: String,
    /// What is held.
    pub what: String,
    /// How much, once.
    pub bytes: u64,
    /// How often.
    pub times: u64,
}

impl Addend {
    fn total(&self) -> u64 {
        self.bytes.saturating_mul(self.times)
    }
}

/// Adds it up.
pub fn memory(topology: &Topology) -> Memory {
    let addends: Vec<Addend> = topology.actors.iter().flat_map(|actor| of_actor(topology, actor)).collect();
    let total_bytes = addends.iter().fold(0_u64, |total, addend| total.saturating_add(addend.total()));
    let reads_kafka = topology.actors.iter().any(|actor| matches!(actor.kind, Kind::KafkaSource(_)));
    Memory { addends, total_bytes, per_partition_bytes: if reads_kafka { BATCH_BYTES_MAX } else { 0 } }
}

fn of_actor(topology: &Topology, actor: &Actor) -> Vec<Addend> {
    let clones = u64::from(actor.parallelism.value);
    let addend =
        |what: String, bytes: u64, times: u64| Addend { actor: actor.name.value.clone(), what, bytes, times };
    let mut found = Vec::new();
    for giver in actor.from.iter().filter_map(|from| topology.actor(&from.value)) {
        let links = u64::from(giver.parallelism.value) * clones;
        found.push(addend(format!("link from {}", giver.name.value), actor.link.bytes, links));
    }
    let own: Vec<(String, u64)> = match &actor.kind {
        Kind::KafkaSource(_) => vec![
            ("the client's queue".to_owned(), KAFKA_QUEUE_BYTES_MAX),
            ("one response of a broker".to_owned(), KAFKA_RESPONSE_BYTES_MAX),
        ],
        Kind::ReplaySource(_) => vec![("the batch being read".to_owned(), BATCH_BYTES_MAX)],
        Kind::Normalizer(_) => vec![("the letters of a rejected record".to_owned(), LETTERS_BYTES_MAX)],
        Kind::QualityGate(gate) => {
            let key = gate_key_bytes(gate);
            let keys = u64::from(gate.keys_max);
            vec![(format!("{keys} keys judged, {key} B each"), keys.saturating_mul(key))]
        }
        Kind::TimescaleWriter(writer) => {
            let frames = COPY_FRAMES_MAX * u64::from(writer.transactions);
            vec![
                (format!("{frames} frames of COPY"), COPY_FRAME_BYTES * frames),
                ("rows encoded ahead".to_owned(), ENCODED_AHEAD_BYTES_MAX),
            ]
        }
        Kind::RedisCache(cache) => {
            let key = cache_key_bytes(cache, rows(topology, actor));
            vec![(format!("{CACHE_KEYS_MAX} keys owed, {key} B each"), CACHE_KEYS_MAX.saturating_mul(key))]
        }
        Kind::Schedule(_) => Vec::new(),
        Kind::KafkaSink(_) => vec![("the producer's queue".to_owned(), KAFKA_PRODUCE_BYTES_MAX)],
        Kind::DeadLetter(_) => vec![("the letters of one statement".to_owned(), LETTER_STATEMENT_BYTES_MAX)],
    };
    found.extend(own.into_iter().map(|(what, bytes)| addend(what, bytes, clones)));
    found
}

fn rows<'a>(topology: &'a Topology, sink: &Actor) -> Option<&'a Normalizer> {
    sink.from.iter().find_map(|from| match &topology.actor(&from.value)?.kind {
        Kind::Normalizer(normalizer) => Some(normalizer),
        _ => None,
    })
}

/// A key of a gate with what each of its rules remembers.
fn gate_key_bytes(gate: &QualityGate) -> u64 {
    let remembered = |rules: GateRules| {
        let band = rules.price_band.as_ref().map_or(0, |band| u64::from(band.median_of) * 16);
        band + rules.nulls.len() as u64 * GATE_SHARE_BYTES
    };
    let by = gate.by.len() as u64 * TEXT_BYTES_ASSUMED;
    GATE_KEY_BYTES + by + gate.rule_sets().map(remembered).max().unwrap_or(0)
}

/// A key with its value, as texts.
fn cache_key_bytes(cache: &RedisCache, rows: Option<&Normalizer>) -> u64 {
    let text = |name: &str| rows.map_or(TEXT_BYTES_ASSUMED, |rows| text_bytes(rows, name));
    let key = cache.key.value.iter().map(|part| match part {
        TemplatePart::Text(literal) => literal.len() as u64,
        TemplatePart::Field(field) => text(&field.value),
    });
    let value = cache.value.iter().map(|field| text(&field.value) + 16);
    key.chain(value).fold(CACHE_KEY_BYTES, u64::saturating_add)
}

/// The longest text of a column.
fn text_bytes(rows: &Normalizer, name: &str) -> u64 {
    let kind =
        rows.columns.iter().find(|Column { name: column, .. }| column == name).map(|column| column.kind);
    match kind {
        Some(FieldType::Int64) => 20,
        Some(FieldType::Float64) => 24,
        Some(FieldType::Bool) => 5,
        Some(FieldType::Timestamp) => 27,
        Some(FieldType::Decimal { precision, .. }) => u64::from(precision) + 3,
        Some(FieldType::Text | FieldType::Json) | None => {
            let fields =
                rows.cases.iter().flat_map(|case| &case.fields).filter(|field| field.name.value == name);
            let bounds = fields.map(|field| field.max_bytes.map_or(TEXT_BYTES_ASSUMED, |bytes| bytes as u64));
            bounds.max().unwrap_or(TEXT_BYTES_ASSUMED)
        }
    }
}

/// The finding on a topology that may need more memory than a node allows it.
pub fn over_budget(topology: &Topology, budget_bytes: u64) -> Option<Diagnostic> {
    let memory = memory(topology);
    if memory.total_bytes <= budget_bytes {
        return None;
    }
    let largest = memory.addends.iter().max_by_key(|addend| addend.total())?;
    let place = topology.actor(&largest.actor).filter(|actor| actor.span != crate::Span::default());
    let span = place.map_or(topology.name.span, |actor| actor.name.span);
    let message = format!(
        "the topology may hold {}, and this node's memory_budget is {}",
        size(memory.total_bytes),
        size(budget_bytes)
    );
    let part = format!("the largest part is here: {}, {}", largest.what, size(largest.total()));
    Some(Diagnostic::error(Code::OverBudget, span, message).label(part).help(
        "lower `link: { bytes }` or `parallelism`, or raise `memory_budget` in engine.yaml; `aqueduct explain FILE` says every part",
    ))
}
