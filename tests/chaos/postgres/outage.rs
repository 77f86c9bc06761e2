//! The database is away while records keep coming as fast as they can.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, await_waiting, none_rejected, restarts};
use aqueduct_stack::Part;
use std::time::Duration;

/// So much comes until every queue and link is full.
const FULL_RATE: u64 = 40_000;
const UNTIL_FULL: Duration = Duration::from_secs(6);
/// What a node may use through it, MiB.
const PEAK_MIB_MAX: u64 = 200;

/// Memory stays where it was; what came is written afterwards.
pub fn stopped_at_full_input(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(RATE);
    let node = stage.node("stopped");
    stage.await_progress(FIRST);
    stage.world.stack().stop(Part::Timescale).expect("stop PostgreSQL");
    trial.fault();
    load.rate(FULL_RATE);
    await_waiting(&node, &[]);
    std::thread::sleep(UNTIL_FULL);
    // Full is full: more would only fill the broker's disk.
    load.rate(RATE);
    std::thread::sleep(trial.seconds(2, 594));
    assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200));
    assert_eq!(restarts(&node), 0, "an outage burns no restart");
    stage.world.stack().start(Part::Timescale).expect("start PostgreSQL");
    trial.recovered(stage.time_to_progress());
    node.await_ready(200, super::STARTED_WITHIN);
    let peak = node.peak_memory_mib();
    assert!(peak <= PEAK_MIB_MAX, "it used {peak} MiB");
    trial.note(format!("{} records waited while the database was away; peak {peak} MiB", load.sent()));
    stage.judge(trial, load, vec![node]);
    none_rejected(trial);
}
