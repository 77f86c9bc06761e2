//! A topology that reads and writes a live Kafka, with its stores in memory: for the demo that needs no service.
//!
//! Sources and `kafka_sink` are the real ones over whatever answers at the topology's bootstrap; writers, caches and
//! letters are those of `try` and `test`. Unlike there, time is the machine's, actors live on several threads, and a run
//! may last for days: so [`Live::trim`] keeps what the stores hold within a bound.
//!
//! Deliberately absent: a bound on business keys (`unique`) and on the keys of a cache, which the feed must bound.

use super::{CALM, Chance, Content, StandIns};
use crate::timescale::LetterStore;
use crate::{dead_letter, kafka_sink, kafka_source};
use aqueduct_engine::{Claims, Class, Clock, Error, Factory, Letter, OffsetStore};
use aqueduct_topology::model::{Actor, Kind, Topology};
use futures::future::LocalBoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Letters that are kept: the newest.
const LETTERS_MAX: usize = 1000;

/// Stores in memory around one run. Cloning shares them.
#[derive(Clone)]
pub struct Live {
    around: StandIns,
    letters: Arc<NewestLetters>,
}

impl Live {
    /// Empty stores for `topology` as `node` runs it.
    pub fn new(topology: Arc<Topology>, node: Arc<str>, clock: Clock, claims: Claims) -> Self {
        let mut around = StandIns::new(topology, clock, claims, &BTreeMap::new(), Chance::of(CALM));
        around.services.node = node;
        Self { around, letters: Arc::default() }
    }

    /// The factory of `actor`.
    pub fn factory(&self, actor: &Actor) -> Result<Factory, Error> {
        match &actor.kind {
            Kind::KafkaSource(options) => kafka_source::factory(actor, options, &self.around.services),
            Kind::KafkaSink(options) => kafka_sink::factory(actor, options, &self.around.services),
            Kind::DeadLetter(_) => Ok(dead_letter::keeper(self.letters.clone())),
            Kind::ReplaySource(_) => {
                let message = "a live run has no files to replay: use kafka_source";
                Err(Error::new(Class::Config, format!("actor `{}`: {message}", actor.name.value)))
            }
            Kind::Normalizer(_) | Kind::TimescaleWriter(_) | Kind::RedisCache(_) => {
                self.around.factory(actor)
            }
        }
    }

    /// Where offsets are kept.
    pub fn offsets(&self) -> Arc<dyn OffsetStore> {
        self.around.offsets()
    }

    /// What every store holds now, in the topology's order.
    pub fn contents(&self) -> Vec<(String, Content)> {
        self.around.contents()
    }

    /// The newest letters, oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Lets every writer's table forget all but its newest `rows`. What it holds between two calls is what arrived.
    pub fn trim(&self, rows: usize) {
        for table in self.around.tables.values() {
            let mut content = table.content.lock().unwrap_or_else(PoisonError::into_inner);
            let forgotten = content.rows.len().saturating_sub(rows);
            content.rows.drain(..forgotten);
        }
    }
}

/// See [`LETTERS_MAX`].
#[derive(Debug, Default)]
struct NewestLetters(Mutex<VecDeque<Letter>>);

impl LetterStore for NewestLetters {
    fn store<'a>(&'a self, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(letters.iter().cloned());
        let forgotten = kept.len().saturating_sub(LETTERS_MAX);
        kept.drain(..forgotten);
        Box::pin(std::future::ready(Ok(())))
    }
}
