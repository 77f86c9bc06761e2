//! One backfill, ready for the engine: who is made how, and where offsets are kept.
//!
//! The kinds are the real ones. Only the sources are others, one actor picks rows, and the writer's session counts.

use super::file::FileRecords;
use super::judge::{Counts, Judging};
use super::lane::{Lane, ROWS};
use super::source::{self, Orders, Reader};
use super::state::Entry;
use super::store::Counting;
use super::throttle::Throttle;
use super::{kafka, rows};
use crate::services::{Servers, sinks_by_source};
use crate::stand_in::{CALM, Chance, Mishaps, StandIns};
use crate::timescale::{Identifier, Timescale, TimescaleOffsets};
use crate::{Services, catalog, timescale_writer};
use aqueduct_engine::{Claims, Class, Error, Factory, OffsetStore};
use aqueduct_topology::model::{Actor, Kind, TimescaleWriter, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where records come from.
#[derive(Clone, Debug)]
pub enum Records {
    /// The topics of the topology.
    Kafka,
    /// A file.
    File(FileRecords),
}

/// See the module.
#[derive(Clone)]
pub struct Backfill {
    lane: Arc<Lane>,
    entry: Arc<Entry>,
    records: Records,
    time_column: Identifier,
    key: Vec<Identifier>,
    throttle: Arc<Throttle>,
    services: Services,
    judged: Option<Judged>,
}

/// What a backfill comes to that is only judged.
#[derive(Clone)]
pub struct Judged {
    /// Rows.
    pub counts: Arc<Counts>,
    /// Where offsets and letters are.
    around: StandIns,
}

impl Judged {
    /// Rejected records by actor and reason.
    pub fn letters(&self) -> BTreeMap<(String, String), u64> {
        let mut found = BTreeMap::new();
        for letter in self.around.letters() {
            *found.entry((letter.actor.to_string(), letter.reason.to_string())).or_default() += 1;
        }
        found
    }
}

impl Backfill {
    /// Of `entry` along `lane` of `topology`.
    pub fn new(
        topology: &Topology,
        (lane, entry): (Lane, Entry),
        (records, time_column): (Records, Identifier),
        throttle: Arc<Throttle>,
        (timescale, node, claims): (Timescale, Arc<str>, Claims),
    ) -> Result<Self, Error> {
        let name: Arc<str> = topology.name.value.as_str().into();
        // Those of the whole topology are named too, or their tables would seem to be fed by strangers. To adopt is a
        // node's to do, when it starts with the new name.
        let mut sinks = sinks_by_source(topology);
        sinks.extend(sinks_by_source(&lane.topology));
        sinks.values_mut().flatten().for_each(|sink| sink.adopts = None);
        let offsets: Arc<dyn OffsetStore> =
            Arc::new(TimescaleOffsets::new(timescale.clone(), name, node.clone(), sinks));
        let (clock, part) = (timescale.clock().clone(), lane.topology.clone());
        let timescale = Some(timescale);
        let servers = Servers::default();
        let services = Services { topology: part, node, clock, claims, offsets, timescale, servers };
        let key = entry.key.iter().map(|column| Identifier::new(column)).collect::<Result<_, _>>()?;
        let (lane, entry) = (Arc::new(lane), Arc::new(entry));
        Ok(Self { lane, entry, records, time_column, key, throttle, services, judged: None })
    }

    /// The same, of which nothing is kept: what would be added is counted.
    pub fn judged(mut self) -> (Self, Judged) {
        let Services { topology, clock, claims, .. } = self.services.clone();
        let chance = Chance::of(CALM);
        let around = StandIns::new(topology, clock, claims, &BTreeMap::new(), chance, Mishaps::default());
        let judged = Judged { counts: Arc::default(), around };
        self.services.offsets = judged.around.offsets();
        self.judged = Some(judged.clone());
        (self, judged)
    }

    /// The part of the topology that runs.
    pub fn topology(&self) -> Arc<Topology> {
        self.services.topology.clone()
    }

    /// Where its offsets are.
    pub fn offsets(&self) -> Arc<dyn OffsetStore> {
        self.services.offsets.clone()
    }

    /// How `actor` of it is made.
    pub fn factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let services = &self.services;
        match &actor.kind {
            Kind::ReplaySource(_) => self.source(actor),
            Kind::Normalizer(_) if actor.name.value == ROWS => {
                Ok(rows::factory(self.time_column.as_str().into(), self.entry.range))
            }
            Kind::TimescaleWriter(options) => {
                // What one transaction finds absent must not be another's on its way.
                let options = &TimescaleWriter { transactions: 1, ..options.clone() };
                let Some(timescale) = services.timescale.clone() else {
                    return Err(Error::bug("a backfill has a database"));
                };
                if let Some(judged) = &self.judged {
                    let Some(memory) = judged.around.store(&actor.name.value) else {
                        return Err(Error::bug("a writer has a table among stand-ins"));
                    };
                    let store = Judging {
                        timescale,
                        mode: self.entry.mode,
                        key: self.key.clone(),
                        time_column: self.time_column.clone(),
                        memory,
                        counts: judged.counts.clone(),
                    };
                    return timescale_writer::over(actor, options, services, Arc::new(store));
                }
                let store = Counting {
                    timescale,
                    topology: services.topology.name.value.as_str().into(),
                    id: self.entry.id,
                    mode: self.entry.mode,
                    key: self.key.clone(),
                    time_column: self.time_column.clone(),
                };
                timescale_writer::over(actor, options, services, Arc::new(store))
            }
            kind => match &self.judged {
                Some(judged) if matches!(kind, Kind::DeadLetter(_)) => judged.around.factory(actor),
                _ => catalog::factory(actor, services),
            },
        }
    }

    fn source(&self, actor: &Actor) -> Result<Factory, Error> {
        let name = actor.name.value.as_str();
        let Some(source) = self.lane.sources.iter().find(|source| &*source.name == name) else {
            return Err(Error::bug(format!("`{name}` is no source of the lane")));
        };
        let parts = self.entry.parts.iter().filter(|part| part.source == source.of).cloned().collect();
        let open: Box<source::OpenReader> = match &self.records {
            Records::File(file) => {
                let file = file.clone();
                Box::new(move || Ok(Box::new(file.open()?) as Box<dyn Reader>))
            }
            Records::Kafka => {
                let Some(connection) = self.services.topology.connections.kafka.clone() else {
                    let message =
                        "the topology has no `connections.kafka`: take the records from a file, --input FILE";
                    return Err(Error::new(Class::Config, message));
                };
                let client =
                    format!("aqueduct-{}-backfill-{}", self.services.topology.name.value, self.entry.id);
                let topic = source.topic.clone();
                Box::new(move || {
                    Ok(Box::new(kafka::Records::open(&connection, &client, &topic)?) as Box<dyn Reader>)
                })
            }
        };
        Ok(source::factory(Arc::new(Orders {
            source: source.name.clone(),
            topic: source.topic.as_str().into(),
            parts,
            sources: self.lane.sources.len(),
            throttle: self.throttle.clone(),
            offsets: self.services.offsets.clone(),
            begun: self.judged.is_none(),
            open,
        })))
    }
}
