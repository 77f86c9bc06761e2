//! A producer that never stops to ask: records with unique ids and a sequence per partition, at a steady rate.

use crate::harness::topologies::START_MS;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many different keys the records have; each belongs to one partition.
pub const KEYS: u64 = 64;
/// The longest outage of brokers that a load lives through.
const DELIVERY_MAX: &str = "600000";
/// How often records are sent.
const TURN: Duration = Duration::from_millis(10);
const FLUSH_MAX: Duration = Duration::from_secs(120);

/// The `id`th record of a load over that many partitions: partition, key, value, time.
pub fn record(id: u64, partitions: u32) -> (i32, String, String, i64) {
    let partition = (id % u64::from(partitions)) as i32;
    let sequence = id / u64::from(partitions);
    let key = format!("K{:02}", id % KEYS);
    let time = START_MS + id as i64;
    let price = id % 1000 + 1;
    let value = format!(
        r#"{{"id":{id},"part":{partition},"seq":{sequence},"k":"{key}","ts":{time},"p":"{price}.25","q":"1.5"}}"#
    );
    (partition, key, value, time)
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
    paused: AtomicBool,
    /// The producer has seen that it is paused.
    resting: AtomicBool,
    per_second: AtomicU64,
}

struct Deliveries(Arc<Counts>);

impl ClientContext for Deliveries {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A running producer.
pub struct Load {
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    /// Starts producing to `topic` at so many records a second, ids from 1 on.
    pub fn start(config: ClientConfig, topic: &str, partitions: u32, per_second: u64) -> Self {
        Self::start_from(config, topic, partitions, per_second, 1)
    }

    /// The same, ids from `first` on.
    pub fn start_from(
        mut config: ClientConfig,
        topic: &str,
        partitions: u32,
        per_second: u64,
        first: u64,
    ) -> Self {
        let counts = Arc::new(Counts::default());
        counts.per_second.store(per_second, Ordering::Relaxed);
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("delivery.timeout.ms", DELIVERY_MAX)
            .set("topic.metadata.refresh.interval.ms", "1000")
            // Not thrice that, its default: see the engine's own clients.
            .set("metadata.max.age.ms", "86400000");
        let producer: ThreadedProducer<Deliveries> =
            config.create_with_context(Deliveries(counts.clone())).expect("a producer");
        let (shared, topic) = (counts.clone(), topic.to_owned());
        let thread = std::thread::spawn(move || produce(&producer, &shared, &topic, partitions, first));
        Self { counts, thread: Some(thread) }
    }

    /// How many records were handed to the client so far.
    pub fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }

    /// Another rate from now on.
    pub fn rate(&self, per_second: u64) {
        self.counts.per_second.store(per_second, Ordering::Relaxed);
    }

    /// Nothing is sent until [`Load::go_on`].
    pub fn pause(&self) {
        self.counts.paused.store(true, Ordering::SeqCst);
    }

    /// Pauses, and says how many records were sent once no more are.
    pub fn paused(&self) -> u64 {
        self.counts.resting.store(false, Ordering::SeqCst);
        self.pause();
        // The turn that is on may end with a few more.
        while !self.counts.resting.load(Ordering::SeqCst) {
            std::thread::sleep(TURN);
        }
        self.sent()
    }

    pub fn go_on(&self) {
        self.counts.paused.store(false, Ordering::Relaxed);
    }

    /// Stops, waits until the brokers have everything, and says how many records were sent.
    ///
    /// # Panics
    /// A record was not taken: the log, and not the load, would then say what there is.
    pub fn stop(self) -> u64 {
        let (sent, failed) = self.stop_anyhow();
        assert_eq!(failed, 0, "the brokers did not take {failed} of {sent} records");
        sent
    }

    /// Stops, and says how many records were sent and how many of them the brokers did not take.
    pub fn stop_anyhow(mut self) -> (u64, u64) {
        self.counts.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load ends well");
        }
        (self.sent(), self.counts.failed.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::Relaxed);
    }
}

fn produce(
    producer: &ThreadedProducer<Deliveries>,
    counts: &Counts,
    topic: &str,
    partitions: u32,
    first: u64,
) {
    let mut id = first;
    let mut last = Instant::now();
    let mut due = 0.0;
    while !counts.stop.load(Ordering::Relaxed) {
        std::thread::sleep(TURN);
        let passed = last.elapsed().as_secs_f64().min(0.1);
        last = Instant::now();
        if counts.paused.load(Ordering::SeqCst) {
            counts.resting.store(true, Ordering::SeqCst);
            continue;
        }
        due += passed * counts.per_second.load(Ordering::Relaxed) as f64;
        while due >= 1.0 && !counts.stop.load(Ordering::Relaxed) {
            let (partition, key, value, time) = record(id, partitions);
            let record = BaseRecord::to(topic).partition(partition).key(&key).payload(&value).timestamp(time);
            match producer.send(record) {
                Ok(()) => {
                    (id, due) = (id + 1, due - 1.0);
                    counts.sent.fetch_add(1, Ordering::Relaxed);
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => break,
                Err((error, _)) => panic!("the load cannot send: {error}"),
            }
        }
        due = due.min(10_000.0);
    }
    producer.flush(FLUSH_MAX).expect("the brokers take what was sent");
}
