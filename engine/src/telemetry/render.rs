//! The metrics page: what the registry knows, then what the kinds recorded. No I/O.

use super::exposition::{Exposition, Type};
use super::{names, recorder};
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
    page.metric(names::CONFIG_GENERATION, Type::Gauge).value(&[("topology", topology)], 1.0);
    render_actors(&mut page, topology, &actors);
    render_links(&mut page, topology, &actors);
    render_lag(&mut page, topology, &actors);
    render_ledger(&mut page, topology, &actors, registry.ledger().rows());
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
    let line = |key: &(Arc<str>, Arc<str>, String)| {
        let actor = actors.iter().find(|actor| actor.id == key.0);
        let (name, kind) =
            actor.map_or((key.0.to_string(), ""), |actor| (actor.name.to_string(), actor.kind));
        (name, kind)
    };
    let each = |series: &mut super::exposition::Series<'_>,
                value: &dyn Fn(&Fates) -> Vec<(Option<&'static str>, f64)>| {
        for (key, fates) in &sums {
            let (name, kind) = line(key);
            for (fate, value) in value(fates) {
                let mut labels = vec![("topology", topology), ("actor", name.as_str()), ("kind", kind)];
                if !key.2.is_empty() {
                    labels.extend([("topic", &*key.1), ("partition", key.2.as_str())]);
                }
                labels.extend(fate.map(|fate| ("fate", fate)));
                series.value(&labels, value);
            }
        }
    };
    let by_fate = |fates: &Fates| {
        FATES.iter().zip(fates.by_fate).map(|(fate, count)| (Some(*fate), count as f64)).collect()
    };
    each(&mut page.metric(names::RECORDS_TOTAL, Type::Counter), &by_fate);
    each(&mut page.metric(names::IN_FLIGHT_RECORDS, Type::Gauge), &|fates| {
        vec![(None, fates.in_flight as f64)]
    });
    each(&mut page.metric(names::UNACCOUNTED_RECORDS, Type::Gauge), &|fates| {
        vec![(None, fates.unaccounted as f64)]
    });
}

/// Keyed by source, topic, partition; the last two empty above the budget.
fn sum(rows: &[LedgerRow]) -> BTreeMap<(Arc<str>, Arc<str>, String), Fates> {
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
