//! What the factories of all kinds are built with.

use crate::kafka::cluster::Cluster;
use crate::kafka::inquirer::Inquirer;
use crate::kafka::offsets::KafkaOffsets;
use crate::redis_cache::server::Server;
use crate::registry::Registry;
use crate::timescale::Timescale;
use crate::timescale::offsets::TimescaleOffsets;
use aqueduct_engine::{Claims, Class, Clock, Error, Keeper, Logs, OffsetStore, Secrets, SinkIdentity};
use aqueduct_topology::model::{Kind, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One per runtime, shared by every factory.
#[derive(Clone)]
pub struct Services {
    /// The whole topology: connections, and what flows where.
    pub topology: Arc<Topology>,
    /// This node's stable name.
    pub node: Arc<str>,
    /// The time.
    pub clock: Clock,
    /// The claims of this process.
    pub claims: Claims,
    /// Where offsets live.
    pub offsets: Arc<dyn OffsetStore>,
    /// The database, if the topology has one.
    pub timescale: Option<Timescale>,
    /// The other servers; what is not here, an actor speaks to by itself.
    pub servers: Servers,
}

/// The servers beside the database that several actors speak to, with what they log in with. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    pub(crate) kafka: Option<Cluster>,
    pub(crate) redis: Option<Server>,
    pub(crate) registry: Option<Registry>,
    /// Whether all of them are stood in for: then nobody is asked, and what is encoded may come as JSON.
    pub(crate) rehearsal: bool,
}

impl Servers {
    /// Those of `topology`. Where a connection stays the same as `before`, so does what it logs in with.
    fn of(topology: &Topology, clock: &Clock, before: Option<&Services>) -> Result<Self, Error> {
        let old = before.map(|before| &before.topology.connections);
        let kept = before.map(|before| before.servers.clone()).unwrap_or_default();
        let name = &topology.name.value;
        let kafka = match &topology.connections.kafka {
            Some(kafka) if old.and_then(|old| old.kafka.as_ref()) == Some(kafka) => kept.kafka,
            kafka => kafka.clone().map(|kafka| Cluster::new(kafka, name, clock.clone())),
        };
        let redis = match &topology.connections.redis {
            Some(redis) if old.and_then(|old| old.redis.as_ref()) == Some(redis) => kept.redis,
            redis => redis.as_ref().map(|redis| Server::new(redis, name, clock.clone())).transpose()?,
        };
        let registry = match &topology.connections.registry {
            Some(registry) if old.and_then(|old| old.registry.as_ref()) == Some(registry) => kept.registry,
            registry => {
                registry.as_ref().map(|registry| Registry::new(registry, name, clock.clone())).transpose()?
            }
        };
        Ok(Self { kafka, redis, registry, rehearsal: false })
    }
}

/// The services of a node at work, and of the topologies that come after by reload: what knows of claims and positions
/// is shared by all of them, or an actor that stays would speak to a store that has not heard of its claim.
pub struct Connected {
    services: Services,
    store: Store,
    secrets: Secrets,
}

/// Where offsets live.
enum Store {
    /// Beside the rows: exactly once.
    Timescale(Arc<TimescaleOffsets>),
    /// In the consumer group: at least once.
    Kafka(Arc<KafkaOffsets>),
}

pub(crate) type SinksBySource = BTreeMap<Arc<str>, Vec<SinkIdentity>>;

impl Connected {
    /// The services of `topology` on this node; connects to nothing yet.
    pub fn new(topology: Arc<Topology>, node: Arc<str>, clock: Clock, claims: Claims) -> Result<Self, Error> {
        Self::make(topology, (node, clock, claims), None)
    }

    /// Those of the topology that shall run next. Connections that stay the same are kept.
    pub fn next(&self, topology: Arc<Topology>) -> Result<Self, Error> {
        let Services { node, clock, claims, .. } = self.services.clone();
        Self::make(topology, (node, clock, claims), Some(self))
    }

    /// The secrets of its connections, to be looked after; of those that come after it by reload, too.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// From now on the secrets are those of its connections.
    pub fn keep_secrets(&self) {
        let Services { topology, timescale, servers, .. } = &self.services;
        let mut keepers: Vec<Arc<dyn Keeper>> = Vec::new();
        if let Some(timescale) = timescale {
            keepers.push(timescale.keeper(topology));
        }
        keepers.extend(servers.kafka.iter().map(|kafka| kafka.keeper(topology)));
        keepers.extend(servers.redis.iter().map(Server::keeper));
        keepers.extend(servers.registry.iter().map(Registry::keeper));
        self.secrets.keep(keepers);
    }

    /// What factories are built with.
    pub fn services(&self) -> &Services {
        &self.services
    }

    fn make(
        topology: Arc<Topology>,
        (node, clock, claims): (Arc<str>, Clock, Claims),
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let name: Arc<str> = topology.name.value.as_str().into();
        let connections = |of: &Topology| (of.connections.timescale.clone(), of.connections.kafka.clone());
        let (database, cluster) = connections(&topology);
        let (old_database, old_cluster) =
            before.map(|before| connections(&before.services.topology)).unwrap_or_default();
        let timescale = match &database {
            None => None,
            Some(_) if database == old_database => {
                before.and_then(|before| before.services.timescale.clone())
            }
            Some(connection) => Some(Timescale::new(connection, &name, &node, clock.clone())?),
        };
        let sinks = sinks_by_source(&topology);
        let writes_rows = writes_rows(&topology);
        let servers = Servers::of(&topology, &clock, before.map(|before| &before.services))?;
        let logs = servers.kafka.clone().map(|kafka| {
            let logs: Arc<dyn Logs> = Arc::new(Inquirer::new(kafka, format!("aqueduct-{name}-lag"), &*name));
            logs
        });
        let store = match (&timescale, cluster, before.map(|before| &before.store)) {
            (Some(_), _, Some(Store::Timescale(store))) if writes_rows && database == old_database => {
                Store::Timescale(Arc::new(store.with_sinks(sinks).knowing(logs)))
            }
            (Some(timescale), _, _) if writes_rows => {
                let store = TimescaleOffsets::new(timescale.clone(), name, node.clone(), sinks);
                Store::Timescale(Arc::new(store.knowing(logs)))
            }
            (_, Some(kafka), Some(Store::Kafka(store))) if Some(&kafka) == old_cluster.as_ref() => {
                Store::Kafka(Arc::new(store.with_sinks(sinks)))
            }
            (_, Some(_), _) => {
                let kafka = servers.kafka.clone().expect("invariant: made of the same connection");
                Store::Kafka(Arc::new(KafkaOffsets::new(kafka, &*name, sinks, clock.clone())))
            }
            (_, None, _) => {
                let message =
                    "offsets have no place: give the topology a timescale_writer or a kafka connection";
                return Err(Error::new(Class::Config, message));
            }
        };
        let offsets: Arc<dyn OffsetStore> = match &store {
            Store::Timescale(store) => store.clone(),
            Store::Kafka(store) => store.clone(),
        };
        let services = Services { topology, node, clock, claims, offsets, timescale, servers };
        let secrets = before.map(|before| before.secrets.clone()).unwrap_or_default();
        Ok(Self { services, store, secrets })
    }
}

impl Services {
    /// The Kafka cluster of the topology, if it has one.
    pub(crate) fn cluster(&self) -> Option<Cluster> {
        let own = || Some(self.topology.connections.kafka.clone()?.into());
        self.servers.kafka.clone().or_else(own)
    }

    /// The services of `topology` on this node; connects to nothing yet.
    ///
    /// Offsets live beside the rows where a `timescale_writer` writes some, else in Kafka (at least once).
    pub fn new(topology: Arc<Topology>, node: Arc<str>, clock: Clock, claims: Claims) -> Result<Self, Error> {
        Ok(Connected::new(topology, node, clock, claims)?.services)
    }

    /// The sinks that take part in the claims of `source`: every sink downstream of it.
    pub fn sinks_of(&self, source: &str) -> Vec<SinkIdentity> {
        sinks_of(&self.topology, source)
    }
}

/// Whether offsets live beside rows.
pub(crate) fn writes_rows(topology: &Topology) -> bool {
    topology.actors.iter().any(|actor| matches!(actor.kind, Kind::TimescaleWriter(_)))
}

/// The sinks downstream of each source or gate, by its identity.
pub(crate) fn sinks_by_source(topology: &Topology) -> SinksBySource {
    let sources = topology.actors.iter().filter(|actor| actor.kind.begins());
    sources.map(|source| (source.id.value.as_str().into(), sinks_of(topology, &source.name.value))).collect()
}

fn sinks_of(topology: &Topology, source: &str) -> Vec<SinkIdentity> {
    use aqueduct_topology::model::Policy;
    let target = |kind: &Kind| match kind {
        Kind::TimescaleWriter(writer) => writer.table.value.clone(),
        Kind::RedisCache(cache) => cache.key.iter().map(ToString::to_string).collect(),
        Kind::KafkaSink(sink) => sink.topic.value.clone(),
        _ => unreachable!("only sinks are asked for their target"),
    };
    let sinks = topology.sinks_of(source).into_iter();
    sinks
        .map(|sink| SinkIdentity {
            id: sink.id.value.as_str().into(),
            adopts: sink.adopts.as_ref().map(|id| id.value.as_str().into()),
            target: target(&sink.kind).into(),
            required: sink.policy == Policy::Required,
        })
        .collect()
}
