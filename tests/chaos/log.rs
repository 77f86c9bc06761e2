//! What Kafka holds of a topic: the truth that tables are held against.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

const ASK_MAX: Duration = Duration::from_secs(20);

/// A topic as it is now.
#[derive(Debug, Default)]
pub struct Log {
    /// Where each partition begins and ends; `next_offset` must reach the end.
    pub bounds: BTreeMap<i32, (i64, i64)>,
    /// The id of the record at each place; `None` where it has none that can be read.
    pub ids: BTreeMap<(i32, i64), Option<i64>>,
}

impl Log {
    /// Reads all of it; of transactions only what was committed.
    pub fn read(mut config: ClientConfig, topic: &str) -> Self {
        config
            .set("group.id", "oracle")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(topic), ASK_MAX).expect("metadata");
        let partitions = metadata.topics()[0].partitions().len() as i32;
        let mut log = Self::default();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            let bounds = consumer.fetch_watermarks(topic, partition, ASK_MAX).expect("watermarks");
            log.bounds.insert(partition, bounds);
            list.add_partition_offset(topic, partition, Offset::Offset(bounds.0)).expect("an offset");
        }
        consumer.assign(&list).expect("an assignment");
        let mut ended = 0;
        while ended < partitions {
            match consumer.poll(ASK_MAX).expect("the log can be read to its end") {
                Ok(message) => {
                    let id = message.payload().and_then(id_of);
                    log.ids.insert((message.partition(), message.offset()), id);
                }
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("reading the log: {error}"),
            }
        }
        log
    }

    /// Where the log has each id; what has no id that can be read is together under `None`.
    pub fn by_id(&self) -> BTreeMap<Option<i64>, Vec<(i32, i64)>> {
        let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, id) in &self.ids {
            places.entry(*id).or_default().push(*place);
        }
        places
    }

    /// How many records have an id that the log had before.
    pub fn repeated(&self) -> u64 {
        let places = self.by_id().into_iter().filter(|(id, _)| id.is_some());
        places.map(|(_, places)| places.len() as u64 - 1).sum()
    }
}

/// The number after `"id":`.
fn id_of(payload: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(payload).ok()?;
    let digits = &text[text.find(r#""id":"#)? + 5..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}
