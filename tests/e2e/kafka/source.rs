//! Sources in this process, on a real broker, with an offset store as strict as a database.

use aqueduct_actors::kafka::slot::FixedSlot;
use aqueduct_actors::kafka_source::{Source, SourceOptions};
use aqueduct_engine::link::Bounds;
use aqueduct_engine::testing::{Harness, Probe};
use aqueduct_engine::{
    Batch, Claim, ClaimRequest, Error, OffsetStore, Owner, PartitionKey, Position, RawRecords,
};
use aqueduct_topology::model::{GroupProtocol, KafkaConnection, KafkaSource, Membership, Start};
use aqueduct_topology::{Span, Spanned};
use futures::future::LocalBoxFuture;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Epoch, next offset and the values below it, by partition: rows and offsets in one place, as in a database.
#[derive(Default)]
pub struct Table {
    partitions: Mutex<BTreeMap<i32, (i64, Option<i64>, Vec<(i64, Vec<u8>)>)>>,
}

impl OffsetStore for Table {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        let mut partitions = self.partitions.lock().unwrap();
        let claim = |request: &ClaimRequest| {
            let (epoch, next, _) = partitions.entry(request.key.partition).or_default();
            *epoch += 1;
            Claim {
                key: request.key.clone(),
                epoch: *epoch,
                owner: Owner::random(),
                start: next.unwrap_or(request.log.initial),
                sinks: BTreeMap::new(),
                skipped: BTreeMap::new(),
            }
        };
        let claims = requests.iter().map(claim).collect();
        Box::pin(std::future::ready(Ok(claims)))
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn exactly_once(&self) -> bool {
        true
    }
}

impl Table {
    /// What a sink does in its transaction: rows and offset together, if the claim still holds.
    fn commit(&self, batch: &Batch) -> bool {
        let mut partitions = self.partitions.lock().unwrap();
        let (epoch, next, rows) = partitions.get_mut(&batch.origin.key.partition).unwrap();
        if *epoch != batch.origin.epoch || next.is_some_and(|next| next != batch.origin.first) {
            return false;
        }
        *next = Some(batch.origin.next);
        rows.extend(records(&batch.raw));
        true
    }

    /// Somebody decides that `partition` goes on at `next`.
    pub fn reset(&self, partition: i32, next: i64) {
        self.partitions.lock().unwrap().get_mut(&partition).expect("it was claimed").1 = Some(next);
    }

    /// The next offset of `partition`.
    pub fn next(&self, partition: i32) -> Option<i64> {
        self.partitions.lock().unwrap().get(&partition)?.1
    }

    /// Offset and value of every row of `partition`.
    pub fn rows(&self, partition: i32) -> Vec<(i64, Vec<u8>)> {
        self.partitions.lock().unwrap().get(&partition).map_or(Vec::new(), |(_, _, rows)| rows.clone())
    }

    pub fn count(&self) -> usize {
        self.partitions.lock().unwrap().values().map(|(_, _, rows)| rows.len()).sum()
    }
}

fn records(raw: &RawRecords) -> impl Iterator<Item = (i64, Vec<u8>)> {
    (0..raw.len()).map(|index| (raw.offsets.value(index), raw.value(index).unwrap_or_default().to_vec()))
}

/// A node: a source between links, and a sink that commits what comes out.
pub struct Node {
    pub harness: Harness,
    pub source: Source,
    pub table: Arc<Table>,
}

/// What a node may be told.
#[derive(Clone)]
pub struct Told {
    pub bootstrap: String,
    pub topic: String,
    pub node: &'static str,
    pub protocol: GroupProtocol,
    pub membership: Membership,
}

impl Told {
    pub fn new(bootstrap: &str, topic: &str) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            topic: topic.to_owned(),
            node: "a",
            protocol: GroupProtocol::Classic,
            membership: Membership::Static,
        }
    }
}

impl Node {
    pub fn new(told: &Told, table: &Arc<Table>) -> Self {
        let plain = |text: &str| Spanned::new(text.to_owned(), Span::default());
        let source = Source::new(SourceOptions {
            connection: KafkaConnection { bootstrap: plain(&told.bootstrap), tls: None, sasl: None }.into(),
            group: format!("group-{}", told.topic),
            node: told.node.into(),
            source: "source".into(),
            kafka: KafkaSource {
                topic: plain(&told.topic),
                start: Spanned::new(Start::Earliest, Span::default()),
                group_protocol: told.protocol,
                membership: told.membership,
                batch_rows: 500,
                linger: Duration::from_millis(5),
            },
            offsets: table.clone(),
            slots: Arc::new(FixedSlot(0)),
            required: std::collections::BTreeSet::new(),
        });
        Self { harness: Harness::source("source"), source, table: table.clone() }
    }

    /// As [`Node::new`], with hardly any room in its link.
    pub fn narrow(told: &Told, table: &Arc<Table>) -> Self {
        let bounds = Bounds { batches: 2, bytes: 1 << 20 };
        Self {
            harness: Harness::builder("source").inputs(0).bounds(bounds).build(),
            ..Self::new(told, table)
        }
    }

    /// Runs until `script` has ended and the drain after it; gives how many batches came under a lost claim.
    pub async fn run(mut self, script: impl AsyncFnOnce(&Probe)) -> usize {
        let probe = self.harness.probe();
        let table = self.table.clone();
        let mut committed = 0;
        let mut fenced = 0;
        let work = async {
            let commit = async {
                loop {
                    for batch in probe.received().iter().skip(committed) {
                        committed += 1;
                        fenced += usize::from(!table.commit(batch));
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let script = async {
                script(&probe).await;
                probe.status().ask_drain();
                // Until everything read is committed.
                while !probe.status().stopping() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            futures::future::select(std::pin::pin!(commit), std::pin::pin!(script)).await;
        };
        let status = probe.status().clone();
        let run = async {
            let ended = self.harness.run(self.source).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            status.ask_stop();
            ended
        };
        let (ended, ()) = futures::future::join(run, work).await;
        ended.expect("the source ends well");
        fenced
    }
}

/// Sends `values` to `partition` and waits until the broker has them.
pub fn produce(told: &Told, partition: i32, values: impl Iterator<Item = String>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &told.bootstrap)
        .set("message.max.bytes", "16000000")
        .create()
        .expect("a producer");
    for value in values {
        let mut record = BaseRecord::<(), String>::to(&told.topic).partition(partition).payload(&value);
        while let Err((error, again)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::types::RDKafkaErrorCode::QueueFull));
            producer.poll(Duration::from_millis(10));
            record = again;
        }
    }
    producer.flush(Duration::from_secs(60)).expect("flushed");
}

/// Waits until `wanted`, a minute at most.
pub async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !wanted() {
        assert!(std::time::Instant::now() < deadline, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The key of that partition as the source names it.
pub fn key(told: &Told, partition: i32) -> PartitionKey {
    PartitionKey { source: "source".into(), topic: told.topic.as_str().into(), partition }
}
