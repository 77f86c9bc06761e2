//! One of three brokers goes away, found by what it is: a leader, the group's coordinator, the controller.

use super::super::kit::CLUSTER;
use super::super::stage::{BOUND, Stage};
use super::super::trial::Trial;
use super::partitions_at;
use crate::harness::node::Node;
use crate::harness::wait;
use aqueduct_stack::Part;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What is promised after the loss of a broker.
const RECOVERY_MAX: Duration = Duration::from_secs(15);
const ASK_MAX: Duration = Duration::from_secs(10);
/// How long what was read before a loss may take to be written.
const IN_FLIGHT: Duration = Duration::from_millis(500);

pub fn leader_killed(trial: &mut Trial<'_>) {
    lose(trial, Nodes::Stay, |stage, random| Cluster::of(stage).leader(&stage.world.topic, random.i32(0..4)));
}

/// With it goes who would tell a node that comes what it may read.
pub fn coordinator_killed(trial: &mut Trial<'_>) {
    lose(trial, Nodes::OneComes, |stage, _| Cluster::of(stage).coordinator(&stage.topology));
}

pub fn controller_killed(trial: &mut Trial<'_>) {
    lose(trial, Nodes::Stay, |stage, _| controller(stage));
}

pub fn broker_lost_and_back(trial: &mut Trial<'_>) {
    lose(trial, Nodes::Stay, |_, random| random.choice(Part::BROKERS).expect("there are brokers"));
}

/// What nodes do while a broker is away.
#[derive(PartialEq, Eq)]
enum Nodes {
    Stay,
    /// One comes, so that the group must agree anew.
    OneComes,
}

/// Kills the broker that `victim` names, has it back, and so on.
fn lose(trial: &mut Trial<'_>, nodes: Nodes, victim: impl Fn(&Stage, &mut fastrand::Rng) -> Part) {
    let stage = Stage::set(trial, CLUSTER);
    Cluster::of(&stage).await_in_sync(&stage.world.topic);
    let load = stage.load(500);
    let first = stage.node("first");
    let mut second: Option<Node> = (nodes == Nodes::Stay).then(|| stage.node("second"));
    stage.await_progress(2_000);
    for _ in 0..trial.times(1, 12) {
        if let Some(node) = second.take_if(|_| nodes == Nodes::OneComes) {
            node.kill();
            await_each_partition(&stage);
        }
        let broker = victim(&stage, &mut trial.random);
        stage.world.stack().kill(broker).expect("killed");
        let began = Instant::now();
        trial.fault();
        second = second.or_else(|| Some(stage.node("second")));
        await_each_partition(&stage);
        let took = began.elapsed();
        trial.recovered(took);
        assert!(took <= RECOVERY_MAX, "without {broker} rows of every partition came only after {took:?}");
        std::thread::sleep(trial.seconds(0, 10));
        stage.world.stack().start(broker).expect("it comes back");
        Cluster::of(&stage).await_in_sync(&stage.world.topic);
    }
    trial.note("recovery: from the kill until every partition has new rows, its records sent after the kill");
    stage.judge(trial, load, std::iter::once(first).chain(second).collect());
}

/// Until rows of every partition have come that were not on their way before.
fn await_each_partition(stage: &Stage) {
    std::thread::sleep(IN_FLIGHT);
    let stood: BTreeMap<i32, i64> = partitions_at(stage, "next_offset").into_iter().collect();
    wait::until("new rows of every partition", BOUND, || {
        let next = partitions_at(stage, "next_offset");
        next.iter().all(|(partition, next)| *next > stood[partition]).then_some(())
    });
}

/// The active controller: the voter that the newest of the brokers' election records names.
fn controller(stage: &Stage) -> Part {
    let elected = Part::BROKERS.into_iter().filter_map(|broker| {
        let folder = stage.world.stack().folder().join(broker.name());
        let text = std::fs::read_to_string(folder.join("data/__cluster_metadata-0/quorum-state")).ok()?;
        let state: Value = serde_json::from_str(&text).ok()?;
        Some((state["leaderEpoch"].as_i64()?, state["leaderId"].as_i64().filter(|leader| *leader > 0)?))
    });
    let (_, leader) = elected.max().expect("the controllers have elected one");
    Part::BROKERS[leader as usize - 1]
}

/// What the brokers say of themselves.
struct Cluster(BaseConsumer);

impl Cluster {
    fn of(stage: &Stage) -> Self {
        Self(stage.client().create().expect("a client"))
    }

    fn leader(&self, topic: &str, partition: i32) -> Part {
        let metadata = self.0.fetch_metadata(Some(topic), ASK_MAX).expect("metadata");
        let partitions = metadata.topics()[0].partitions();
        let led = partitions.iter().find(|one| one.id() == partition).expect("the topic has the partition");
        Part::BROKERS[led.leader() as usize - 1]
    }

    /// Who keeps the group: the leader of the partition its name falls into.
    fn coordinator(&self, group: &str) -> Part {
        const GROUPS: &str = "__consumer_offsets";
        let metadata = self.0.fetch_metadata(Some(GROUPS), ASK_MAX).expect("metadata");
        let count = metadata.topics()[0].partitions().len() as i32;
        self.leader(GROUPS, (java_hash(group) & i32::MAX) % count)
    }

    /// Until every broker has everything, so that the next loss is the only one.
    fn await_in_sync(&self, topic: &str) {
        for topic in [topic, "__consumer_offsets"] {
            wait::until(&format!("{topic} in sync on every broker"), BOUND, || {
                let metadata = self.0.fetch_metadata(Some(topic), ASK_MAX).ok()?;
                let partitions = metadata.topics().first()?.partitions();
                // The topic of the groups is made with the first group.
                partitions.iter().all(|one| one.isr().len() == Part::BROKERS.len()).then_some(())
            });
        }
    }
}

/// `String.hashCode`.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[test]
fn a_name_is_hashed_as_brokers_do() {
    assert_eq!(java_hash("chaos-t-abc"), 562_487_036);
    assert_eq!(java_hash("hello"), 99_162_322);
}
