//! A topology without its surroundings: the same normalizers, writers, caches, supervisors, links and ledger, with memory
//! in place of Kafka, TimescaleDB and Redis.
//!
//! The kinds that write are the real ones, over what they themselves take for a database, a broker or Redis: a [`table`]
//! takes the steps of a transaction, a [`topic`] messages, a [`keyspace`] guarded writes, a [`database`] claims and
//! letters. Only the source is another: it reads a [`Feed`]. Everything here runs on one thread and holds still under a
//! paused clock; what is left to [`Chance`] follows from a seed.
//!
//! Deliberately absent: SQL, and brokers.

mod chance;
mod crash;
mod database;
mod feed;
mod keyspace;
mod live;
mod mishap;
mod record_time;
mod refuse;
mod sink;
mod source;
mod table;
mod topic;
mod trouble;

pub use chance::{CALM, Chance};
pub use crash::Crash;
pub use feed::{Feed, Handover};
pub use keyspace::Hash;
pub use live::Live;
pub use mishap::{Mishap, Mishaps};
pub use record_time::RecordTimes;
pub use refuse::Declared;
pub use sink::{Place, Row};
pub use trouble::Trouble;

use crate::json::rows::json_columns;
use crate::services::{Servers, sinks_by_source, writes_rows};
use crate::{
    Services, dead_letter, kafka_sink, normalizer, quality_gate, redis_cache, schedule, timescale_writer,
};
use aqueduct_engine::application::{RuntimeApplication, Settings};
use aqueduct_engine::{Claims, Class, Clock, Error, Factory, Letter, OffsetStore, Position};
use aqueduct_topology::model::{Actor, Kind, Topology};
use database::{Database, Durable};
use feed::Node;
use keyspace::Keyspace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use table::Table;
use topic::Topic;
use trouble::{Troubles, Way};

/// The actor that every topology has.
const DEAD_LETTER: &str = "dead_letter";

/// What one sink holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Of a writer or a topic: its rows, in the order of arrival.
    Rows(Vec<Row>),
    /// Of a cache: its hashes by key.
    Hashes(BTreeMap<String, Hash>),
}

/// The surroundings of one run of a topology. Cloning shares them.
#[derive(Clone)]
pub struct StandIns {
    services: Services,
    node: Node,
    chance: Chance,
    database: Database,
    feeds: BTreeMap<String, Arc<Feed>>,
    tables: BTreeMap<String, Arc<Table>>,
    topics: BTreeMap<String, Arc<Topic>>,
    keyspaces: BTreeMap<String, Keyspace>,
    troubles: Troubles,
    switches: BTreeMap<String, Arc<crash::Switch>>,
}

/// What the database and its tables held at one moment.
#[derive(Clone, Debug)]
pub struct Backup {
    database: Durable,
    tables: BTreeMap<String, table::Content>,
}

impl StandIns {
    /// Empty surroundings of `topology`. `partitions` says which partitions each source has; partition 0 where it is
    /// silent.
    pub fn new(
        topology: Arc<Topology>,
        clock: Clock,
        claims: Claims,
        partitions: &BTreeMap<String, BTreeSet<u32>>,
        chance: Chance,
        mishaps: Mishaps,
    ) -> Self {
        let troubles = Troubles::default();
        let way = |actor: &str, to: &'static str| Way {
            actor: actor.to_owned(),
            to,
            troubles: troubles.clone(),
            mishaps: mishaps.clone(),
            chance: chance.clone(),
            clock: clock.clone(),
        };
        let ways = (way("", "the database"), way(DEAD_LETTER, "the database"));
        let database = Database::new(sinks_by_source(&topology), writes_rows(&topology), ways);
        let (mut feeds, mut tables) = (BTreeMap::new(), BTreeMap::new());
        let (mut topics, mut keyspaces) = (BTreeMap::new(), BTreeMap::new());
        for actor in &topology.actors {
            let name = actor.name.value.clone();
            let feed = |topic: &str| {
                let numbers = partitions.get(&actor.name.value).cloned().unwrap_or_default();
                Arc::new(Feed::new(&actor.id.value, topic, numbers))
            };
            match &actor.kind {
                Kind::KafkaSource(options) => drop(feeds.insert(name, feed(&options.topic.value))),
                Kind::ReplaySource(options) => drop(feeds.insert(name, feed(&options.topic))),
                Kind::TimescaleWriter(_) => {
                    let table = Table {
                        json: json_columns(actor, &topology),
                        declared: Mutex::default(),
                        content: Mutex::default(),
                        database: database.clone(),
                        way: way(&name, "the database"),
                    };
                    tables.insert(name, Arc::new(table));
                }
                Kind::KafkaSink(_) => {
                    let topic = Topic { messages: Mutex::default(), way: way(&name, "kafka") };
                    topics.insert(name, Arc::new(topic));
                }
                Kind::RedisCache(_) => {
                    let keyspace = Keyspace::new(way(&name, "redis"));
                    keyspaces.insert(name, keyspace);
                }
                Kind::Normalizer(_) | Kind::QualityGate(_) | Kind::DeadLetter(_) | Kind::Schedule(_) => {}
            }
        }
        let services = Services {
            node: "stand-in".into(),
            clock,
            claims,
            offsets: Arc::new(database.clone()),
            timescale: None,
            servers: Servers { rehearsal: true, ..Servers::default() },
            topology,
        };
        let switches = switches(&services.topology);
        let node = 0;
        Self { services, node, chance, database, feeds, tables, topics, keyspaces, troubles, switches }
    }

    /// The same surroundings, as another process sees them: of that node, the first being 0. What was done to the actors
    /// of others is not done to its own.
    pub fn seen_by(&self, node: usize, claims: Claims) -> Self {
        let database = self.database.seen_by_another_process();
        let offsets: Arc<dyn OffsetStore> = Arc::new(database.clone());
        let name = format!("stand-in-{}", node + 1).into();
        let services = Services { claims, node: name, offsets, ..self.services.clone() };
        Self { node, switches: switches(&services.topology), services, database, ..self.clone() }
    }

    /// The topology as an application of this process.
    pub fn application(&self, settings: Settings) -> Result<RuntimeApplication, Error> {
        let kinds = self.clone();
        RuntimeApplication::builder(self.services.topology.clone())
            .settings(settings)
            .catalog(Box::new(move |actor| kinds.factory(actor)))
            .offsets(self.offsets())
            .clock(self.services.clock.clone())
            .claims(self.services.claims.clone())
            .build()
    }

    /// The factory of `actor`: the real one wherever nothing outside is touched. What it makes can be made to crash.
    pub fn factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let name = actor.name.value.as_str();
        let switch = self.switches.get(name).cloned().unwrap_or_default();
        Ok(crash::armed(self.plain_factory(actor)?, switch, self.chance.clone()))
    }

    fn plain_factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let name = &actor.name.value;
        match &actor.kind {
            Kind::KafkaSource(_) | Kind::ReplaySource(_) => Ok(source::factory(source::Plan {
                feed: self.feeds[name].clone(),
                database: self.database.clone(),
                node: self.node,
                chance: self.chance.clone(),
            })),
            Kind::Normalizer(options) => normalizer::factory(actor, options, &self.services),
            Kind::QualityGate(options) => quality_gate::factory(actor, options, &self.services),
            Kind::TimescaleWriter(options) => {
                let store = Arc::new(table::Handle(self.tables[name].clone()));
                timescale_writer::over(actor, options, &self.services, store)
            }
            Kind::RedisCache(options) => {
                let keyspace = self.keyspaces[name].clone();
                let open = Box::new(move |fields| keyspace.store(fields));
                redis_cache::over(actor, options, &self.services, open)
            }
            Kind::KafkaSink(options) => {
                let topic = self.topics[name].clone();
                let open: kafka_sink::Open = Box::new(move |_, _| Ok(Box::new(topic::Client(topic.clone()))));
                Ok(kafka_sink::over(actor, options, &self.services, "memory".into(), open))
            }
            Kind::DeadLetter(_) => Ok(dead_letter::keeper(Arc::new(self.database.clone()))),
            Kind::Schedule(_) => Ok(schedule::idle()),
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

    /// What the writer of that name takes for its database.
    pub(crate) fn store(&self, writer: &str) -> Option<Arc<dyn timescale_writer::store::Store>> {
        let table = self.tables.get(writer)?.clone();
        Some(Arc::new(table::Handle(table)))
    }

    /// Where offsets are kept.
    pub fn offsets(&self) -> Arc<dyn OffsetStore> {
        Arc::new(self.database.clone())
    }

    /// Every stored offset.
    pub fn positions(&self) -> Vec<Position> {
        self.database.all_positions()
    }

    /// Whether every sink has come to the end of what every source was sent.
    pub fn is_at_end(&self) -> bool {
        let (lengths, positions) = (self.lengths(), self.positions());
        let is_at_end = |position: &Position| {
            let partition = (position.key.source.to_string(), position.key.partition as u32);
            lengths.get(&partition).is_none_or(|length| position.next_offset >= *length)
        };
        let claimed = |source: &str| positions.iter().any(|position| &*position.key.source == source);
        positions.iter().all(is_at_end)
            && lengths.iter().all(|((source, _), length)| *length == 0 || claimed(source))
    }

    /// What every sink holds now, in the topology's order.
    pub fn contents(&self) -> Vec<(String, Content)> {
        self.database.catch_up();
        let now_ms = self.services.clock.wall_us().div_euclid(1000);
        let content = |actor: &Actor| {
            let name = actor.name.value.clone();
            let of_table = |table: &Arc<Table>| {
                table.content.lock().unwrap_or_else(PoisonError::into_inner).rows.clone()
            };
            let of_topic =
                |topic: &Arc<Topic>| topic.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let rows = self.tables.get(&name).map(of_table).or_else(|| self.topics.get(&name).map(of_topic));
            let hashes = || Some(Content::Hashes(self.keyspaces.get(&name)?.at(now_ms)));
            Some((name.clone(), rows.map(Content::Rows).or_else(hashes)?))
        };
        self.services.topology.actors.iter().filter_map(content).collect()
    }

    /// What was rejected, by source, partition and offset. Each names the actor as the file does.
    pub fn letters(&self) -> Vec<Letter> {
        let mut letters = self.database.all_letters();
        for letter in &mut letters {
            if let Some(actor) = self.services.topology.identified(&letter.actor) {
                letter.actor = actor.name.value.as_str().into();
            }
        }
        letters
    }

    /// Says what the table behind the writer of that name is like; writers that open a session from now on see it.
    pub fn declare(&self, writer: &str, declared: Declared) {
        if let Some(table) = self.tables.get(writer) {
            *table.declared.lock().unwrap_or_else(PoisonError::into_inner) = declared;
        }
    }

    /// Ends the actor of that name (every clone of it would take one pull each) as its own fault would.
    pub fn crash(&self, actor: &str, crash: Crash) {
        if let Some(switch) = self.switches.get(actor) {
            switch.pull(crash);
        }
    }

    /// From now on the actor of that name panics whenever it is given the record at `offset` of `partition`.
    pub fn poison(&self, actor: &str, partition: u32, offset: i64) {
        if let Some(switch) = self.switches.get(actor) {
            switch.poison(partition as i32, offset);
        }
    }

    /// Gives a partition of that source (or all) to that node, away from whoever has it.
    pub fn hand_over(&self, source: &str, partition: Option<u32>, to: usize, handover: Handover) {
        if let Some(feed) = self.feeds.get(source) {
            feed.give(partition, to, handover);
        }
    }

    /// What the database holds now.
    pub fn back_up(&self) -> Backup {
        let database = self.database.durable();
        let content =
            |table: &Arc<Table>| table.content.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tables = self.tables.iter().map(|(name, table)| (name.clone(), content(table))).collect();
        Backup { database, tables }
    }

    /// Another server takes over that has `backup`, and nothing of what was committed since. Every session ends.
    pub fn fail_over(&self, backup: Backup) {
        self.database.fail_over(backup.database);
        for (name, content) in backup.tables {
            *self.tables[&name].content.lock().unwrap_or_else(PoisonError::into_inner) = content;
        }
    }

    /// Another node claims a partition of that source (or all), and dies before it reads: the first is told nothing.
    pub fn usurp(&self, source: &str, partition: Option<u32>) {
        if let Some(feed) = self.feeds.get(source) {
            self.database.usurp(&feed.source, partition);
        }
    }

    /// What that actor speaks to is in trouble from now on; `None` = it is well again.
    pub fn set_trouble(&self, actor: &str, trouble: Option<Trouble>) -> Result<(), Error> {
        let speaks = |actor: &Actor| actor.kind.is_sink() || matches!(actor.kind, Kind::DeadLetter(_));
        if !self.services.topology.actor(actor).is_some_and(speaks) {
            return Err(Error::new(Class::Config, format!("`{actor}` is no sink")));
        }
        self.troubles.set(actor, trouble);
        Ok(())
    }
}

fn switches(topology: &Topology) -> BTreeMap<String, Arc<crash::Switch>> {
    topology.actors.iter().map(|actor| (actor.name.value.clone(), Arc::default())).collect()
}
