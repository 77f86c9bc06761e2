//! A topology that reads and writes a live Kafka, with its stores in memory: for the demo that needs no service.
//!
//! Sources and `kafka_sink` are the real ones over whatever answers at the topology's bootstrap; writers, caches and
//! letters are those of `try` and `test`. Unlike there, time is the machine's, actors live on several threads, and a run
//! may last for days: so [`Live::trim`] keeps what the stores hold within a bound.
//!
//! Deliberately absent: a bound on business keys (`unique`) and on the keys of a cache, which the feed must bound.

use super::{CALM, Chance, Content, Mishaps, StandIns};
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
        let mut around =
            StandIns::new(topology, clock, claims, &BTreeMap::new(), Chance::of(CALM), Mishaps::default());
        around.services.node = node;
        around.database.forgo_letters();
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
            Kind::Normalizer(_)
            | Kind::QualityGate(_)
            | Kind::TimescaleWriter(_)
            | Kind::RedisCache(_)
            | Kind::Schedule(_) => self.around.factory(actor),
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

#[cfg(test)]
mod tests {
    use super::super::sink::{Place, Row};
    use super::*;
    use aqueduct_engine::testing::raw_batch;
    use aqueduct_topology::{Source, load_unconnected};
    use futures::FutureExt;

    fn live() -> Live {
        let text = include_str!("../../../config/topologies/minimal/topology.yaml");
        let topology = load_unconnected(&Source::new("t", text), &|_| None).0.expect("a topology").0;
        Live::new(Arc::new(topology), "n".into(), Clock::system(), Claims::default())
    }

    fn row(number: usize) -> Row {
        Row { place: Place::default(), json: number.to_string() }
    }

    #[test]
    fn a_table_keeps_its_newest_rows() {
        let live = live();
        let arrive = |rows: std::ops::Range<usize>| {
            live.around.tables["store"].content.lock().expect("sound").rows.extend(rows.map(row));
        };
        arrive(0..10);
        live.trim(3);
        arrive(10..11);
        live.trim(3);
        let kept = Content::Rows([8, 9, 10].map(row).to_vec());
        assert_eq!(live.contents(), [("store".to_owned(), kept)]);
        live.trim(5);
        assert!(matches!(&live.contents()[0].1, Content::Rows(rows) if rows.len() == 3));
    }

    #[test]
    fn the_newest_letters_are_kept() {
        let live = live();
        let batch = raw_batch(0, 0, &["x"]);
        let letter = |row: usize| {
            Letter::for_record(&"a".into(), &batch, (0, row as i32), (Class::Data, "r".into()), String::new())
        };
        for rows in [0..800, 800..1500] {
            let letters: Vec<Letter> = rows.map(letter).collect();
            live.letters.store(&letters).now_or_never().expect("at once").expect("stored");
        }
        let kept = live.letters();
        assert_eq!((kept.len(), kept[0].row, kept[LETTERS_MAX - 1].row), (LETTERS_MAX, 500, 1499));
    }
}
