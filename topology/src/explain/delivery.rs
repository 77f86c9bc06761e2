//! What each sink promises, and where each source begins after a restart.

use crate::bounds::HEAL_RECORDS_MAX;
use crate::drawing::place;
use crate::model::{Actor, Kind, OnConflict, Policy, Start, Topology};
use serde::Serialize;

/// A sink's promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// Which sink.
    pub sink: String,
    /// Its kind.
    pub kind: &'static str,
    /// What it writes to.
    pub place: String,
    /// `required` or `best_effort`.
    pub policy: &'static str,
    /// `exactly once`, `newest wins` or `at least once`.
    pub guarantee: &'static str,
    /// Why, and within which limits.
    pub because: String,
}

/// Where a source begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestartPoint {
    /// Which source.
    pub source: String,
    /// What it reads.
    pub place: String,
    /// `aqueduct.offsets` in TimescaleDB, or Kafka's commits of the group.
    pub offsets_in: String,
    /// The identities whose offsets decide: the least of them, for each partition.
    pub decided_by: Vec<String>,
    /// Where it begins where none has an offset.
    pub without_offsets: String,
}

pub(super) fn sinks(topology: &Topology) -> Vec<Delivery> {
    let sinks = topology.actors.iter().filter(|actor| actor.kind.is_sink());
    sinks.map(|sink| delivery(topology, sink)).collect()
}

fn delivery(topology: &Topology, sink: &Actor) -> Delivery {
    let behind_gate = topology.sources_of(&sink.name.value).iter().any(|source| source.kind.is_gate());
    let (guarantee, why) = match &sink.kind {
        Kind::TimescaleWriter(writer) if writer.on_conflict == OnConflict::Replace => (
            "exactly once",
            match writer.order_by {
                Some(_) => {
                    "its offsets move in the transaction of its rows; a row gives way only to one of the same business key that is not older"
                }
                None => {
                    "its offsets move in the transaction of its rows; of one business key the last row to come stays"
                }
            },
        ),
        Kind::TimescaleWriter(writer) if !writer.unique.is_empty() => (
            "exactly once",
            "its offsets move in the transaction of its rows; a business key that is there already is not written again",
        ),
        Kind::TimescaleWriter(_) => ("exactly once", "its offsets move in the transaction of its rows"),
        Kind::RedisCache(_) => (
            "newest wins",
            "a value gives way only to a greater (order, partition, offset, row), so a replay cannot lower it",
        ),
        _ => ("at least once", "after a crash what was not yet confirmed is written again"),
    };
    let because = match sink.policy {
        Policy::Required if behind_gate => {
            format!("{why}; while it is away the gate says nothing new, and judges on")
        }
        Policy::BestEffort if behind_gate => {
            format!("{why}; what it misses while it is away is not written later: the next verdict is")
        }
        Policy::Required => format!("{why}; while it is away its sources wait"),
        Policy::BestEffort => format!(
            "{why}; while it is away the others go on, and what it missed is healed at the next start, at most \
             {HEAL_RECORDS_MAX} records of a partition: older ones are skipped, and counted"
        ),
    };
    Delivery {
        sink: sink.name.value.clone(),
        kind: sink.kind.name(),
        place: place(&sink.kind).unwrap_or_default(),
        policy: sink.policy.word(),
        guarantee,
        because,
    }
}

pub(super) fn restart_points(topology: &Topology) -> Vec<RestartPoint> {
    let in_database = topology.actors.iter().any(|actor| matches!(actor.kind, Kind::TimescaleWriter(_)));
    let offsets_in = match in_database {
        true => "table aqueduct.offsets".to_owned(),
        false => format!("Kafka's commits of group {}", topology.name.value),
    };
    let sources = topology.actors.iter().filter(|actor| actor.kind.is_source());
    let point = |source: &Actor| RestartPoint {
        source: source.name.value.clone(),
        place: place(&source.kind).unwrap_or_default(),
        offsets_in: offsets_in.clone(),
        decided_by: topology.sinks_of(&source.name.value).iter().map(|sink| sink.id.value.clone()).collect(),
        without_offsets: match &source.kind {
            Kind::KafkaSource(kafka) => start(&kafka.start.value),
            _ => "the first record of the file".to_owned(),
        },
    };
    sources.map(point).collect()
}

fn start(start: &Start) -> String {
    match start {
        Start::Earliest => "the start of the log".to_owned(),
        Start::Latest => "the end of the log".to_owned(),
        Start::At(micros) => format!("the first record not older than {micros} us since 1970 UTC"),
    }
}
