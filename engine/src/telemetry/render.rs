//! The metrics page: what the registry knows, then what the kinds recorded. No I/O.

use super::exposition::{Exposition, Type};
use super::{gates, names, recorder};
use crate::ledger::LedgerRow;
use crate::limits::SERIES_PARTITIONS_MAX;
use crate::registry::{ActorView, Registry};
use crate::status::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A link this full makes its reader a suspect.
const BOTTLENECK_FILL_RATIO: f64 = 0.75;

/// The page of `/metrics`.
pub fn render(registry: &Registry) -> String {
    let mut page = Exposition::default();
    let actors = registry.actors();
    let topology: &str = registry.topology();
    page.metric(names::BUILD_INFO, Type::Gauge).value(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let generation = registry.generation() as f64;
    page.metric(names::CONFIG_GENERATION, Type::Gauge).value(&[("topology", topology)], generation);
    render_actors(&mut page, topology, &actors);
    render_links(&mut page, topology, &actors);
    render_lag(&mut page, topology, &actors);
    render_ledger(&mut page, topology, &actors, registry.ledger().rows());
    gates::render(&mut page, topology, &registry.gates());
    let mut text = page.finish();
    text.push_str(&recorder::render());
    text
}

fn render_actors(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    let mut series = page.metric(names::ACTOR_STATE, Type::Gauge);
    for actor in actors {
        for word in State::WORDS {
            let [a, b, c] = labels(topology, actor);
            series.value(&[a, b, c, ("state", word)], f64::from(u8::from(actor.state == word)));
        }
    }
    let mut series = page.metric(names::RESTARTS_TOTAL, Type::Counter);
    for actor in actors {
        series.value(&labels(topology, actor), actor.restarts as f64);
    }
    let mut series = page.metric(names::BLOCKED_SECONDS_TOTAL, Type::Counter);
    for actor in actors {
        series.value(&labels(topology, actor), actor.blocked_seconds);
    }
    let mut series = page.metric(names::DEAD_LETTERS_TOTAL, Type::Counter);
    for actor in actors {
        for (reason, count) in &actor.dead_letters {
            let [a, b, c] = labels(topology, actor);
            series.value(&[a, b, c, ("reason", reason)], *count as f64);
        }
    }
}

fn render_links(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    let mut series = page.metric(names::LINK_FILL_RATIO, Type::Gauge);
    for actor in actors {
        for link in &actor.inputs {
            let [a, b, c] = labels(topology, actor);
            series.value(&[a, b, c, ("from", &link.from)], link.ratio);
        }
    }
    let mut series = page.metric(names::BOTTLENECK, Type::Gauge);
    let full_into = |actor: &ActorView| actor.inputs.iter().any(|link| link.ratio >= BOTTLENECK_FILL_RATIO);
    for actor in actors {
        let readers = actors.iter().flat_map(|reader| &reader.inputs).filter(|link| link.from == actor.name);
        let held_up = readers.into_iter().any(|link| link.ratio >= BOTTLENECK_FILL_RATIO);
        series.value(&labels(topology, actor), f64::from(u8::from(full_into(actor) && !held_up)));
    }
}

fn render_lag(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    let detailed = actors.iter().map(|actor| actor.lag.len()).sum::<usize>() <= SERIES_PARTITIONS_MAX;
    let mut series = page.metric(names::LAG_RECORDS, Type::Gauge);
    for actor in actors.iter().filter(|actor| !actor.lag.is_empty()) {
        if !detailed {
            series.value(&labels(topology, actor), actor.lag.iter().map(|lag| lag.records as f64).sum());
            continue;
        }
        for lag in &actor.lag {
            let [a, b, c] = labels(topology, actor);
            let partition = lag.partition.to_string();
            series.value(&[a, b, c, ("topic", &lag.topic), ("partition", &partition)], lag.records as f64);
        }
    }
    let mut series = page.metric(names::LAG_SECONDS, Type::Gauge);
    for actor in actors.iter().filter(|actor| !actor.lag.is_empty()) {
        if !detailed {
            let oldest = actor.lag.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
            series.value(&labels(topology, actor), oldest);
            continue;
        }
        for lag in &actor.lag {
            let [a, b, c] = labels(topology, actor);
            let partition = lag.partition.to_string();
            series.value(&[a, b, c, ("topic", &lag.topic), ("partition", &partition)], lag.seconds);
        }
    }
}

/// What the ledger says of one partition (or, above the budget, of one source), all epochs together.
#[derive(Clone, Copy, Default)]
struct Fates {
    by_fate: [u64; 5],
    in_flight: u64,
    unaccounted: i64,
}

const FATES: [&str; 5] = ["read", "written", "dead_lettered", "filtered", "skipped"];

fn render_ledger(page: &mut Exposition, topology: &str, actors: &[ActorView], rows: Vec<LedgerRow>) {
    let sums = sum(&rows);
    let mut series = page.metric(names::RECORDS_TOTAL, Type::Counter);
    for (key, fates) in &sums {
        for (fate, count) in FATES.iter().zip(fates.by_fate) {
            let labels = ledger_labels(topology, actors, key);
            series.value(&[&labels[..], &[("fate", fate)]].concat(), count as f64);
        }
    }
    let mut series = page.metric(names::IN_FLIGHT_RECORDS, Type::Gauge);
    for (key, fates) in &sums {
        series.value(&ledger_labels(topology, actors, key), fates.in_flight as f64);
    }
    let mut series = page.metric(names::UNACCOUNTED_RECORDS, Type::Gauge);
    for (key, fates) in &sums {
        series.value(&ledger_labels(topology, actors, key), fates.unaccounted as f64);
    }
}

/// A source, topic and partition; the last two empty above the budget.
type Place = (Arc<str>, Arc<str>, String);

/// The ledger names a source by the identity of its offsets, the page by its name.
fn ledger_labels<'a>(
    topology: &'a str,
    actors: &'a [ActorView],
    place: &'a Place,
) -> Vec<(&'a str, &'a str)> {
    let (source, topic, partition) = place;
    let actor = actors.iter().find(|actor| actor.id == *source);
    let (name, kind) = actor.map_or((&**source, ""), |actor| (&*actor.name, actor.kind));
    let mut labels = vec![("topology", topology), ("actor", name), ("kind", kind)];
    if !partition.is_empty() {
        labels.extend([("topic", &**topic), ("partition", partition.as_str())]);
    }
    labels
}

fn sum(rows: &[LedgerRow]) -> BTreeMap<Place, Fates> {
    let detailed = rows.len() <= SERIES_PARTITIONS_MAX;
    let mut sums: BTreeMap<_, Fates> = BTreeMap::new();
    for row in rows {
        let (topic, partition) = if detailed {
            (row.topic.clone(), row.partition.to_string())
        } else {
            ("".into(), String::new())
        };
        let fates = sums.entry((row.source.clone(), topic, partition)).or_default();
        let counts = [row.read, row.written, row.dead_lettered, row.filtered, row.skipped];
        fates.by_fate.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        fates.in_flight += row.in_flight;
        fates.unaccounted += row.unaccounted;
    }
    sums
}

fn labels<'a>(topology: &'a str, actor: &'a ActorView) -> [(&'a str, &'a str); 3] {
    [("topology", topology), ("actor", &actor.name), ("kind", actor.kind)]
}
