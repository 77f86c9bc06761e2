//! Kafka as it is: groups, transactions, large records, brokers that stand still.

mod cases;
mod source;

use crate::harness::world::World;
use aqueduct_actors::kafka::slot::MemberSlots;
use aqueduct_actors::timescale::{AdvisorySlots, Timescale};
use aqueduct_engine::Clock;
use aqueduct_stack::Part;
use aqueduct_topology::model::TimescaleConnection;
use aqueduct_topology::{Span, Spanned};
use cases::MEMBERS;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use source::Told;

/// Room for large records, and for times long past.
const SETTINGS: [(&str, &str); 2] = [("max.message.bytes", "16000000"), ("retention.ms", "-1")];

fn told(world: &World, partitions: u32) -> Told {
    let topic = format!("{}-{partitions}", world.topic);
    world.stack().create_topic(&topic, partitions, &SETTINGS).expect("a topic");
    Told::new(&world.stack().kafka_bootstrap(), &topic)
}

#[tokio::test]
async fn nodes_of_every_membership_come_and_go_without_loss_or_repeat() {
    for (protocol, membership) in MEMBERS {
        let world = World::shared();
        cases::nodes_come_and_go(Told { protocol, membership, ..told(&world, 4) }, 4).await;
    }
}

#[tokio::test]
async fn a_record_arrives_as_it_was_sent() {
    let world = World::shared();
    cases::a_record_arrives_as_it_was_sent(told(&world, 1)).await;
}

#[tokio::test]
async fn markers_of_transactions_are_passed() {
    let world = World::shared();
    cases::markers_of_transactions_are_passed(told(&world, 1)).await;
}

#[tokio::test]
async fn a_missing_topic_is_waited_for() {
    let world = World::shared();
    let topic = format!("{}-missing", world.topic);
    let told = Told::new(&world.stack().kafka_bootstrap(), &topic);
    let create = || world.stack().create_topic(&topic, 1, &SETTINGS).expect("a topic");
    cases::a_missing_topic_is_waited_for(told, create).await;
}

#[tokio::test]
async fn the_older_of_two_members_of_one_name_leaves() {
    let world = World::shared();
    cases::the_older_of_two_members_of_one_name_leaves(told(&world, 1)).await;
}

#[tokio::test]
async fn what_the_log_no_longer_has_is_decided_by_somebody() {
    let world = World::shared();
    let told = told(&world, 1);
    cases::what_the_log_no_longer_has_is_decided_by_somebody(told.clone(), async |below| {
        delete_below(&world, &told.topic, below).await;
    })
    .await;
}

#[tokio::test]
async fn a_log_that_moves_past_a_reader_is_decided_by_somebody() {
    let world = World::shared();
    let told = told(&world, 1);
    cases::a_log_that_moves_past_a_reader_is_decided_by_somebody(told.clone(), async |below| {
        delete_below(&world, &told.topic, below).await;
    })
    .await;
}

async fn delete_below(world: &World, topic: &str, below: i64) {
    let client = world.stack().kafka_client().expect("client settings");
    let admin: AdminClient<DefaultClientContext> = client.create().expect("an admin client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(below)).expect("a partition");
    admin.delete_records(&list, &AdminOptions::new()).await.expect("deleted");
}

#[tokio::test]
async fn a_broker_that_stands_still_is_waited_for() {
    let world = World::private();
    let pause = || world.stack().pause(Part::Kafka).expect("paused");
    let resume = || world.stack().resume(Part::Kafka).expect("resumed");
    cases::a_broker_that_stands_still_is_waited_for(told(&world, 1), pause, resume).await;
}

#[tokio::test]
async fn each_member_of_a_node_has_the_lowest_free_name() {
    let world = World::shared();
    let connection = TimescaleConnection {
        url: Spanned::new(world.database_url().to_owned().into(), Span::default()),
        user_file: None,
        password_file: None,
        pool: 1,
        tls: None,
    };
    let slots = || {
        let clock = Clock::system();
        let timescale = Timescale::new(&connection, "slots", "node", clock.clone()).expect("a database");
        AdvisorySlots::new(timescale, clock)
    };
    let (one, other) = (slots(), slots());
    let held = async {
        let first = one.acquire("slots", "node").await.expect("a slot");
        let second = other.acquire("slots", "node").await.expect("a slot");
        assert_eq!((first.number, second.number), (0, 1));
        assert_eq!(other.acquire("slots", "elsewhere").await.expect("a slot").number, 0);
        drop(first);
        // The server learns of the end of a connection in its own time.
        loop {
            match other.acquire("slots", "node").await.expect("a slot").number {
                0 => break,
                number => assert_eq!(number, 2, "the second is still held"),
            }
        }
    };
    tokio::task::LocalSet::new().run_until(held).await;
}
