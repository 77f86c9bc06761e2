//! What the report says, gathered from the endpoints of one node.

use crate::http::Node;
use anyhow::{Context, Result, bail};
use aqueduct_engine::Clock;
use aqueduct_engine::gaps::{self, Gap};
use aqueduct_engine::ledger::Counts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Everything of one moment.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// RFC 3339 UTC.
    pub(super) at: String,
    pub(super) node: Who,
    pub(super) health: Health,
    pub(super) ingest: Ingest,
    pub(super) lag: Vec<SourceLag>,
    /// By actor and reason.
    pub(super) dead_letters: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) caches: Vec<Cache>,
    /// As `/api/quality` says it, without keys and rows.
    pub(super) gates: Vec<Gate>,
    /// Newest first.
    pub(super) drills: Vec<Drill>,
    pub(super) known_gaps: Vec<Gap>,
}

/// Which node, and what runs there.
#[derive(Debug, Serialize)]
pub(super) struct Who {
    pub(super) topology: String,
    pub(super) node: String,
    pub(super) version: String,
    pub(super) generation: u64,
    pub(super) phase: String,
    /// RFC 3339 UTC.
    pub(super) started: String,
    pub(super) actors: usize,
    pub(super) restarts: u64,
}

/// Whether it does its work.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    pub(super) ready: bool,
    pub(super) not_ready: Vec<NotReady>,
}

/// Who does not, why, since when.
#[derive(Debug, Serialize)]
pub(super) struct NotReady {
    pub(super) actor: String,
    pub(super) state: String,
    pub(super) reason: String,
    /// RFC 3339 UTC.
    pub(super) since: String,
}

/// The ledger's sums since this node was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Ingest {
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// What the fates lack to make up what was read; anything but 0 is a bug.
    pub(super) unaccounted: i64,
}

/// How far behind one source is.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct SourceLag {
    pub(super) source: String,
    pub(super) partitions: usize,
    pub(super) records: i64,
    /// The oldest of its partitions.
    pub(super) seconds: f64,
}

/// How one cache serves its readers.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Cache {
    pub(super) actor: String,
    /// By who counts: `readers`, `server`.
    pub(super) hit_ratio: BTreeMap<String, f64>,
    pub(super) age_seconds: Option<f64>,
    pub(super) sampled_keys: Option<f64>,
    /// Keys of the sample that were missing, behind or of another type.
    pub(super) drifted_keys: Option<f64>,
}

/// What one quality gate says.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gate {
    pub(super) gate: String,
    pub(super) mode: String,
    pub(super) keys: u64,
    pub(super) halted: u64,
    pub(super) watched: u64,
}

/// A drill that was carried out.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Drill {
    pub(super) drill: String,
    pub(super) passed: bool,
    pub(super) node: String,
    /// RFC 3339 UTC.
    pub(super) ended: String,
    pub(super) seconds: f64,
    /// What was measured, by name.
    pub(super) figures: BTreeMap<String, Value>,
}

impl Report {
    /// Asks `node` for all of it.
    pub(super) fn of(node: &Node) -> Result<Self> {
        let topology = json(node, "/api/topology")?;
        // It says so with the status as well; the body has both answers.
        let ready = body(node, "/readyz")?;
        let actors = json(node, "/api/actors")?;
        let actors: &[Value] = actors.as_array().map_or(&[], Vec::as_slice);
        let ledger = json(node, "/api/ledger")?;
        Ok(Self {
            at: crate::output::time(Clock::system().wall_us()),
            node: who(&topology, actors),
            health: health(&ready),
            ingest: ingest(ledger.as_array().map_or(&[], Vec::as_slice)),
            lag: actors.iter().filter_map(lag).collect(),
            dead_letters: actors.iter().filter_map(dead_letters).collect(),
            caches: actors.iter().filter(|actor| actor["kind"] == "redis_cache").map(cache).collect(),
            gates: list(&optional(node, "/api/quality")?["gates"]).iter().map(gate).collect(),
            drills: list(&optional(node, "/api/drills")?["drills"]).iter().map(drill).collect(),
            known_gaps: gaps::all(),
        })
    }
}

/// The answer of an endpoint that answers 200.
fn json(node: &Node, path: &str) -> Result<Value> {
    let answer = node.get(path)?;
    if answer.status != 200 {
        let said = String::from_utf8_lossy(&answer.body);
        bail!("the node answered {path} with {}: {}", answer.status, said.trim());
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("the node's answer to {path}"))
}

/// The answer of an endpoint whose status is an answer too.
fn body(node: &Node, path: &str) -> Result<Value> {
    serde_json::from_slice(&node.get(path)?.body).with_context(|| format!("the node's answer to {path}"))
}

/// Null from a node that does not have it, or has no database to look it up in.
fn optional(node: &Node, path: &str) -> Result<Value> {
    let answer = node.get(path)?;
    Ok(if answer.status == 200 {
        serde_json::from_slice(&answer.body).unwrap_or_default()
    } else {
        Value::Null
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn time(value: &Value) -> String {
    value.as_i64().map(crate::output::second).unwrap_or_default()
}

fn who(topology: &Value, actors: &[Value]) -> Who {
    Who {
        topology: text(&topology["topology"]),
        node: text(&topology["node"]),
        version: text(&topology["version"]),
        generation: topology["generation"].as_u64().unwrap_or_default(),
        phase: text(&topology["phase"]),
        started: time(&topology["started_us"]),
        actors: actors.len(),
        restarts: actors.iter().filter_map(|actor| actor["restarts"].as_u64()).sum(),
    }
}

fn health(ready: &Value) -> Health {
    let one = |one: &Value| NotReady {
        actor: text(&one["actor"]),
        state: text(&one["state"]),
        reason: text(&one["reason"]),
        since: time(&one["since_us"]),
    };
    Health {
        ready: ready["ready"].as_bool().unwrap_or_default(),
        not_ready: list(&ready["not_ready"]).iter().map(one).collect(),
    }
}

/// A line that this version cannot read counts as nothing.
fn ingest(rows: &[Value]) -> Ingest {
    let counts: Counts = rows.iter().filter_map(|row| Counts::deserialize(row).ok()).sum();
    Ingest { counts, unaccounted: counts.unaccounted() }
}

fn lag(actor: &Value) -> Option<SourceLag> {
    let lines = list(&actor["lag"]);
    (!lines.is_empty()).then(|| SourceLag {
        source: text(&actor["name"]),
        partitions: lines.len(),
        records: lines.iter().filter_map(|line| line["records"].as_i64()).sum(),
        seconds: lines.iter().filter_map(|line| line["seconds"].as_f64()).fold(0.0, f64::max),
    })
}

fn dead_letters(actor: &Value) -> Option<(String, BTreeMap<String, u64>)> {
    let counts = actor["dead_letters"].as_object()?;
    let counts: BTreeMap<_, _> =
        counts.iter().filter_map(|(reason, count)| Some((reason.clone(), count.as_u64()?))).collect();
    (!counts.is_empty()).then(|| (text(&actor["name"]), counts))
}

fn cache(actor: &Value) -> Cache {
    let figures = list(&actor["figures"]);
    let named = |name: &'static str| figures.iter().filter(move |figure| figure["name"] == name);
    let sum = |name: &'static str| {
        let values: Vec<f64> = named(name).filter_map(|figure| figure["value"].as_f64()).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    };
    use aqueduct_engine::telemetry::names;
    Cache {
        actor: text(&actor["name"]),
        hit_ratio: named(names::CACHE_HIT_RATIO.name)
            .filter_map(|figure| Some((text(&figure["labels"]["by"]), figure["value"].as_f64()?)))
            .collect(),
        age_seconds: sum(names::CACHE_AGE_SECONDS.name),
        sampled_keys: sum(names::CACHE_SAMPLED_KEYS.name),
        drifted_keys: sum(names::CACHE_DRIFTED_KEYS.name),
    }
}

fn gate(gate: &Value) -> Gate {
    let count = |name: &str| gate[name].as_u64().unwrap_or_default();
    Gate {
        gate: text(&gate["gate"]),
        mode: text(&gate["mode"]),
        keys: count("keys_total"),
        halted: count("halted"),
        watched: count("watched"),
    }
}

fn drill(drill: &Value) -> Drill {
    let at = |name: &str| drill[name].as_i64().unwrap_or_default();
    let plain = |value: &Value| value.is_number() || value.is_string() || value.is_boolean();
    let figures = drill["report"].as_object().into_iter().flatten();
    Drill {
        drill: text(&drill["drill"]),
        passed: drill["passed"].as_bool().unwrap_or_default(),
        node: text(&drill["node"]),
        ended: time(&drill["ended_us"]),
        seconds: (at("ended_us") - at("started_us")) as f64 / 1e6,
        figures: figures
            .filter(|(_, value)| plain(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_drill_shows_its_plain_figures() {
        let seen = drill(&json!({
            "drill": "failover", "passed": true, "node": "a", "started_us": 1_000_000, "ended_us": 4_500_000,
            "report": { "rto_seconds": 2.5, "timeline": [1, 2] },
        }));
        assert_eq!((seen.passed, seen.seconds), (true, 3.5));
        assert_eq!(seen.figures, BTreeMap::from([("rto_seconds".to_owned(), json!(2.5))]));
    }

    #[test]
    fn the_ledger_is_summed_and_what_lacks_is_said() {
        let row = json!({ "read": 10, "written": 6, "dead_lettered": 1, "filtered": 1, "skipped": 0, "in_flight": 1 });
        let sums = ingest(&[row.clone(), row]);
        assert_eq!((sums.counts.read, sums.counts.written, sums.unaccounted), (20, 12, 2));
    }

    #[test]
    fn the_oldest_partition_says_how_old_a_source_is() {
        let actor = json!({ "name": "ticks", "lag": [{ "records": 3, "seconds": 1.5 }, { "records": 4, "seconds": 9.0 }] });
        let expected = SourceLag { source: "ticks".into(), partitions: 2, records: 7, seconds: 9.0 };
        assert_eq!(lag(&actor), Some(expected));
        assert_eq!(lag(&json!({ "name": "trades", "lag": [] })), None);
    }

    #[test]
    fn a_cache_whose_readers_do_not_count_has_no_ratio_of_theirs() {
        let figures = json!([
            { "name": "aqueduct_cache_hit_ratio", "labels": { "by": "server" }, "value": 0.75 },
            { "name": "aqueduct_cache_drifted_keys", "labels": { "how": "missing" }, "value": 2.0 },
            { "name": "aqueduct_cache_drifted_keys", "labels": { "how": "behind" }, "value": 1.0 },
        ]);
        let seen = cache(&json!({ "name": "cache", "kind": "redis_cache", "figures": figures }));
        assert_eq!(seen.hit_ratio, BTreeMap::from([("server".to_owned(), 0.75)]));
        assert_eq!((seen.drifted_keys, seen.sampled_keys), (Some(3.0), None));
    }
}
