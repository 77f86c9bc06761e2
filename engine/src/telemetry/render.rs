//! The metrics page: what the registry knows and what the actors measure of themselves. No I/O but the kernel's own figures.
//!
//! Partitions have a budget: those furthest behind have series of their own, the others of a source are summed under
//! `partition="other"`, so that sums over all series stay true. Counters go by the partition's number instead, or a sum
//! could go back when two of them change places.

use super::exposition::Exposition;
use super::figures::{Family, Figures};
use super::{Lag, bottleneck, gates, memory, names, process, recorder};
use crate::class::Class;
use crate::ledger::LedgerRow;
use crate::lifecycle::tally::ReloadOutcome;
use crate::limits::SERIES_PARTITIONS_MAX;
use crate::registry::{ActorView, Entry, Phase, Registry};
use crate::status::State;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where the partitions are summed that have no series of their own.
const OTHER: &str = "other";

/// The page of `/metrics`.
pub fn render(registry: &Registry) -> String {
    let mut page = Exposition::default();
    let actors = registry.actors();
    let topology: &str = registry.topology();
    let build: Vec<(&str, &str)> =
        registry.build.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.metric(names::BUILD_INFO).value(&build, 1.0);
    let generation = registry.generation() as f64;
    page.metric(names::CONFIG_GENERATION).value(&[("topology", topology)], generation);
    render_node(&mut page, topology, registry);
    render_actors(&mut page, topology, &actors);
    render_waiting(&mut page, topology, &actors);
    render_links(&mut page, topology, &actors);
    let folded = render_lag(&mut page, topology, &actors)
        + render_ledger(&mut page, topology, &actors, &registry.ledger().rows());
    gates::render(&mut page, topology, &registry.gates());
    render_figures(&mut page, registry, folded);
    process::render(&mut page);
    let mut text = page.finish();
    text.push_str(&recorder::render());
    text
}

fn render_node(page: &mut Exposition, topology: &str, registry: &Registry) {
    let truth = |holds: bool| f64::from(u8::from(holds));
    let topology = ("topology", topology);
    page.metric(names::READY).value(&[topology], truth(registry.is_ready()));
    let phase = registry.phase();
    let mut series = page.metric(names::PHASE);
    for (one, word) in Phase::WORDS {
        series.value(&[topology, ("phase", word)], truth(one == phase));
    }
    let reloads = registry.reloads();
    let mut series = page.metric(names::RELOADS_TOTAL);
    for (outcome, word) in ReloadOutcome::WORDS {
        series.value(&[topology, ("outcome", word)], reloads.of(outcome) as f64);
    }
    page.metric(names::RELOAD_APPLIED).value(&[topology], truth(reloads.is_applied()));
    let now_us = registry.clock.wall_us();
    for secret in registry.secrets().views() {
        let own = [topology, ("connection", secret.connection), ("secret", secret.secret)];
        if secret.generation.is_some() {
            let age_us = now_us.saturating_sub(secret.since_us).max(0);
            page.metric(names::SECRET_AGE_SECONDS).value(&own, age_us as f64 / 1e6);
        }
        page.metric(names::SECRET_REFUSED).value(&own, truth(secret.refused.is_some()));
        page.metric(names::SECRET_OLDER_CONNECTIONS).value(&own, secret.older_connections as f64);
    }
    if let Some(bytes) = memory::limit_bytes() {
        page.metric(names::MEMORY_LIMIT_BYTES).value(&[topology], bytes as f64);
    }
}

/// What an actor can wait for; the other classes end an actor or a batch.
const WAITING_CLASSES: [Class; 3] = [Class::Transient, Class::Capacity, Class::Config];

fn render_waiting(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    let mut series = page.metric(names::ACTOR_WAITING);
    for actor in actors {
        for class in WAITING_CLASSES {
            let [a, b, c] = labels(topology, actor);
            let waits = actor.waiting_class == Some(class.as_str());
            series.value(&[a, b, c, ("class", class.as_str())], f64::from(u8::from(waits)));
        }
    }
}

fn render_actors(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    for actor in actors {
        let [a, b, c] = labels(topology, actor);
        for word in State::WORDS {
            let is_in = f64::from(u8::from(actor.state == word));
            page.metric(names::ACTOR_STATE).value(&[a, b, c, ("state", word)], is_in);
        }
        page.metric(names::RESTARTS_TOTAL).value(&[a, b, c], actor.restarts as f64);
        page.metric(names::BLOCKED_SECONDS_TOTAL).value(&[a, b, c], actor.blocked_seconds);
        for (reason, count) in &actor.dead_letters {
            page.metric(names::DEAD_LETTERS_TOTAL).value(&[a, b, c, ("reason", reason)], *count as f64);
        }
    }
}

fn render_links(page: &mut Exposition, topology: &str, actors: &[ActorView]) {
    let slowest = bottleneck(actors).map(|actor| &actor.name);
    for actor in actors {
        let [a, b, c] = labels(topology, actor);
        for link in &actor.inputs {
            page.metric(names::LINK_FILL_RATIO).value(&[a, b, c, ("from", &link.from)], link.ratio);
        }
        for edge in &actor.outputs {
            let labels = [a, b, c, ("to", &*edge.to)];
            page.metric(names::EDGE_BLOCKED_SECONDS_TOTAL).value(&labels, edge.blocked_seconds);
            page.metric(names::PASSED_OVER_RECORDS_TOTAL).value(&labels, edge.passed_over_records as f64);
        }
        let is_slowest = slowest == Some(&actor.name);
        page.metric(names::BOTTLENECK).value(&[a, b, c], f64::from(u8::from(is_slowest)));
    }
}

/// Gives the number of metrics some of whose partitions found no place.
fn render_lag(page: &mut Exposition, topology: &str, actors: &[ActorView]) -> usize {
    const BY_PARTITION: usize = 2;
    let own = furthest_behind(actors);
    let mut is_folded = false;
    for actor in actors.iter().filter(|actor| !actor.lag.is_empty()) {
        let [a, b, c] = labels(topology, actor);
        let has_own = |lag: &&Lag| own.contains(&(&*actor.name, &*lag.topic, lag.partition));
        for lag in actor.lag.iter().filter(has_own) {
            let partition = lag.partition.to_string();
            let labels = [a, b, c, ("topic", &*lag.topic), ("partition", &*partition)];
            page.metric(names::LAG_RECORDS).value(&labels, lag.records as f64);
            page.metric(names::LAG_SECONDS).value(&labels, lag.seconds);
        }
        let others: Vec<&Lag> = actor.lag.iter().filter(|lag| !has_own(lag)).collect();
        if let Some(first) = others.first() {
            is_folded = true;
            let labels = [a, b, c, ("topic", &*first.topic), ("partition", OTHER)];
            let records = others.iter().map(|lag| lag.records as f64).sum();
            page.metric(names::LAG_RECORDS).value(&labels, records);
            let oldest = others.iter().map(|lag| lag.seconds).fold(0.0, f64::max);
            page.metric(names::LAG_SECONDS).value(&labels, oldest);
        }
        let oldest = actor.lag.iter().map(|lag| lag.sample_age_seconds).fold(0.0, f64::max);
        page.metric(names::LAG_SAMPLE_AGE_SECONDS).value(&[a, b, c], oldest);
        page.metric(names::LAG_PARTITIONS).value(&[a, b, c], actor.lag.len() as f64);
        page.metric(names::FOLDED_PARTITIONS).value(&[a, b, c], others.len() as f64);
    }
    if is_folded { BY_PARTITION } else { 0 }
}

/// The partitions that have series of their own: actor, topic, number.
fn furthest_behind(actors: &[ActorView]) -> BTreeSet<(&str, &str, i32)> {
    let mut all: Vec<(&ActorView, &Lag)> =
        actors.iter().flat_map(|actor| actor.lag.iter().map(move |lag| (actor, lag))).collect();
    if all.len() > SERIES_PARTITIONS_MAX {
        all.sort_by_key(|(_, lag)| std::cmp::Reverse(lag.records));
        all.truncate(SERIES_PARTITIONS_MAX);
    }
    all.into_iter().map(|(actor, lag)| (&*actor.name, &*lag.topic, lag.partition)).collect()
}

/// What the ledger says of one partition (or, beyond the budget, of several), all epochs together.
#[derive(Clone, Copy, Default)]
struct Fates {
    by_fate: [u64; 5],
    in_flight: u64,
    unaccounted: i64,
}

const FATES: [&str; 5] = ["read", "written", "dead_lettered", "filtered", "skipped"];

/// Gives the number of metrics some of whose partitions found no place.
fn render_ledger(page: &mut Exposition, topology: &str, actors: &[ActorView], rows: &[LedgerRow]) -> usize {
    const BY_PARTITION: usize = 3;
    let sums = sum(rows);
    for ((source, topic, partition), fates) in &sums {
        // The ledger names a source by the identity of its offsets, the page by its name.
        let actor = actors.iter().find(|actor| actor.id == *source);
        let (name, kind) = actor.map_or((&**source, ""), |actor| (&*actor.name, actor.kind));
        let partition = partition.map_or_else(|| OTHER.to_owned(), |number| number.to_string());
        let [a, b, c] = [("topology", topology), ("actor", name), ("kind", kind)];
        let [d, e] = [("topic", &**topic), ("partition", &*partition)];
        for (fate, count) in FATES.iter().zip(fates.by_fate) {
            page.metric(names::RECORDS_TOTAL).value(&[a, b, c, d, e, ("fate", fate)], count as f64);
        }
        page.metric(names::IN_FLIGHT_RECORDS).value(&[a, b, c, d, e], fates.in_flight as f64);
        page.metric(names::UNACCOUNTED_RECORDS).value(&[a, b, c, d, e], fates.unaccounted as f64);
    }
    let is_folded = sums.keys().any(|(_, _, partition)| partition.is_none());
    if is_folded { BY_PARTITION } else { 0 }
}

/// A source, topic and partition; without a number, those beyond the budget.
type Place = (Arc<str>, Arc<str>, Option<i32>);

fn sum(rows: &[LedgerRow]) -> BTreeMap<Place, Fates> {
    let places: BTreeSet<(i32, &str, &str)> =
        rows.iter().map(|row| (row.partition, &*row.source, &*row.topic)).collect();
    // The lowest numbers of every source.
    let last = places.iter().nth(SERIES_PARTITIONS_MAX.saturating_sub(1)).copied();
    let mut sums: BTreeMap<_, Fates> = BTreeMap::new();
    for row in rows {
        let has_own = last.is_none_or(|last| (row.partition, &*row.source, &*row.topic) <= last);
        let place = (row.source.clone(), row.topic.clone(), has_own.then_some(row.partition));
        let fates = sums.entry(place).or_default();
        let counts = [row.read, row.written, row.dead_lettered, row.filtered, row.skipped];
        fates.by_fate.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        fates.in_flight += row.in_flight;
        fates.unaccounted += row.unaccounted;
    }
    sums
}

/// What actors, and the stores they share, measure of themselves; and how many metrics are full, `folded` ones among them.
fn render_figures(page: &mut Exposition, registry: &Registry, folded: usize) {
    let topology: &str = registry.topology();
    let roster = registry.roster();
    let mut full = folded + registry.figures.full();
    for entry in roster.entries() {
        let Entry { identity, status, .. } = entry;
        let before = [("topology", topology), ("actor", &*identity.name), ("kind", identity.kind)];
        render_board(page, &before, status.figures());
        full += status.figures().full();
    }
    render_board(page, &[("topology", topology)], &registry.figures);
    page.metric(names::FULL_METRICS).value(&[("topology", topology)], full as f64);
}

fn render_board(page: &mut Exposition, before: &[(&str, &str)], figures: &Figures) {
    for Family { metric, series, .. } in figures.families() {
        let mut lines = page.metric(metric);
        for (own, value) in series {
            let own = own.iter().map(|(name, value)| (*name, value.as_str()));
            let labels: Vec<(&str, &str)> = before.iter().copied().chain(own).collect();
            lines.figure(&labels, &value);
        }
    }
}

fn labels<'a>(topology: &'a str, actor: &'a ActorView) -> [(&'a str, &'a str); 3] {
    [("topology", topology), ("actor", &actor.name), ("kind", actor.kind)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::host::Role;
    use crate::telemetry::names::Metric;

    const PARTITIONS: i32 = 10_000;

    fn series(page: &str, metric: Metric) -> Vec<&str> {
        page.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric.name)).collect()
    }

    fn value(line: &str) -> f64 {
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[test]
    fn ten_thousand_partitions_stay_within_the_budget_and_no_record_is_forgotten() {
        let mut source = ActorView::named("ticks", Role::Source);
        source.lag = (0..PARTITIONS)
            .map(|partition| Lag {
                records: i64::from(partition),
                seconds: f64::from(partition),
                ..Lag::none("md".into(), partition)
            })
            .collect();
        let mut page = Exposition::default();
        assert_eq!(render_lag(&mut page, "t", &[source]), 2, "metrics are full");
        let page = page.finish();
        let lag = series(&page, names::LAG_RECORDS);
        assert_eq!(lag.len(), SERIES_PARTITIONS_MAX + 1);
        let total: f64 = lag.iter().map(|line| value(line)).sum();
        assert_eq!(total, f64::from(PARTITIONS * (PARTITIONS - 1) / 2));
        assert!(
            lag.iter().any(|line| line.contains("partition=\"9999\"")),
            "the furthest behind has its own"
        );
        let other = PARTITIONS as usize - SERIES_PARTITIONS_MAX;
        let oldest = series(&page, names::LAG_SECONDS).into_iter().find(|line| line.contains(OTHER)).unwrap();
        assert_eq!(value(oldest), (other - 1) as f64);
        assert_eq!(value(series(&page, names::FOLDED_PARTITIONS)[0]), other as f64);
    }

    #[test]
    fn counters_of_partitions_beyond_the_budget_are_summed_and_never_go_back() {
        let row = |partition: i32, read: u64| LedgerRow {
            topology: "t".into(),
            source: "ticks".into(),
            topic: "md".into(),
            partition,
            epoch: 1,
            read,
            written: read,
            dead_lettered: 0,
            filtered: 0,
            skipped: 0,
            in_flight: 0,
            unaccounted: 0,
        };
        let other = |rows: &[LedgerRow]| {
            let mut page = Exposition::default();
            let full = render_ledger(&mut page, "t", &[ActorView::named("ticks", Role::Source)], rows);
            assert_eq!(full, 3, "metrics are full");
            let page = page.finish();
            let lines = series(&page, names::RECORDS_TOTAL);
            assert_eq!(lines.len(), (SERIES_PARTITIONS_MAX + 1) * FATES.len());
            let of_others = |line: &&&str| line.contains(OTHER) && line.contains("\"read\"");
            value(lines.iter().find(of_others).unwrap())
        };
        let before: Vec<_> = (0..PARTITIONS).map(|partition| row(partition, 10)).collect();
        let mut after = before.clone();
        after[9_999] = row(9_999, 1_000_000);
        let (before, after) = (other(&before), other(&after));
        assert_eq!(before, f64::from(10 * (PARTITIONS - SERIES_PARTITIONS_MAX as i32)));
        assert_eq!(after, before + 999_990.0);
    }
}
