//! The source against librdkafka's own broker in this process.

use super::{Source, SourceOptions};
use crate::kafka::offsets::KafkaOffsets;
use crate::kafka::query;
use crate::kafka::slot::FixedSlot;
use aqueduct_engine::claim::Loss;
use aqueduct_engine::link::Bounds;
use aqueduct_engine::testing::{Harness, MemoryOffsets, Probe, RecordsBuilder};
use aqueduct_engine::{
    Batch, Claim, Class, Clock, Error, OffsetStore, Owner, PartitionKey, SinkIdentity, State,
};
use aqueduct_topology::model::{GroupProtocol, KafkaConnection, KafkaSource, Membership, Start};
use aqueduct_topology::{Span, Spanned};
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Cluster = MockCluster<'static, DefaultProducerContext>;

struct World {
    cluster: Cluster,
    producer: BaseProducer,
    offsets: MemoryOffsets,
}

impl World {
    fn new(partitions: i32) -> Self {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", partitions, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers());
        let sink = SinkIdentity { id: "sink".into(), adopts: None, target: "table".into(), required: true };
        let offsets = MemoryOffsets::new(vec![sink], 0);
        Self { producer: config.create().unwrap(), cluster, offsets }
    }

    /// The sink of partition 0 stands at `next`.
    fn place(&self, next: i64) {
        let key = PartitionKey { source: "source".into(), topic: "t".into(), partition: 0 };
        self.offsets.place("sink", &key, next);
    }

    fn produce(&self, partition: i32, values: std::ops::Range<i64>) {
        for value in values {
            let value = value.to_string();
            self.producer
                .send(BaseRecord::<(), _>::to("t").partition(partition).payload(&value))
                .map_err(|(error, _)| error)
                .unwrap();
        }
        self.producer.flush(Duration::from_secs(10)).unwrap();
    }

    fn connection(&self) -> KafkaConnection {
        let bootstrap = Spanned::new(self.cluster.bootstrap_servers(), Span::default());
        KafkaConnection { bootstrap, tls: None, sasl: None }
    }

    fn source(&self, change: impl FnOnce(&mut KafkaSource)) -> Source {
        self.source_on(Arc::new(self.offsets.clone()), change)
    }

    fn source_on(&self, offsets: Arc<dyn OffsetStore>, change: impl FnOnce(&mut KafkaSource)) -> Source {
        let mut kafka = KafkaSource {
            topic: Spanned::new("t".into(), Span::default()),
            start: Spanned::new(Start::Earliest, Span::default()),
            group_protocol: GroupProtocol::Classic,
            membership: Membership::Dynamic,
            batch_rows: 1000,
            linger: Duration::from_millis(5),
        };
        change(&mut kafka);
        Source::new(SourceOptions {
            connection: self.connection().into(),
            group: "g".into(),
            node: "node".into(),
            source: "source".into(),
            kafka,
            offsets,
            slots: Arc::new(FixedSlot(0)),
            required: std::collections::BTreeSet::new(),
        })
    }
}

/// The values that came out, by partition, having checked that batches are contiguous.
fn values(batches: &[Batch]) -> BTreeMap<i32, Vec<i64>> {
    let mut next: BTreeMap<PartitionKey, i64> = BTreeMap::new();
    let mut values: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for batch in batches {
        let before = next.insert(batch.origin.key.clone(), batch.origin.next);
        assert_eq!(before.unwrap_or(batch.origin.first), batch.origin.first, "contiguous");
        let of_partition = values.entry(batch.origin.key.partition).or_default();
        for index in 0..batch.raw.len() {
            let text = std::str::from_utf8(batch.raw.value(index).unwrap()).unwrap();
            of_partition.push(text.parse().unwrap());
        }
    }
    values
}

fn count(probe: &Probe) -> usize {
    probe.received().iter().map(|batch| batch.raw.len()).sum()
}

#[tokio::test]
async fn every_message_comes_once_in_order_and_a_drain_ends_it() {
    let world = World::new(3);
    (0..3).for_each(|partition| world.produce(partition, 0..2500));
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    let (ended, ()) = harness
        .run_while(world.source(|_| {}), async {
            probe.until(|probe| count(probe) == 7500).await;
            probe.status().ask_drain();
        })
        .await;
    ended.unwrap();
    let values = values(&probe.received());
    assert_eq!(values.len(), 3);
    for of_partition in values.values() {
        assert_eq!(*of_partition, (0..2500).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn reading_begins_where_the_claim_says_and_waits_for_it() {
    let world = World::new(1);
    world.produce(0, 0..100);
    world.place(90);
    for _ in 0..2 {
        world.offsets.fail_next_claim(Error::new(Class::Transient, "the database is away"));
    }
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    let status = probe.status().clone();
    let (ended, ()) = harness
        .run_while(world.source(|_| {}), async {
            let away =
                |state: &State| matches!(state, State::Waiting { reason, .. } if reason.contains("away"));
            until_state(&probe, away).await;
            probe.until(|probe| count(probe) == 10).await;
            assert_eq!(status.state().0, State::Running);
            status.ask_stop();
        })
        .await;
    ended.unwrap();
    assert_eq!(values(&probe.received())[&0], (90..100).collect::<Vec<_>>());
    assert_eq!(probe.received()[0].origin.epoch, 1);
}

#[tokio::test]
async fn full_links_pause_their_partitions_and_nothing_is_lost() {
    let world = World::new(2);
    (0..2).for_each(|partition| world.produce(partition, 0..5000));
    let bounds = Bounds { batches: 2, bytes: 1 << 20 };
    let mut harness = Harness::builder("source").inputs(0).bounds(bounds).build();
    let probe = harness.probe();
    probe.hold_outputs(true);
    let script = async {
        // Longer than the thread holds its breath, so that the partitions are paused.
        while probe.status().blocked_total() < Duration::from_millis(100) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(probe.output_link(0).fill().batches <= 2);
        probe.hold_outputs(false);
        probe.until(|probe| count(probe) == 10_000).await;
        probe.status().ask_drain();
    };
    let source = world.source(|kafka| kafka.batch_rows = 100);
    harness.run_while(source, script).await.0.unwrap();
    let values = values(&probe.received());
    assert!(values.values().all(|values| *values == (0..5000).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_lost_claim_is_claimed_anew_and_read_from_its_start() {
    for (loss, state) in [(Loss::WentBack, "running"), (Loss::Fenced, "fenced")] {
        let world = World::new(1);
        world.produce(0, 0..100);
        let mut harness = Harness::source("source");
        let probe = harness.probe();
        let script = async {
            probe.until(|probe| count(probe) == 100).await;
            let claim = probe.claims().all()[0].clone();
            world.place(40);
            probe.claims().request_rewind(&claim.key, claim.epoch, loss);
            while probe.claims().all()[0].epoch == 1 {
                let now = probe.status().state().0;
                assert!(["running", state].contains(&now.as_str()), "{now:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            probe.until(|probe| count(probe) == 160).await;
            probe.status().ask_drain();
        };
        harness.run_while(world.source(|_| {}), script).await.0.unwrap();
        let anew: Vec<Batch> = probe.received().into_iter().filter(|batch| batch.origin.epoch == 2).collect();
        assert_eq!(values(&anew)[&0], (40..100).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_an_earlier_life_had_claimed_and_the_group_gives_to_others_is_given_back() {
    let world = World::new(1);
    world.produce(0, 0..10);
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    // Partition 7 went to another member while nobody was there to be told, with records on their way.
    let batch = RecordsBuilder::new(7, 0)
        .of(PartitionKey { source: "source".into(), topic: "t".into(), partition: 7 })
        .epoch(3)
        .value("x")
        .build();
    let key = batch.origin.key.clone();
    let (owner, sinks, skipped) = (Owner(1), BTreeMap::new(), BTreeMap::new());
    probe.claims().insert(Claim { key: key.clone(), epoch: 3, owner, start: 0, sinks, skipped });
    probe.ledger().read(&batch.origin, &batch.raw);
    let script = async {
        probe.until(|probe| count(probe) == 10).await;
        while probe.claims().get(&key).is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let in_flight = probe.ledger().rows().into_iter().filter(|row| row.partition == 7);
        assert_eq!(in_flight.map(|row| row.in_flight).sum::<u64>(), 0, "nobody here will ever decide it");
        probe.status().ask_drain();
    };
    harness.run_while(world.source(|_| {}), script).await.0.unwrap();
}

#[tokio::test]
async fn a_broker_that_goes_away_and_comes_back_is_waited_for() {
    let world = World::new(1);
    world.produce(0, 0..10);
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    let script = async {
        probe.until(|probe| count(probe) == 10).await;
        world.cluster.broker_down(1).unwrap();
        until_state(&probe, |state| matches!(state, State::Waiting { class: "transient", .. })).await;
        world.cluster.broker_up(1).unwrap();
        world.produce(0, 10..20);
        probe.until(|probe| count(probe) == 20).await;
        until_state(&probe, |state| *state == State::Running).await;
        probe.status().ask_drain();
    };
    harness.run_while(world.source(|_| {}), script).await.0.unwrap();
    assert_eq!(values(&probe.received())[&0], (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_offset_beyond_the_end_waits_for_somebody_to_look() {
    let world = World::new(1);
    world.produce(0, 0..10);
    world.place(25);
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    let script = async {
        let beyond = |state: &State| matches!(state, State::Waiting { class: "config", reason } if reason.contains("beyond"));
        until_state(&probe, beyond).await;
        assert_eq!(count(&probe), 0);
        world.place(5);
        probe.until(|probe| count(probe) == 5).await;
        probe.status().ask_drain();
    };
    harness.run_while(world.source(|_| {}), script).await.0.unwrap();
    assert_eq!(values(&probe.received())[&0], (5..10).collect::<Vec<_>>());
}

/// Under `start: latest`.
#[tokio::test]
async fn what_a_topic_has_at_first_is_passed_over_and_what_it_grows_by_is_not() {
    let latest = |kafka: &mut KafkaSource| kafka.start = Spanned::new(Start::Latest, Span::default());
    let world = World::new(2);
    world.produce(0, 0..100);
    let run = async |world: &World, script: &mut dyn FnMut(), wanted: usize| {
        let mut harness = Harness::source("source");
        let probe = harness.probe();
        let script = async {
            while probe.claims().all().len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            script();
            let came = probe.until(|probe| count(probe) == wanted);
            if tokio::time::timeout(Duration::from_secs(60), came).await.is_err() {
                panic!("{} of {wanted} records came", count(&probe));
            }
            probe.status().ask_drain();
        };
        harness.run_while(world.source(latest), script).await.0.unwrap();
        values(&probe.received())
    };
    let first =
        run(&world, &mut || (0..2).for_each(|partition| world.produce(partition, 100..110)), 20).await;
    assert_eq!(first, BTreeMap::from([(0, (100..110).collect()), (1, (100..110).collect())]));
    // A node that has never seen the topic with partition 0 alone; the offsets have.
    let grown = World::new(2);
    grown.place(5);
    grown.produce(0, 0..5);
    grown.produce(1, 0..30);
    assert_eq!(run(&grown, &mut || {}, 30).await, BTreeMap::from([(1, (0..30).collect())]));
}

/// Nothing but the group remembers where it began.
#[tokio::test]
async fn a_group_is_told_where_it_begins_before_anything_is_read() {
    let world = World::new(3);
    (0..3).for_each(|partition| world.produce(partition, 0..10 + i64::from(partition)));
    let connection = world.connection();
    let sink = SinkIdentity { id: "sink".into(), adopts: None, target: "topic".into(), required: true };
    let sinks = BTreeMap::from([("source".into(), vec![sink])]);
    let store = KafkaOffsets::new(connection, "g", sinks, Clock::system());
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    let source = world.source_on(Arc::new(store), |kafka| {
        kafka.start = Spanned::new(Start::Latest, Span::default());
    });
    let script = async {
        while probe.claims().all().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", world.cluster.bootstrap_servers()).set("group.id", "g");
        let asks: BaseConsumer = config.create().unwrap();
        let partitions: Vec<(&str, i32)> = (0..3).map(|partition| ("t", partition)).collect();
        let committed = query::committed(&asks, &partitions, Duration::from_secs(10)).unwrap();
        assert_eq!(committed, [Some(10), Some(11), Some(12)]);
        probe.status().ask_drain();
    };
    harness.run_while(source, script).await.0.unwrap();
    assert_eq!(count(&probe), 0);
}

/// What it had read is another's to write; left in the ledger, it would be in flight for ever.
#[tokio::test]
async fn a_member_that_left_for_good_has_nothing_in_flight() {
    let world = World::new(2);
    (0..2).for_each(|partition| world.produce(partition, 0..10));
    let mut harness = Harness::source("source");
    let probe = harness.probe();
    probe.hold_outputs(true);
    let script = async {
        while probe.ledger().totals().read < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // One was found lost while the client was there, the other is found lost afterwards.
        let claims = probe.claims().all();
        let lose = |claim: &Claim| probe.claims().request_rewind(&claim.key, claim.epoch, Loss::Fenced);
        let fence = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID; 10];
        (0..100).for_each(|_| world.offsets.fail_next_claim(Error::new(Class::Transient, "away")));
        lose(&claims[0]);
        world.cluster.request_errors(RDKafkaApiKey::Heartbeat, &fence);
        until_state(
            &probe,
            |state| matches!(state, State::Fenced { reason } if reason.contains("fenced_by_name")),
        )
        .await;
        lose(&claims[1]);
        let idle = async {
            while !probe.ledger().is_idle() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3), idle).await.expect("it is let go soon");
        assert!(probe.claims().all().is_empty());
        probe.status().ask_drain();
    };
    harness.run_while(world.source(|kafka| kafka.membership = Membership::Static), script).await.0.unwrap();
}

async fn until_state(probe: &Probe, wanted: impl Fn(&State) -> bool) {
    while !wanted(&probe.status().state().0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
