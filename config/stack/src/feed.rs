//! Fills a topic: for demonstrations, tests and benchmarks.

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

/// How long the broker may take to acknowledge what was sent.
const ACKNOWLEDGE_MAX: Duration = Duration::from_secs(60);

/// Sends records to one topic, in order per key. What was sent is certain only after [`Feed::flush`].
pub struct Feed {
    producer: BaseProducer,
    topic: String,
}

/// The broker refused or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to topic `{topic}`: {source}")]
pub struct FeedError {
    topic: String,
    source: KafkaError,
}

impl Feed {
    /// A feed to `topic` of the cluster at `bootstrap`, which gathers for large batches.
    pub fn new(bootstrap: &str, topic: &str) -> Result<Self, FeedError> {
        Self::lingering(bootstrap, topic, Duration::from_millis(20))
    }

    /// A feed that holds a record back for at most `linger` so that others can go with it.
    pub fn lingering(bootstrap: &str, topic: &str, linger: Duration) -> Result<Self, FeedError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", linger.as_millis().to_string())
            .set("batch.size", "262144")
            .set("message.max.bytes", "16777216")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .create()
            .map_err(|source| FeedError { topic: topic.to_owned(), source })?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Sends one record; waits while the producer's queue is full. `None` as value is a tombstone.
    pub fn send(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        time_ms: Option<i64>,
    ) -> Result<(), FeedError> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic);
        record.key = key;
        record.payload = value;
        record.timestamp = time_ms;
        loop {
            record = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), record)) => {
                    self.producer.poll(Duration::from_millis(20));
                    record
                }
                Err((source, _)) => return Err(FeedError { topic: self.topic.clone(), source }),
            };
        }
    }

    /// Sends every message of a market, up to `count` messages.
    pub fn send_market(&self, market: &mut crate::market::Market, count: u64) -> Result<(), FeedError> {
        for (index, message) in market.take(count as usize).enumerate() {
            self.send(Some(message.key.as_bytes()), Some(message.value.as_bytes()), Some(message.time_ms))?;
            if index % 4096 == 0 {
                self.producer.poll(Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Hears what the broker has acknowledged, without waiting: to be called now and then by whoever sends for long.
    pub fn tend(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Returns once the broker has acknowledged everything sent.
    pub fn flush(&self) -> Result<(), FeedError> {
        self.producer.flush(ACKNOWLEDGE_MAX).map_err(|source| FeedError { topic: self.topic.clone(), source })
    }
}
