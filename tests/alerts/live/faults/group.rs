//! A node without a required sink, for which nobody need decide what to do about records that are gone; and strangers in its
//! group.

use super::super::stage::{RATE, Stage};
use super::Play;
use crate::harness::topologies::TRADES;
use crate::harness::wait;
use crate::harness::world::PARTITIONS;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(60);

/// Nothing of it is required.
pub fn loose() -> String {
    TRADES.replace("table: market.trades,", "table: market.trades, policy: best_effort,")
}

pub fn group(play: &Play<'_>) {
    gone(play);
    strangers(play);
}

/// Retention takes what was not read yet, while the node is away.
fn gone(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (
        || {
            stage.kill();
            let list = unread(stage);
            let client = stage.world.stack().kafka_client().expect("a broker");
            let admin: AdminClient<DefaultClientContext> = client.create().expect("an admin client");
            let patience = AdminOptions::new().request_timeout(Some(BOUND)).operation_timeout(Some(BOUND));
            block_on(admin.delete_records(&list, &patience)).expect("deleted");
            stage.start(play.setting);
        },
        || {},
    );
    let fault = "retention takes records before they are read";
    play.strikes(fault, &["AqueductRecordsSkipped"], inject, end);
    stage.await_ready();
}

/// By partition the log's end, once it lies beyond what the table has.
fn unread(stage: &Stage) -> TopicPartitionList {
    const READ: &str = "SELECT partition, max(next_offset) FROM aqueduct.offsets GROUP BY 1";
    let rows = stage.sql().rows(READ, &[]);
    assert_eq!(rows.len(), PARTITIONS as usize, "partitions with an offset");
    let client: BaseConsumer =
        stage.world.stack().kafka_client().expect("a broker").create().expect("a client");
    let mut list = TopicPartitionList::new();
    for row in rows {
        let (partition, read): (i32, i64) = (row.get(0), row.get(1));
        let end = wait::until("records that were not read", BOUND, || {
            let (_, end) =
                client.fetch_watermarks(&stage.world.topic, partition, Duration::from_secs(10)).ok()?;
            (end > read).then_some(end)
        });
        list.add_partition_offset(&stage.world.topic, partition, Offset::Offset(end)).expect("an offset");
    }
    list
}

/// A consumer with the group's name comes and goes, as somebody's script does that was given the wrong one. Each time the
/// node gives up partitions and gets them back, once its own heartbeat, every 3 s, tells it to.
fn strangers(play: &Play<'_>) {
    const ALERT: &str = "AqueductGroupRebalancing";
    let stage = play.stage;
    stage.flow.rate(RATE);
    let inject = || {
        let until = Instant::now() + play.setting.in_time(Duration::from_secs(16 * 60)) + BOUND;
        while Instant::now() < until && !play.fires(ALERT) {
            come_and_go(stage);
            wait::until("the node to have everything again", BOUND, || {
                let assigned =
                    stage.with_node(|node| node.metric("aqueduct_kafka_group_assigned_partitions"))?;
                (assigned == f64::from(PARTITIONS)).then_some(())
            });
        }
    };
    play.strikes("strangers come into the consumer group and go", &[ALERT], inject, || {});
}

/// Until it was given a partition.
fn come_and_go(stage: &Stage) {
    let mut client = stage.world.stack().kafka_client().expect("a broker");
    client
        .set("group.id", format!("trades-{}", stage.world.topic))
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false");
    let stranger: BaseConsumer = client.create().expect("a consumer");
    stranger.subscribe(&[&stage.world.topic]).expect("subscribe");
    wait::until("the stranger to be given something", BOUND, || {
        // What it reads is not its own.
        drop(stranger.poll(Duration::from_millis(100)));
        stranger.assignment().is_ok_and(|given| given.count() > 0).then_some(())
    });
    stranger.unsubscribe();
}
