//! What happens to Kafka: to its brokers, to a topic's log, to the group.

mod broker;
mod cluster;
mod group;
mod idle;
mod membership;
mod retention;
mod topic;
mod transactions;

use super::scenario::Scenario;
use super::stage::Stage;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use std::collections::BTreeMap;
use std::time::Duration;

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("kafka.broker_restarted", broker::restarted),
    Scenario::short("kafka.idle_then_one_message", idle::one_message),
    Scenario::short("kafka.retention_below_our_offset", retention::below_our_offset),
    Scenario::short("kafka.topic_deleted_and_recreated", topic::deleted_and_recreated),
    Scenario::short("kafka.partitions_grown_from_4_to_8_live", topic::grown),
    Scenario::short("kafka.compacted_topic_and_transaction_markers", transactions::compacted),
    Scenario::short("kafka.read_committed", transactions::read_committed),
    Scenario::short("kafka.duplicate_static_member", group::duplicate_static_member),
    Scenario::short(
        "kafka.database_stalled_past_the_session_timeout",
        group::database_stalled_past_the_session,
    ),
    Scenario::long(
        "kafka.database_stalled_past_max_poll_interval",
        group::database_stalled_past_max_poll_interval,
    ),
    Scenario::short("kafka.nodes_join_and_leave_cooperative", membership::cooperative),
    Scenario::short("kafka.nodes_join_and_leave_static", membership::cooperative_static),
    Scenario::short("kafka.nodes_join_and_leave_kip848", membership::kip848),
    // Another group, as it needs other brokers: it runs beside these.
    Scenario::short("kafka_cluster.leader_killed", cluster::leader_killed).recovering_within(15),
    Scenario::short("kafka_cluster.coordinator_killed", cluster::coordinator_killed).recovering_within(15),
    Scenario::short("kafka_cluster.controller_killed", cluster::controller_killed).recovering_within(15),
    Scenario::short("kafka_cluster.broker_lost_and_back", cluster::broker_lost_and_back)
        .recovering_within(15),
    Scenario::short("kafka_cluster.nodes_join_and_leave_range", membership::kip848_range),
];

/// Of each partition the writer has claimed, that column of its row.
fn partitions_at(stage: &Stage, column: &str) -> Vec<(i32, i64)> {
    let query = format!(
        "SELECT partition, {column} FROM aqueduct.offsets \
         WHERE topology = $1 AND sink = 'history' AND session <> 'unclaimed' ORDER BY partition"
    );
    stage.world.sql().rows(&query, &[&stage.topology]).iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// An operator says where these partitions go on, and agrees `although` it costs something.
fn decide(stage: &Stage, offsets: &BTreeMap<i32, i64>, although: &str) {
    let file = stage.file.to_str().expect("a plain path");
    for (partition, offset) in offsets {
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let words =
            ["offsets", "reset", file, "--partition", &partition, "--to", &offset, "--fence", although];
        let output = stage.world.run(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    }
}

/// What is asked of brokers beyond reading and writing.
struct Admin(AdminClient<DefaultClientContext>);

impl Admin {
    fn of(stage: &Stage) -> Self {
        Self(stage.client().create().expect("an admin client"))
    }

    fn patience() -> AdminOptions {
        const ASK_MAX: Duration = Duration::from_secs(20);
        AdminOptions::new().request_timeout(Some(ASK_MAX)).operation_timeout(Some(ASK_MAX))
    }
}
