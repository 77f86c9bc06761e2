//! The sink against librdkafka's own broker in this process.

use super::{Plan, Sink, producers};
use aqueduct_engine::testing::{Harness, MemoryOffsets, RecordsBuilder};
use aqueduct_engine::{Batch, batch};
use aqueduct_topology::model::{KafkaConnection, TemplatePart};
use aqueduct_topology::{Span, Spanned};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Rows `n` and `name`, one per record, at offsets from 10 on.
fn rows(names: &[Option<&str>]) -> Batch {
    let raw = names.iter().fold(RecordsBuilder::new(0, 10), |records, _| records.value("{}")).build();
    let count = names.len() as i64;
    let [offsets, indices] = batch::hidden_columns((10..10 + count).collect(), vec![0; names.len()]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..count))),
        ("name", Arc::new(StringArray::from(names.to_vec()))),
        (batch::OFFSET_COLUMN, offsets),
        (batch::ROW_COLUMN, indices),
    ];
    raw.with_rows(RecordBatch::try_from_iter(columns).unwrap())
}

fn sink(cluster: &MockCluster<'static, DefaultProducerContext>) -> Sink {
    let bootstrap = Spanned::new(cluster.bootstrap_servers(), Span::default());
    Sink::new(Arc::new(Plan {
        bootstrap: bootstrap.value.clone(),
        open: producers(KafkaConnection { bootstrap, tls: None, sasl: None }.into()),
        topic: "out".into(),
        key: Some(vec![
            TemplatePart::Text("k:".into()),
            TemplatePart::Field(Spanned::new("name".into(), Span::default())),
        ]),
        json: BTreeSet::new(),
        offsets: Arc::new(MemoryOffsets::new(Vec::new(), 0)),
        advanced: Default::default(),
        told: Default::default(),
    }))
}

/// Key and value of the topic's first `count` messages.
fn messages(
    cluster: &MockCluster<'static, DefaultProducerContext>,
    count: usize,
) -> Vec<(Option<String>, String)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("out", 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (0..count)
        .map(|_| {
            let message = consumer.poll(Duration::from_secs(20)).unwrap().unwrap();
            (message.key().map(text), text(message.payload().unwrap()))
        })
        .collect()
}

#[tokio::test]
async fn rows_are_in_the_topic_before_their_batch_is_settled() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let mut harness = Harness::sink("sink", true);
    harness.send(rows(&[Some("a"), None, Some("c")]));
    harness.close_inputs();
    harness.run(sink(&cluster)).await.unwrap();
    let line = &harness.ledger().rows()[0];
    assert_eq!((line.written, line.in_flight), (3, 0));
    let expected = [(Some("k:a"), "a"), (None, "null"), (Some("k:c"), "c")].into_iter().enumerate();
    let expected: Vec<_> = expected
        .map(|(n, (key, name))| {
            let name = if name == "null" { name.to_owned() } else { format!("\"{name}\"") };
            (key.map(str::to_owned), format!("{{\"n\":{n},\"name\":{name}}}"))
        })
        .collect();
    assert_eq!(messages(&cluster, 3), expected);
}

#[tokio::test]
async fn a_row_too_large_for_the_broker_goes_to_the_dead_letter_alone() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let large = "x".repeat(17 * 1024 * 1024);
    let mut harness = Harness::sink("sink", true);
    harness.send(rows(&[Some("a"), Some(&large), Some("c")]));
    harness.close_inputs();
    harness.run(sink(&cluster)).await.unwrap();
    let letters = harness.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].offset, &*letters[0].reason), (11, "refused"));
    assert_eq!(messages(&cluster, 2)[1].0.as_deref(), Some("k:c"));
}

#[tokio::test]
async fn an_outage_of_the_broker_is_waited_through() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    cluster.broker_down(1).unwrap();
    let mut harness = Harness::sink("sink", true);
    let probe = harness.probe();
    probe.send(rows(&[Some("a")]));
    let script = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(probe.input_link(0).fill().batches, 1, "not settled");
        cluster.broker_up(1).unwrap();
        probe.close_inputs();
    };
    harness.run_while(sink(&cluster), script).await.0.unwrap();
    assert_eq!(messages(&cluster, 1)[0].0.as_deref(), Some("k:a"));
}

#[tokio::test]
async fn a_store_that_went_back_is_told_again_at_the_end() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("out", 1, 1).unwrap();
    let sink = sink(&cluster);
    let plan = sink.plan.clone();
    let mut harness = Harness::sink("sink", true);
    let probe = harness.probe();
    let batch = rows(&[Some("a")]);
    let reached = [(batch.origin.key.clone(), (batch.origin.epoch, batch.origin.next))].into();
    probe.send(batch);
    let script = async {
        while *plan.told() != reached {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(plan.advanced().is_empty(), "it was heard");
        plan.tell_again();
        assert_eq!(*plan.advanced(), reached);
        probe.close_inputs();
    };
    harness.run_while(sink, script).await.0.unwrap();
    assert_eq!((plan.advanced().len(), plan.told().clone()), (0, reached));
}
