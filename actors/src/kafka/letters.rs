//! Dead letters in a topic, for topologies without TimescaleDB.
//!
//! A letter is the record as it came: key, value, headers, time. Why it was rejected and where it came from stand in
//! headers whose names begin with `aqueduct-`. Storing twice stores two: at least once, as everything of such a topology.

use super::cluster::Cluster;
use super::producer::{Deliver, Outgoing, Producer};
use crate::kafka::class::{About, describe};
use crate::timescale::LetterStore;
use aqueduct_engine::{Class, Clock, Error, Headers, Letter};
use futures::future::LocalBoxFuture;
use std::sync::{Arc, Mutex, PoisonError};

/// Letters in a topic.
pub struct KafkaLetters {
    cluster: Cluster,
    topic: String,
    clock: Clock,
    producer: Mutex<Option<Arc<Producer>>>,
}

impl KafkaLetters {
    /// Letters in `topic`, which must exist.
    pub fn new(cluster: impl Into<Cluster>, topic: impl Into<String>, clock: Clock) -> Self {
        Self { cluster: cluster.into(), topic: topic.into(), clock, producer: Mutex::default() }
    }

    fn producer(&self) -> Result<Arc<Producer>, Error> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = producer.as_ref().filter(|producer| !producer.is_outdated()) {
            return Ok(producer.clone());
        }
        let client_id = format!("aqueduct-letters-{}", self.topic);
        let made = Arc::new(Producer::new(&self.cluster, &client_id, self.clock.clone())?);
        *producer = Some(made.clone());
        Ok(made)
    }

    /// The next attempt makes another client.
    fn forget(&self) {
        *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn store_all(&self, letters: &[Letter]) -> Result<(), Error> {
        if letters.is_empty() {
            // Whether the place for letters is there.
            let there = self.producer()?.ping(&self.topic).await;
            // An outage ends by itself; what somebody mends may take a client that is made anew.
            if there.as_ref().is_err_and(|error| error.class == Class::Config) {
                self.forget();
            }
            return there;
        }
        let messages = letters.iter().map(|letter| Outgoing {
            key: letter.record_key.as_deref(),
            value: letter.payload.as_deref(),
            time_ms: letter.record_time_ms,
            headers: headers(letter),
        });
        let delivered = self.producer()?.deliver(&self.topic, messages).await;
        if delivered.is_err() {
            self.forget();
        }
        match delivered?.first() {
            None => Ok(()),
            Some((_, code)) => {
                let about = About { bootstrap: &self.cluster.bootstrap.value, topic: &self.topic };
                Err(describe(*code, about))
            }
        }
    }
}

impl LetterStore for KafkaLetters {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.store_all(letters))
    }
}

fn headers(letter: &Letter) -> Headers {
    let ours = [
        ("aqueduct-actor", letter.actor.to_string()),
        ("aqueduct-class", letter.class.as_str().to_owned()),
        ("aqueduct-reason", letter.reason.to_string()),
        ("aqueduct-detail", letter.detail.clone()),
        ("aqueduct-source", letter.key.source.to_string()),
        ("aqueduct-topic", letter.key.topic.to_string()),
        ("aqueduct-partition", letter.key.partition.to_string()),
        ("aqueduct-offset", letter.offset.to_string()),
        ("aqueduct-row", letter.row.to_string()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (Arc::from(name), Some(value.into_bytes())));
    letter.headers.iter().cloned().chain(ours).collect()
}
