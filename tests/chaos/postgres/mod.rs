//! What happens to the database, and on the way to it.

mod black_hole;
mod chunks;
mod columns;
mod disk;
mod failover;
mod outage;
mod refusals;
mod reset;
mod sessions;

use super::oracle::Findings;
use super::scenario::Scenario;
use super::stage::Stage;
use super::trial::Trial;
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::wire::Proxy;
use std::time::{Duration, Instant};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("postgres.reset_at_every_protocol_stage", reset::at_every_protocol_stage),
    Scenario::short("postgres.commit_reply_cut", reset::commit_reply_cut),
    Scenario::short("postgres.black_hole_in_connect", black_hole::in_connect),
    Scenario::short("postgres.black_hole_while_idle", black_hole::while_idle),
    Scenario::short("postgres.black_hole_in_copy_and_commit", black_hole::in_copy_and_commit),
    Scenario::short("postgres.backends_terminated_in_a_loop", sessions::terminated_in_a_loop),
    Scenario::short("postgres.too_many_connections", sessions::too_many_connections),
    Scenario::short("postgres.deadlocks_and_serialization_failures", refusals::deadlocks_and_serialization),
    Scenario::short("postgres.column_dropped", columns::dropped),
    Scenario::short("postgres.column_added", columns::added),
    Scenario::short("postgres.column_retyped", columns::retyped),
    Scenario::short("postgres.chunks_dropped_each_second", chunks::dropped_each_second),
    Scenario::short("postgres.disk_full", disk::full),
    Scenario::short("postgres.stopped_for_long_at_full_input", outage::stopped_at_full_input),
    Scenario::short("postgres.failover_to_the_standby", failover::to_the_standby).recovering_within(10),
    Scenario::short("postgres.failover_that_lost_commits", failover::that_lost_commits).recovering_within(10),
    Scenario::short("postgres.old_primary_back_read_only", failover::old_primary_back_read_only)
        .recovering_within(10),
];

/// Records a second while something is disturbed.
const RATE: u64 = 3_000;
/// Before the first disturbance so many records are written: the stage is in order.
const FIRST: i64 = 1_000;
/// How long nodes may take to share the partitions out.
const STARTED_WITHIN: Duration = Duration::from_secs(60);
/// How soon a fault that was armed must have met somebody.
const STRIKES_WITHIN: Duration = Duration::from_secs(60);

impl Stage {
    /// A node that reaches the database over `wire`.
    fn wired(&self, name: &str, wire: &Proxy) -> Node {
        let url = wire.url(self.world.database_url());
        self.node_with(name, &[], &[("TIMESCALE_URL", &url)])
    }

    fn wire(&self) -> Proxy {
        Proxy::to(self.world.database_url())
    }
}

/// Waits until faults have met sessions so often in all.
fn await_struck(wire: &Proxy, times: u32) -> Instant {
    wait::until(&format!("fault {times} meets a session"), STRIKES_WITHIN, || {
        (wire.struck() >= times).then(Instant::now)
    })
}

/// What the node says of the writer that waits; its reason must have all of `words`.
fn await_waiting(node: &Node, words: &[&str]) {
    let named = |body: &String| body.contains("history") && words.iter().all(|word| body.contains(word));
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until("the writer waits", STRIKES_WITHIN, || {
            node.get("/readyz").filter(|(status, body)| *status == 503 && named(body))
        })
    }));
    if asked.is_err() {
        panic!("/readyz never named the writer with {words:?}; last: {:?}", node.get("/readyz"));
    }
}

/// How often actors were started again.
fn restarts(node: &Node) -> i64 {
    let actors = node.json("/api/actors");
    let count = |actor: &serde_json::Value| actor["restarts"].as_i64().expect("a count");
    actors.as_array().expect("an array").iter().map(count).sum()
}

/// The database's trouble is no fault of the records.
fn none_rejected(trial: &mut Trial<'_>) {
    if let Some(Findings { dead_lettered, wrong, .. }) = &mut trial.findings
        && *dead_lettered > 0
    {
        wrong.push(format!("{dead_lettered} records were dead-lettered for the database's trouble"));
    }
}
