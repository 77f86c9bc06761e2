//! What the page shows at one moment, from the registry alone. Counts, states and reasons, no payloads.

use super::Desk;
use crate::clock::Instant;
use crate::ledger::Counts;
use crate::quality::GateTotals;
use crate::registry::{ActorView, NotReady, Phase, SupervisorView};
use crate::telemetry::bottleneck;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Counts of the snapshot before, for rates.
#[derive(Debug, Default)]
pub(super) struct Before {
    at: Option<Instant>,
    /// By reader and writer.
    records: HashMap<(Arc<str>, Arc<str>), u64>,
    totals: Counts,
}

/// See `/api/live` in the documentation of the page.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    at_us: i64,
    topology: Arc<str>,
    node: Arc<str>,
    version: &'static str,
    started_us: i64,
    generation: u64,
    phase: Phase,
    phase_since_us: i64,
    phase_reason: String,
    ready: bool,
    not_ready: Vec<NotReady>,
    supervisors: Vec<SupervisorView>,
    actors: Vec<ActorView>,
    edges: Vec<EdgeView>,
    ledger: Totals,
    /// Nobody, or the one that the others wait for.
    bottleneck: Vec<Arc<str>>,
    /// What each quality gate says of its keys.
    gates: Vec<GateTotals>,
    /// The newest event there is.
    event_id: u64,
    /// What who has no token may do here.
    door: DoorView,
}

/// One link, for people.
#[derive(Debug, Serialize)]
struct EdgeView {
    from: Arc<str>,
    to: Arc<str>,
    records: u64,
    /// `None` = there is nothing to compare with yet.
    records_per_second: Option<f64>,
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Totals {
    #[serde(flatten)]
    counts: Counts,
    unaccounted: i64,
    read_per_second: Option<f64>,
    written_per_second: Option<f64>,
    dead_lettered_per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct DoorView {
    /// Whether orders are taken at all: with the token.
    orders: bool,
    /// Whether rows, keys and events need the token too.
    payloads_need_token: bool,
}

/// The snapshot of now; `before` becomes it.
pub(super) fn make(desk: &Desk, before: &mut Before) -> Snapshot {
    let registry = desk.handle.registry();
    let (now, phase, not_ready) = (registry.clock.now(), registry.phase_view(), registry.not_ready());
    let actors = registry.actors();
    let seconds = before.at.map(|at| now.saturating_duration_since(at).as_secs_f64()).filter(|&s| s > 0.0);
    let rate = |now: u64, before: Option<u64>| {
        let grown = now.saturating_sub(before?) as f64;
        seconds.map(|seconds| (grown / seconds * 10.0).round() / 10.0)
    };
    let mut records = HashMap::new();
    let mut edges = Vec::new();
    for actor in &actors {
        for link in &actor.inputs {
            let key = (actor.name.clone(), link.from.clone());
            let per_second = rate(link.records, before.records.get(&key).copied());
            records.insert(key, link.records);
            let (from, to) = (link.from.clone(), actor.name.clone());
            let (records, ratio) = (link.records, link.ratio);
            edges.push(EdgeView { from, to, records, records_per_second: per_second, ratio });
        }
    }
    let counts = registry.ledger().totals();
    let total = |of: fn(&Counts) -> u64| rate(of(&counts), Some(of(&before.totals)));
    let ledger = Totals {
        unaccounted: counts.unaccounted(),
        read_per_second: total(|counts| counts.read),
        written_per_second: total(|counts| counts.written),
        dead_lettered_per_second: total(|counts| counts.dead_lettered),
        counts,
    };
    *before = Before { at: Some(now), records, totals: counts };
    Snapshot {
        at_us: registry.clock.wall_us(),
        topology: registry.topology().clone(),
        node: registry.node().clone(),
        version: env!("CARGO_PKG_VERSION"),
        started_us: registry.started_us(),
        generation: registry.generation(),
        phase: phase.phase,
        phase_since_us: phase.since_us,
        phase_reason: phase.reason,
        ready: phase.phase == Phase::Running && not_ready.is_empty(),
        not_ready,
        supervisors: registry.supervisors(),
        bottleneck: bottleneck(&actors).map(|actor| actor.name.clone()).into_iter().collect(),
        gates: registry.gates().iter().map(|(_, gate)| gate.totals()).collect(),
        actors,
        edges,
        ledger,
        event_id: *registry.events().newest().borrow(),
        door: DoorView { orders: desk.token.is_some(), payloads_need_token: !desk.loopback },
    }
}
