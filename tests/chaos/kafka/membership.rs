//! Nodes come and go, and the group divides the partitions anew each time.

use super::super::kit::{CLUSTER, PLAIN};
use super::super::stage::{BOUND, Stage, chaos_with};
use super::super::trial::{Kit, Trial};
use crate::harness::node::Node;
use std::collections::BTreeMap;
use std::time::Instant;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// The member's own assignor, cooperative; nodes by names for one process only.
pub fn cooperative(trial: &mut Trial<'_>) {
    come_and_go(trial, PLAIN, "membership: dynamic");
}

/// The default: stable names, so a node that comes back takes its partitions back.
pub fn cooperative_static(trial: &mut Trial<'_>) {
    come_and_go(trial, PLAIN, "membership: static");
}

/// The broker's assignor: `uniform`, where nobody has chosen another.
pub fn kip848(trial: &mut Trial<'_>) {
    come_and_go(trial, PLAIN, KIP848);
}

/// The broker's assignor `range`, which is what these brokers are set to.
pub fn kip848_range(trial: &mut Trial<'_>) {
    come_and_go(trial, CLUSTER, KIP848);
}

const KIP848: &str = "group_protocol: consumer, membership: dynamic";

fn come_and_go(trial: &mut Trial<'_>, kit: Kit, source: &str) {
    let stage = Stage::set_as(trial, kit, &chaos_with(source));
    let load = stage.load(2_000);
    let mut nodes = BTreeMap::from([(NAMES[0], stage.node(NAMES[0]))]);
    stage.await_progress(1_000);
    let (until, pause) = (Instant::now() + trial.seconds(6, 180), trial.seconds(1, 5));
    while Instant::now() < until {
        let absent: Vec<&str> = NAMES.into_iter().filter(|name| !nodes.contains_key(name)).collect();
        let joins = nodes.len() == 1 || (!absent.is_empty() && trial.random.bool());
        if joins {
            let name = *trial.random.choice(&absent).expect("somebody is absent");
            nodes.insert(name, stage.node(name));
        } else {
            let present: Vec<&str> = nodes.keys().copied().collect();
            let name = *trial.random.choice(&present).expect("somebody is there");
            leave(trial, nodes.remove(name).expect("it is there"));
        }
        trial.fault();
        std::thread::sleep(pause);
    }
    let took = stage.time_to_progress();
    trial.recovered(took);
    stage.judge(trial, load, nodes.into_values().collect());
}

/// In order or not.
fn leave(trial: &mut Trial<'_>, node: Node) {
    if trial.random.bool() {
        node.kill();
        return;
    }
    node.terminate();
    let code = node.exit_code(BOUND);
    assert_eq!(code, 0, "a node that leaves drains to its end");
}
