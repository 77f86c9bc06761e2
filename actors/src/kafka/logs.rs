//! A topology's logs and its group, for commands: where they begin and end, who is a member, what was committed.
//!
//! Every question blocks until it is answered or [`ASK_MAX`] has passed. Deliberately absent: joining the group.

use super::class::{About, classify};
use super::cluster::Cluster;
use super::{config, query};
use aqueduct_engine::{Error, LogRange};
use aqueduct_topology::model::{KafkaConnection, Start};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one question may take.
const ASK_MAX: Duration = Duration::from_secs(10);

/// Asks one cluster on behalf of one group.
pub struct Logs {
    consumer: BaseConsumer,
    bootstrap: String,
    group: String,
}

impl Logs {
    /// Of the cluster of `connection`; connects with the first question.
    pub fn new(connection: &KafkaConnection, group: &str) -> Result<Self, Error> {
        let bootstrap = connection.bootstrap.value.clone();
        let cluster = Cluster::from(connection.clone());
        let config =
            config::inquirer(connection, &cluster.login()?, &format!("aqueduct-{group}-offsets"), group)?;
        let about = About { bootstrap: &bootstrap, topic: "" };
        let consumer = config.create().map_err(|error| classify(&error, about))?;
        Ok(Self { consumer, bootstrap, group: group.to_owned() })
    }

    /// Where every partition of `topic` begins and ends, and what `start` means there.
    pub fn ranges(&self, topic: &str, start: &Start) -> Result<BTreeMap<i32, LogRange>, Error> {
        let wrong = |error: KafkaError| self.wrong(topic, &error);
        query::exists(&self.consumer, topic, ASK_MAX).map_err(wrong)?;
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK_MAX).map_err(wrong)?;
        let topics = metadata.topics().iter().filter(|known| known.name() == topic);
        let partitions: Vec<i32> =
            topics.flat_map(|known| known.partitions()).map(|partition| partition.id()).collect();
        query::ranges(&self.consumer, topic, &partitions, start, ASK_MAX).map_err(wrong)
    }

    /// What the group was told for each of `partitions`.
    pub fn committed(&self, topic: &str, partitions: &[i32]) -> Result<Vec<Option<i64>>, Error> {
        let asked: Vec<(&str, i32)> = partitions.iter().map(|partition| (topic, *partition)).collect();
        query::committed(&self.consumer, &asked, ASK_MAX).map_err(|error| self.wrong(topic, &error))
    }

    /// Tells the group where to read on; `false` = the broker refuses, for the group has members.
    pub fn commit(&self, topic: &str, offsets: &[(i32, i64)]) -> Result<bool, Error> {
        match query::commit(&self.consumer, topic, offsets) {
            Ok(()) => Ok(true),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId) => Ok(false),
            Err(error) => Err(self.wrong(topic, &error)),
        }
    }

    /// The members of the group, by the name they give themselves; of one of the newer protocol (KIP-848) none is told.
    pub fn members(&self) -> Result<Vec<String>, Error> {
        let groups = self.consumer.fetch_group_list(Some(&self.group), ASK_MAX);
        let groups = groups.map_err(|error| self.wrong("", &error))?;
        let ours = groups.groups().iter().filter(|group| group.name() == self.group);
        Ok(ours.flat_map(|group| group.members()).map(|member| member.client_id().to_owned()).collect())
    }

    /// When the first record from `offset` on was made, microseconds since 1970 UTC; `None` where there is none to read yet,
    /// be it that only marks of transactions follow.
    pub fn time_from(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>, Error> {
        let wrong = |error: KafkaError| self.wrong(topic, &error);
        let mut at = TopicPartitionList::with_capacity(1);
        at.add_partition_offset(topic, partition, Offset::Offset(offset)).map_err(wrong)?;
        self.consumer.assign(&at).map_err(wrong)?;
        let answer = loop {
            match self.consumer.poll(ASK_MAX) {
                None => break Err(self.silent(topic)),
                Some(Ok(record)) if record.topic() != topic || record.partition() != partition => {}
                Some(Ok(record)) => break Ok(record.timestamp().to_millis().map(|ms| ms * 1000)),
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(None),
                Some(Err(error)) => break Err(self.wrong(topic, &error)),
            }
        };
        self.consumer.unassign().map_err(wrong)?;
        answer
    }

    fn silent(&self, topic: &str) -> Error {
        self.wrong(topic, &KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }

    fn wrong(&self, topic: &str, error: &KafkaError) -> Error {
        classify(error, About { bootstrap: &self.bootstrap, topic })
    }
}
