//! Offsets in Kafka itself, for topologies that write no TimescaleDB: at least once.
//!
//! Reading starts where the group was told; sinks say here how far they have come, and the source tells the group the
//! least of that. A claim's epoch only orders the claims of one node: nothing fences another, hence the "at least".

use super::cluster::Cluster;
use super::inquirer::Inquirer;
use super::query;
use super::refusal::Asking;
use aqueduct_engine::{
    Claim, ClaimRequest, Clock, Error, Holder, Logs, OffsetStore, Owner, PartitionKey, Position, SinkIdentity,
};
use futures::future::LocalBoxFuture;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const ASK_MAX: Duration = Duration::from_secs(5);

/// How far one sink has come.
type Positions = BTreeMap<(PartitionKey, Arc<str>), (i64, i64)>;

/// An offset store that is the consumer group's own.
pub struct KafkaOffsets {
    inquirer: Inquirer,
    /// By the identity of the source.
    sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
    clock: Clock,
    positions: Arc<Mutex<Positions>>,
}

impl KafkaOffsets {
    /// A store for the group `group`; `sinks` are those downstream of each source, by the source's identity.
    pub fn new(
        cluster: impl Into<Cluster>,
        group: impl Into<String>,
        sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>,
        clock: Clock,
    ) -> Self {
        let group = group.into();
        let inquirer = Inquirer::new(cluster, format!("aqueduct-{group}-offsets"), group);
        Self { inquirer, sinks, clock, positions: Arc::default() }
    }

    /// The same store for a topology with other sinks, which knows what this process has claimed.
    pub fn with_sinks(&self, sinks: BTreeMap<Arc<str>, Vec<SinkIdentity>>) -> Self {
        Self {
            inquirer: self.inquirer.clone(),
            sinks,
            clock: self.clock.clone(),
            positions: self.positions.clone(),
        }
    }

    /// What the group was told of each of `partitions`; `None` = nothing.
    async fn committed(&self, partitions: Vec<(Arc<str>, i32)>) -> Result<Vec<Option<i64>>, Error> {
        let topic = partitions.first().map(|(topic, _)| topic.clone()).unwrap_or_default();
        let question = move |client: &BaseConsumer<Asking>| {
            let asked: Vec<(&str, i32)> =
                partitions.iter().map(|(topic, number)| (&**topic, *number)).collect();
            query::committed(client, &asked, ASK_MAX)
        };
        self.inquirer.ask(&topic, question).await
    }

    async fn claim_all(&self, requests: &[ClaimRequest]) -> Result<Vec<Claim>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        // What begins inside the topology is in no topic, and the group knows nothing of it.
        let place = |request: &ClaimRequest| (request.key.topic.clone(), request.key.partition);
        let of_topics: Vec<_> =
            requests.iter().filter(|request| !request.key.is_own_stream()).map(place).collect();
        let mut committed = match of_topics.is_empty() {
            true => Vec::new(),
            false => self.committed(of_topics).await?,
        }
        .into_iter();
        let claim = |request: &ClaimRequest| {
            let told = if request.key.is_own_stream() { None } else { committed.next().flatten() };
            self.claim_one(request, told)
        };
        Ok(requests.iter().map(claim).collect())
    }

    fn claim_one(&self, request: &ClaimRequest, committed: Option<i64>) -> Claim {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let start = committed.unwrap_or(request.log.initial);
        let sinks = self.sinks.get(&request.key.source).map_or(&[][..], Vec::as_slice);
        let place = |sink: &SinkIdentity| (request.key.clone(), sink.id.clone());
        let before =
            sinks.iter().filter_map(|sink| positions.get(&place(sink))).map(|(epoch, _)| *epoch).max();
        // Later than any claim of an earlier run of this process, by the clock.
        let epoch = self.clock.wall_us().max(before.unwrap_or(0) + 1);
        for sink in sinks {
            positions.insert(place(sink), (epoch, start));
        }
        Claim {
            key: request.key.clone(),
            epoch,
            owner: Owner::random(),
            start,
            sinks: sinks.iter().map(|sink| (sink.id.clone(), start)).collect(),
            skipped: BTreeMap::new(),
        }
    }
}

impl OffsetStore for KafkaOffsets {
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>> {
        Box::pin(self.claim_all(requests))
    }

    /// What a topic begins with its member tells the group.
    fn has_begun<'a>(&'a self, _source: &'a str, topic: &'a str) -> LocalBoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let asked = topic.to_owned();
            let count = self
                .inquirer
                .ask(topic, move |client| query::partitions(client.client(), &asked, ASK_MAX))
                .await?;
            let topic: Arc<str> = topic.into();
            let all = (0..count).map(|partition| (topic.clone(), partition)).collect();
            Ok(self.committed(all).await?.iter().any(Option::is_some))
        })
    }

    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>> {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let position =
            |((key, sink), (epoch, next_offset)): (&(PartitionKey, Arc<str>), &(i64, i64))| Position {
                sink: sink.clone(),
                key: key.clone(),
                epoch: *epoch,
                next_offset: *next_offset,
                moved: false,
                // Only the group knows. What is claimed here is ours all the same.
                holder: Holder::Other,
                resting: Duration::ZERO,
            };
        let positions = positions.iter().map(position).collect();
        Box::pin(std::future::ready(Ok(positions)))
    }

    fn advance<'a>(
        &'a self,
        sink: &'a str,
        advanced: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let sink: Arc<str> = sink.into();
        for (key, epoch, next) in advanced {
            if let Some(position) = positions.get_mut(&(key.clone(), sink.clone()))
                && position.0 == *epoch
            {
                position.1 = position.1.max(*next);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(&self.inquirer)
    }

    fn exactly_once(&self) -> bool {
        false
    }
}
