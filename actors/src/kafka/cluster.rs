//! A Kafka cluster as this process speaks to it: where it is, and what its clients log in with.

use super::class::{About, classify, describe};
use super::config;
use super::query;
use super::refusal::{Asking, Refusal};
use crate::credentials::keeper::{Door, Kept};
use crate::credentials::{Credentials, Files, Login};
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::{Class, Clock, Error, Keeper};
use aqueduct_topology::model::{KafkaConnection, Kind, Topology};
use futures::FutureExt;
use futures::future::BoxFuture;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Cloning shares what it logs in with.
#[derive(Clone)]
pub struct Cluster {
    connection: Arc<KafkaConnection>,
    credentials: Arc<Credentials>,
    resting: Arc<Mutex<Vec<Resting>>>,
}

/// Lets go of a client that nobody uses at present, if it was made with what is not used any more; `false` = there is none to
/// come either.
type Resting = Box<dyn Fn() -> bool + Send + Sync>;

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Of `topology`.
    pub(crate) fn new(connection: KafkaConnection, topology: &str, clock: Clock) -> Self {
        let credentials = Credentials::new("kafka", topology, Files::from(&connection), clock);
        Self { connection: Arc::new(connection), credentials, resting: Arc::default() }
    }

    /// What a client made now logs in with; it lives as long as the client.
    pub(crate) fn login(&self) -> Result<Login, Error> {
        self.credentials
            .login()
            .map_err(|error| Error::new(error.class, format!("connections.kafka: {}", error.message)))
    }

    /// A client that rests between two questions is let go by this when its credentials have changed.
    pub(crate) fn when_changed(&self, let_go: Resting) {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).push(let_go);
    }

    /// Follows its credentials; a look proves that they may see what `topology` reads and writes.
    pub(crate) fn keeper(&self, topology: &Topology) -> Arc<dyn Keeper> {
        Arc::new(Kept::new(self.credentials.clone(), self.visit(topology)))
    }

    /// A look at what `topology` reads and writes.
    pub(crate) fn visit(&self, topology: &Topology) -> impl Door + 'static {
        let topics = topology.actors.iter().filter_map(|actor| match &actor.kind {
            Kind::KafkaSource(source) => Some(source.topic.value.clone()),
            Kind::KafkaSink(sink) => Some(sink.topic.value.clone()),
            _ => None,
        });
        let reads = topology.actors.iter().any(|actor| matches!(actor.kind, Kind::KafkaSource(_)));
        let group = reads.then(|| topology.name.value.clone());
        Visit { cluster: self.clone(), topics: topics.collect(), group }
    }
}

/// For a command that follows nothing.
impl From<KafkaConnection> for Cluster {
    fn from(connection: KafkaConnection) -> Self {
        Self::new(connection, "", Clock::system())
    }
}

impl Deref for Cluster {
    type Target = KafkaConnection;

    fn deref(&self) -> &KafkaConnection {
        &self.connection
    }
}

/// A client that comes in, looks around and goes.
#[derive(Clone)]
struct Visit {
    cluster: Cluster,
    topics: BTreeSet<String>,
    group: Option<String>,
}

impl Visit {
    /// Blocks for a few seconds at most.
    fn pay(&self, login: &Login) -> Result<(), Error> {
        let (client_id, group) =
            ("aqueduct-credentials", self.group.as_deref().unwrap_or("aqueduct-credentials"));
        let config = config::inquirer(&self.cluster, login, client_id, group)?;
        let (refusal, bootstrap) = (Refusal::default(), &self.cluster.bootstrap.value);
        let about = About { bootstrap, topic: "" };
        let client: BaseConsumer<Asking> =
            BaseConsumer::from_config_and_context(&config, Asking(refusal.clone()))
                .map_err(|error| classify(&error, about))?;
        let told = |error: KafkaError, about: About<'_>| {
            // What it complains of as a whole stands in its queue.
            while client.poll(Duration::ZERO).is_some() {}
            match refusal.now() {
                Some(code) => refusal.reason().explain(Some(code), describe(code, about)),
                None => classify(&error, about),
            }
        };
        client.fetch_metadata(None, CONTACT_WAIT_MAX).map_err(|error| told(error, about))?;
        for topic in &self.topics {
            let about = About { bootstrap, topic };
            match query::topic_is_there(client.client(), topic, CONTACT_WAIT_MAX) {
                // A topic that is not there is nobody's credentials' fault.
                Err(error)
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::UnknownTopicOrPartition) =>
                {
                    return Err(told(error, about));
                }
                _ => {}
            }
        }
        match (&self.group, self.topics.first()) {
            (Some(_), Some(topic)) => query::committed(&client, &[(topic, 0)], CONTACT_WAIT_MAX)
                .map(drop)
                .map_err(|error| told(error, About { bootstrap, topic })),
            _ => Ok(()),
        }
    }
}

impl Door for Visit {
    fn prove<'a>(&'a self, login: &'a Login) -> BoxFuture<'a, Result<(), Error>> {
        async move {
            let (visit, login) = (self.clone(), login.clone());
            let (reply, answered) = tokio::sync::oneshot::channel();
            // On a thread of its own: a client may take its time to end, and a node that stops must not wait for it.
            let paying = move || {
                // Who asked may not wait any more.
                let _ = reply.send(visit.pay(&login));
            };
            std::thread::Builder::new().name("kafka-credentials".to_owned()).spawn(paying).map_err(
                |error| Error::new(Class::Capacity, format!("no thread to ask Kafka on: {error}")),
            )?;
            answered.await.unwrap_or_else(|_| Err(Error::bug("a proof of credentials ended badly")))
        }
        .boxed()
    }

    fn taken(&self) {
        self.cluster.resting.lock().unwrap_or_else(PoisonError::into_inner).retain(|let_go| let_go());
    }
}
