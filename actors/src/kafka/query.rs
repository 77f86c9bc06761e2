//! Questions to the broker. They block until answered: call them off the arbiter and off the polling thread.

use aqueduct_engine::LogRange;
use aqueduct_topology::model::Start;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a broker may take to say whether a topic is there that the client does not know.
const TRUTH_WAIT_MAX: Duration = Duration::from_secs(1);

/// Where each of `partitions` stands: log start, end (the last stable offset), and what `start` means there.
pub fn ranges<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    start: &Start,
    patience: Duration,
) -> KafkaResult<BTreeMap<i32, LogRange>> {
    let starts = offsets(consumer, topic, partitions, Offset::Beginning, patience)?;
    let ends = offsets(consumer, topic, partitions, Offset::End, patience)?;
    let initial = match start {
        Start::Earliest => starts.clone(),
        Start::Latest => ends.clone(),
        Start::At(time_us) => {
            let first_ms = time_us.div_euclid(1000) + i64::from(time_us.rem_euclid(1000) != 0);
            let mut found = offsets(consumer, topic, partitions, Offset::Offset(first_ms.max(0)), patience)?;
            // No record is that young: begin with the next to come.
            found.retain(|_, offset| *offset >= 0);
            ends.iter().map(|(partition, end)| (*partition, *found.get(partition).unwrap_or(end))).collect()
        }
    };
    Ok(partitions
        .iter()
        .map(|partition| {
            let range =
                LogRange { start: starts[partition], end: ends[partition], initial: initial[partition] };
            (*partition, range)
        })
        .collect())
}

/// The log ends of `partitions`, up to which a reader of committed records can read.
pub fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    patience: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    offsets(consumer, topic, partitions, Offset::End, patience)
}

/// The log starts of `partitions`.
pub fn starts<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    patience: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    offsets(consumer, topic, partitions, Offset::Beginning, patience)
}

/// One request per leader for all partitions: the protocol takes "beginning" and "end" in place of a time.
fn offsets<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partitions: &[i32],
    at: Offset,
    patience: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, at)?;
    }
    let truth = |error| truly(consumer, topic, error);
    let answered = consumer.offsets_for_times(asked, patience).map_err(truth)?;
    let mut found = BTreeMap::new();
    for element in answered.elements() {
        element.error().map_err(truth)?;
        let offset = match element.offset() {
            Offset::Offset(offset) => offset,
            Offset::End => -1,
            _ => return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset)),
        };
        found.insert(element.partition(), offset);
    }
    if found.len() == partitions.len() {
        Ok(found)
    } else {
        Err(KafkaError::OffsetFetch(RDKafkaErrorCode::Partial))
    }
}

/// A client that lost sight of a partition's leader says that it knows no such partition, or topic. Whether that is so
/// is a broker's to say: with the broker away, nothing is missing.
fn truly<C: ConsumerContext>(consumer: &BaseConsumer<C>, topic: &str, error: KafkaError) -> KafkaError {
    let local = [Some(RDKafkaErrorCode::UnknownTopic), Some(RDKafkaErrorCode::UnknownPartition)];
    if !local.contains(&error.rdkafka_error_code()) {
        return error;
    }
    match topic_is_there(consumer.client(), topic, TRUTH_WAIT_MAX) {
        Err(truth) => truth,
        Ok(()) => KafkaError::OffsetFetch(RDKafkaErrorCode::LeaderNotAvailable),
    }
}

/// Fails unless the topic is there and may be read.
pub fn exists<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    patience: Duration,
) -> KafkaResult<()> {
    topic_is_there(consumer.client(), topic, patience)
}

/// Fails unless `topic` is there and may be seen.
pub fn topic_is_there<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> KafkaResult<()> {
    partitions(client, topic, patience).map(drop)
}

/// How many partitions `topic` has; fails unless it is there and may be seen.
pub fn partitions<C: ClientContext>(client: &Client<C>, topic: &str, patience: Duration) -> KafkaResult<i32> {
    let metadata = client.fetch_metadata(Some(topic), patience)?;
    let known = metadata.topics().iter().find(|known| known.name() == topic);
    match known.and_then(|known| known.error()) {
        Some(error) => Err(KafkaError::MetadataFetch(error.into())),
        None => match known.map_or(0, |known| known.partitions().len()) {
            0 => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
            count => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        },
    }
}

/// Tells the group that what lies below these offsets is done, and waits until it knows.
pub fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    offsets: &[(i32, i64)],
) -> KafkaResult<()> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer.commit(&list, CommitMode::Sync)
}

/// What the group was told last; `None` = nothing for that partition.
pub fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[(&str, i32)],
    patience: Duration,
) -> KafkaResult<Vec<Option<i64>>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition(topic, *partition);
    }
    let answered = consumer.committed_offsets(asked, patience)?;
    let committed = |&(topic, partition): &(&str, i32)| {
        let element = answered
            .find_partition(topic, partition)
            .ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::Partial))?;
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    };
    partitions.iter().map(committed).collect()
}
