//! Bugs of the Kafka source, each in a process of its own: the source has a thread of its own, and what is wrong with it
//! shows as something that never comes. Against librdkafka's own broker; the same cases run on a real one in
//! `tests/e2e/kafka`.

#[path = "../e2e/kafka/source.rs"]
#[allow(dead_code, reason = "the cases on a real broker use more of it")]
mod source;

use aqueduct_engine::State;
use aqueduct_engine::testing::Probe;
use aqueduct_topology::model::Membership;
use futures::future::join;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use source::{Node, Table, Told, produce};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// What has not come by then never will.
const PATIENCE: Duration = Duration::from_secs(40);

fn cluster(partitions: i32) -> (Cluster, Told) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", partitions, 1).unwrap();
    let told = Told::new(&cluster.bootstrap_servers(), "t");
    (cluster, told)
}

async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn numbers(range: std::ops::Range<i32>) -> impl Iterator<Item = String> {
    range.map(|number| number.to_string())
}

/// Rule 18.
#[tokio::test]
async fn what_was_sent_is_read() {
    super::plant_as_told();
    let (_cluster, told) = cluster(1);
    let table = Arc::new(Table::default());
    produce(&told, 0, numbers(0..10));
    Node::new(&told, &table).run(async |_| until("the records", || table.count() == 10).await).await;
}

/// Rule 17: a second node is given what the first gives back.
#[tokio::test]
async fn a_second_node_is_given_its_share() {
    super::plant_as_told();
    let (_cluster, told) = cluster(2);
    let table = Arc::new(Table::default());
    (0..2).for_each(|partition| produce(&told, partition, numbers(0..10)));
    let has_partitions = |probe: &Probe| !probe.claims().all().is_empty();
    let told = Told { membership: Membership::Dynamic, ..told };
    let second = Told { node: "b", ..told.clone() };
    let shared = std::cell::Cell::new(false);
    let first = Node::new(&told, &table).run(async |_| {
        until("the first reads", || table.count() == 20).await;
        until("the second has its share", || shared.get()).await;
    });
    let other = async {
        until("the first reads", || table.count() == 20).await;
        let node = Node::new(&second, &table).run(async |probe| {
            until("the second has partitions", || has_partitions(probe)).await;
            (0..2).for_each(|partition| produce(&told, partition, numbers(10..20)));
            until("both read", || table.count() == 40).await;
            shared.set(true);
        });
        node.await;
    };
    join(first, other).await;
}

/// Rule 16: a member whose name another one has taken leaves for good, and says so. The broker in this process knows
/// nothing of names, so it is told to say what a real one says to the older of two.
#[tokio::test]
async fn a_member_whose_name_was_taken_leaves() {
    super::plant_as_told();
    let (cluster, told) = cluster(1);
    let table = Arc::new(Table::default());
    produce(&told, 0, numbers(0..10));
    let node = Node::new(&told, &table).run(async |probe| {
        until("the records", || table.count() == 10).await;
        let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
        cluster.request_errors(RDKafkaApiKey::Heartbeat, &[fenced]);
        let has_left = || matches!(probe.status().state().0, State::Fenced { reason } if reason.contains("fenced_by_name"));
        until("it is fenced by its name", has_left).await;
        produce(&told, 0, numbers(10..20));
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert!(has_left() && table.count() == 10, "it is there again, and throws the other out");
    });
    node.await;
}
