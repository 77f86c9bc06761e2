//! A topology without its surroundings: the same normalizers, supervisors, links and ledger, with memory in place of
//! Kafka, TimescaleDB and Redis.
//!
//! Sources read a [`Feed`]; a writer commits rows and offsets in one step ([`table`]); a cache is the real one over a
//! [`Keyspace`]; letters are kept by the real `dead_letter`. Everything here runs on one thread and holds still under a
//! paused clock. Deliberately absent: rows a database would refuse (a check constraint, a missing table), and brokers.

mod crash;
mod feed;
mod letters;
mod live;
mod record_time;
mod sink;
mod source;
mod table;
mod topic;

pub use crash::Crash;
pub use feed::Feed;
pub use live::Live;
pub use record_time::RecordTimes;

use crate::redis_cache::{Hash, Keyspace};
use crate::{Services, dead_letter, normalizer, redis_cache};
use aqueduct_engine::testing::MemoryOffsets;
use aqueduct_engine::{Claims, Class, Clock, Error, Factory, Letter, Loss, OffsetStore};
use aqueduct_topology::model::{Actor, Kind, Topology};
use letters::MemoryLetters;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How far a best-effort sink may lie behind: nothing here is ever too far.
const HEAL_MAX: i64 = i64::MAX / 2;

/// What one sink holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Of a writer or a topic: each row as a JSON object, in the order of arrival.
    Rows(Vec<String>),
    /// Of a cache: its hashes by key.
    Hashes(BTreeMap<String, Hash>),
}

/// Rows of one sink, as JSON.
type Rows = Arc<Mutex<Vec<String>>>;

/// The surroundings of one run of a topology. Cloning shares them.
#[derive(Clone)]
pub struct StandIns {
    services: Services,
    offsets: MemoryOffsets,
    feeds: BTreeMap<String, Arc<Feed>>,
    rows: BTreeMap<String, Rows>,
    keyspaces: BTreeMap<String, Keyspace>,
    letters: MemoryLetters,
    outages: Outages,
    switches: BTreeMap<String, Arc<crash::Switch>>,
}

/// Which sinks fail, and how; by the actor's name.
#[derive(Clone, Debug, Default)]
struct Outages(Arc<Mutex<BTreeMap<String, Error>>>);

impl Outages {
    fn check(&self, actor: &str) -> Result<(), Error> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(actor) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl StandIns {
    /// Empty surroundings of `topology`. `partitions` says which partitions each source has; partition 0 where it is
    /// silent.
    pub fn new(
        topology: Arc<Topology>,
        clock: Clock,
        claims: Claims,
        partitions: &BTreeMap<String, BTreeSet<u32>>,
    ) -> Self {
        let offsets = MemoryOffsets::new(Vec::new(), HEAL_MAX);
        let services = Services {
            topology: topology.clone(),
            node: "stand-in".into(),
            clock,
            claims,
            offsets: Arc::new(offsets.clone()),
            timescale: None,
        };
        let (mut feeds, mut rows, mut keyspaces) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for actor in &topology.actors {
            let name = actor.name.value.clone();
            let feed = |topic: &str| {
                let numbers = partitions.get(&actor.name.value).cloned().unwrap_or_default();
                Arc::new(Feed::new(&actor.id.value, topic, numbers))
            };
            match &actor.kind {
                Kind::KafkaSource(options) => drop(feeds.insert(name, feed(&options.topic.value))),
                Kind::ReplaySource(options) => drop(feeds.insert(name, feed(&options.topic))),
                Kind::TimescaleWriter(_) | Kind::KafkaSink(_) => drop(rows.insert(name, Rows::default())),
                Kind::RedisCache(_) => drop(keyspaces.insert(name, Keyspace::default())),
                Kind::Normalizer(_) | Kind::DeadLetter(_) => {}
            }
        }
        Self {
            services,
            offsets,
            feeds,
            rows,
            keyspaces,
            letters: MemoryLetters::default(),
            outages: Outages::default(),
            switches: topology
                .actors
                .iter()
                .map(|actor| (actor.name.value.clone(), Arc::default()))
                .collect(),
        }
    }

    /// The factory of `actor`: the real one wherever nothing outside is touched. What it makes can be made to crash.
    pub fn factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let name = actor.name.value.as_str();
        let switch = self.switches.get(name).cloned().unwrap_or_default();
        Ok(crash::armed(self.plain_factory(actor)?, switch))
    }

    fn plain_factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let name = &actor.name.value;
        match &actor.kind {
            Kind::KafkaSource(_) | Kind::ReplaySource(_) => {
                let sinks = self.services.sinks_of(name);
                Ok(source::factory(self.feeds[name].clone(), self.offsets.with_sinks(sinks)))
            }
            Kind::Normalizer(options) => normalizer::factory(actor, options, &self.services),
            Kind::TimescaleWriter(options) => Ok(table::factory(actor, options, self)),
            Kind::RedisCache(options) => {
                redis_cache::in_memory(actor, options, &self.services, &self.keyspaces[name])
            }
            Kind::KafkaSink(_) => Ok(topic::factory(actor, self)),
            Kind::DeadLetter(_) => Ok(dead_letter::keeper(Arc::new(self.letters.clone()))),
        }
    }

    /// What the source of that name reads.
    pub fn feed(&self, source: &str) -> Option<&Arc<Feed>> {
        self.feeds.get(source)
    }

    /// How many messages each partition of each source has, by the source's identity.
    pub fn lengths(&self) -> BTreeMap<(String, u32), i64> {
        let of_feed = |feed: &Arc<Feed>| {
            let source = feed.source.to_string();
            feed.lengths().into_iter().map(move |(partition, length)| ((source.clone(), partition), length))
        };
        self.feeds.values().flat_map(of_feed).collect()
    }

    /// Where offsets are kept.
    pub fn offsets(&self) -> Arc<dyn OffsetStore> {
        Arc::new(self.offsets.clone())
    }

    /// What every sink holds now, in the topology's order.
    pub fn contents(&self) -> Vec<(String, Content)> {
        let now_ms = self.services.clock.wall_us().div_euclid(1000);
        let content = |actor: &Actor| {
            let name = actor.name.value.clone();
            let rows = self
                .rows
                .get(&name)
                .map(|rows| Content::Rows(rows.lock().unwrap_or_else(PoisonError::into_inner).clone()));
            let hashes = || Some(Content::Hashes(self.keyspaces.get(&name)?.at(now_ms)));
            Some((name.clone(), rows.or_else(hashes)?))
        };
        self.services.topology.actors.iter().filter_map(content).collect()
    }

    /// What was rejected, by source, partition and offset.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.all()
    }

    /// Ends the actor of that name (every clone of it would take one pull each) as its own fault would.
    pub fn crash(&self, actor: &str, crash: Crash) {
        if let Some(switch) = self.switches.get(actor) {
            switch.pull(crash);
        }
    }

    /// The source of that name loses its partitions: it claims them anew, and reads on from where its sinks stand.
    pub fn revoke(&self, source: &str) {
        let Some(feed) = self.feeds.get(source) else { return };
        let claims = &self.services.claims;
        for claim in claims.all().iter().filter(|claim| claim.key.source == feed.source) {
            claims.request_rewind(&claim.key, claim.epoch, Loss::WentBack);
        }
    }

    /// Every attempt of that sink to write fails with `error` from now on; `None` = its attempts succeed again.
    pub fn set_outage(&self, sink: &str, error: Option<Error>) -> Result<(), Error> {
        if let Some(keyspace) = self.keyspaces.get(sink) {
            keyspace.set_down(error);
        } else if self.rows.contains_key(sink) {
            let mut outages = self.outages.0.lock().unwrap_or_else(PoisonError::into_inner);
            match error {
                Some(error) => drop(outages.insert(sink.to_owned(), error)),
                None => drop(outages.remove(sink)),
            }
        } else {
            return Err(Error::new(Class::Config, format!("`{sink}` is no sink")));
        }
        Ok(())
    }
}
