//! From granted partitions to claims: asks the broker where they stand, then the offset store, until it answers.

use super::context::SourceContext;
use super::source::SourceOptions;
use super::talk::Grant;
use crate::kafka::class::{About, classify};
use crate::kafka::client::Client;
use crate::kafka::query;
use crate::kafka::refusal::Reason;
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Claim, ClaimRequest, Class, Clock, Error, LogRange, PartitionKey};
use aqueduct_topology::model::Start;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long the broker may take to answer a question.
pub(super) const ASK_MAX: Duration = Duration::from_secs(5);
/// How long a claim may take; its connection is discarded then.
const CLAIM_MAX: Duration = Duration::from_secs(30);

/// What the group lets us have, by partition: the stretch it is in. Shared with the claims under way.
pub(super) type Granted = Rc<RefCell<BTreeMap<i32, Grant>>>;

/// A claimed partition, and where to begin reading it.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) grant: Grant,
    pub(super) claim: Claim,
    pub(super) log: LogRange,
}

/// How a claim of several partitions ends.
#[derive(Debug)]
pub(super) enum Claiming {
    /// With those that are still ours to claim.
    Done(Vec<Claimed>),
    /// Somebody must change something, perhaps for one of them only: each is claimed by itself.
    Apart(Vec<i32>),
}

/// Everything a claim needs, cheap to clone into a job.
#[derive(Clone)]
pub(super) struct Claimer {
    pub(super) client: Client<SourceContext>,
    /// Why the client was refused, if it was.
    pub(super) reason: Reason,
    pub(super) options: Arc<SourceOptions>,
    pub(super) granted: Granted,
    pub(super) clock: Clock,
    /// Why a claim waits, by its first partition; empty = none does.
    pub(super) waiting: Rc<RefCell<BTreeMap<i32, Error>>>,
}

impl Claimer {
    /// Claims `partitions` after `delay`, trying until it succeeds. Those whose grant has ended meanwhile are left out.
    pub(super) async fn claim(self, partitions: Vec<i32>, delay: Duration) -> Result<Claiming, Error> {
        let Some(&first) = partitions.first() else { return Ok(Claiming::Done(Vec::new())) };
        self.clock.sleep(delay).await;
        let mut backoff = Backoff::outage();
        loop {
            let wanted = self.still_granted(&partitions);
            let outcome = self.attempt(&wanted).await;
            match outcome {
                Ok(claimed) => {
                    self.waiting.borrow_mut().remove(&first);
                    return Ok(Claiming::Done(claimed));
                }
                Err(error) if error.class == Class::Config && wanted.len() > 1 => {
                    return Ok(Claiming::Apart(wanted.into_keys().collect()));
                }
                Err(error) if matches!(error.class, Class::Data | Class::Bug) => {
                    self.waiting.borrow_mut().remove(&first);
                    return Err(error);
                }
                Err(error) => self.wait_for(first, &wanted, error),
            }
            self.clock.sleep(backoff.next_wait()).await;
        }
    }

    /// Shows why a claim waits; the log has each reason once.
    fn wait_for(&self, first: i32, wanted: &BTreeMap<i32, Grant>, error: Error) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.get(&first).is_none_or(|known| known.message != error.message) {
            tracing::warn!(
                event = event_ids::CLAIMS_WAIT,
                actor = &*self.options.source,
                topic = &*self.options.topic(),
                partition = first,
                class = error.class.as_str(),
                ?wanted,
                %error,
                "partitions wait to be claimed"
            );
        }
        waiting.insert(first, error);
    }

    fn still_granted(&self, partitions: &[i32]) -> BTreeMap<i32, Grant> {
        let granted = self.granted.borrow();
        partitions.iter().filter_map(|partition| Some((*partition, *granted.get(partition)?))).collect()
    }

    async fn attempt(&self, wanted: &BTreeMap<i32, Grant>) -> Result<Vec<Claimed>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.begin().await?;
        let mut logs = self.ranges(wanted.keys().copied().collect()).await?;
        let requests: Vec<ClaimRequest> = logs
            .iter()
            .map(|(partition, log)| ClaimRequest {
                key: self.options.key(*partition),
                log: *log,
                begun: true,
            })
            .collect();
        let claims = self
            .clock
            .timeout(CLAIM_MAX, self.options.offsets.claim(&requests))
            .await
            .map_err(|_| Error::new(Class::Transient, format!("no claim within {CLAIM_MAX:?}")))??;
        let claimed = |claim: Claim, logs: &BTreeMap<i32, LogRange>| {
            let partition = claim.key.partition;
            Some(Claimed { grant: *wanted.get(&partition)?, log: *logs.get(&partition)?, claim })
        };
        if claims.iter().any(|claim| logs.get(&claim.key.partition).is_some_and(|log| log.end < claim.start))
        {
            // The former owner may have read on between the question and the claim.
            logs = self.ranges(wanted.keys().copied().collect()).await?;
        }
        for claim in &claims {
            let Some(log) = logs.get(&claim.key.partition) else { continue };
            if log.end < claim.start {
                return Err(self.options.beyond_end(&claim.key, claim.start, log.end));
            }
            let needed = self.options.needed(claim);
            if needed < log.start {
                return Err(self.options.gone_from(&claim.key, needed, log.start));
            }
        }
        Ok(claims.into_iter().filter_map(|claim| claimed(claim, &logs)).collect())
    }

    /// Sees to it that every partition the topic had when the group first came to it has an offset: what `start` of the
    /// file meant there and then. All others came later and are read from their start.
    async fn begin(&self) -> Result<(), Error> {
        let (offsets, topic) = (&self.options.offsets, self.options.topic());
        if offsets.has_begun(&self.options.source, &topic).await? {
            return Ok(());
        }
        // Nothing keeps two members from telling the group at once, so one of them does.
        if !offsets.exactly_once() && !self.granted.borrow().contains_key(&0) {
            let message =
                format!("the member that has partition 0 of `{topic}` has yet to say where the group begins");
            return Err(Error::new(Class::Transient, message));
        }
        let start = self.options.kafka.start.value.clone();
        let asked = topic.clone();
        let starts: BTreeMap<i32, i64> = self
            .ask(move |client| {
                let all: Vec<i32> = (0..query::partitions(client.client(), &asked, ASK_MAX)?).collect();
                let ranges = query::ranges(client, &asked, &all, &start, ASK_MAX)?;
                Ok(ranges.into_iter().map(|(partition, log)| (partition, log.initial)).collect())
            })
            .await?;
        tracing::info!(
            event = event_ids::TOPIC_BEGINS,
            actor = &*self.options.source,
            topic = &*topic,
            ?starts,
            "the topic begins"
        );
        offsets.begin(&self.options.source, &topic, &starts).await?;
        if offsets.exactly_once() { Ok(()) } else { self.say_written(starts.into_iter().collect()).await }
    }

    /// Where `partitions` stand.
    pub(super) async fn ranges(&self, partitions: Vec<i32>) -> Result<BTreeMap<i32, LogRange>, Error> {
        let topic = self.options.topic();
        self.ask(move |client| query::ranges(client, &topic, &partitions, &Start::Earliest, ASK_MAX)).await
    }

    /// Asks the broker off the arbiter: the client's questions block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client<SourceContext>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        let client = self.client.clone();
        let answer = tokio::task::spawn_blocking(move || question(&client)).await;
        let about = About {
            bootstrap: &self.options.connection.bootstrap.value,
            topic: &self.options.kafka.topic.value,
        };
        match answer {
            Ok(answer) => answer
                .map_err(|error| self.reason.explain(error.rdkafka_error_code(), classify(&error, about))),
            Err(error) => Err(Error::bug(format!("a question to the broker ended badly: {error}"))),
        }
    }
}

impl SourceOptions {
    /// Records that the log lost and the offset store lets go, as where no sink is required. Those only a best-effort
    /// sink beside required ones lacks are its own affair: the claim's bound on healing skips them too.
    pub(super) fn gone(&self, claim: &Claim) -> i64 {
        let skipped = claim.skipped.iter().filter(|(sink, _)| self.required.contains(*sink));
        skipped.map(|(_, records)| *records).max().unwrap_or(0)
    }

    /// The first offset that a required sink lacks.
    fn needed(&self, claim: &Claim) -> i64 {
        let required = claim.sinks.iter().filter(|(sink, _)| self.required.contains(*sink));
        required.map(|(_, next)| *next).min().unwrap_or(claim.start)
    }

    /// The partition as this source reads it.
    pub(super) fn key(&self, partition: i32) -> PartitionKey {
        PartitionKey { source: self.source.clone(), topic: self.topic(), partition }
    }

    pub(super) fn topic(&self) -> Arc<str> {
        self.kafka.topic.value.as_str().into()
    }

    /// The stored offset is not in the log, nor before it.
    pub(super) fn beyond_end(&self, key: &PartitionKey, wanted: i64, end: i64) -> Error {
        Error::new(
            Class::Config,
            format!(
                "the stored offset {wanted} of {}/{} lies beyond the log's end {end}: the topic was made anew or lost \
                 records; look, then `aqueduct offsets reset` to say where to go on",
                key.topic, key.partition
            ),
        )
    }

    /// Records from `from` up to the log's beginning at `to` are gone and were never written.
    pub(super) fn gone_from(&self, key: &PartitionKey, from: i64, to: i64) -> Error {
        let cure = if self.offsets.exactly_once() {
            "`aqueduct offsets reset` says where to go on"
        } else {
            "stop the nodes and move the group's offset where reading shall go on"
        };
        Error::new(
            Class::Config,
            format!(
                "{} records of {}/{} are gone: offset {from} is needed next, and the log begins at {to}, through retention \
                 or deletion. Nothing of the partition is read until somebody decides: {cure}; raise the topic's retention",
                to - from,
                key.topic,
                key.partition
            ),
        )
    }
}
