//! A client that only asks: offsets, metadata, what a group has committed. It never joins.
//!
//! Made with the first question, and anew after the brokers have not let it in or once something else is used to log in: it
//! takes another one to come with that. Questions block, so they are asked off the arbiter.

use super::class::{About, classify, describe};
use super::client::Client;
use super::cluster::Cluster;
use super::config;
use super::query;
use super::refusal::{Asking, Refusal};
use crate::credentials::Login;
use aqueduct_engine::limits::LAG_PROBE_WAIT_MAX;
use aqueduct_engine::{Class, Error, LogRange, Logs};
use aqueduct_topology::model::Start;
use futures::future::LocalBoxFuture;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of the client's queue is read at a time; what is only logged counts too.
const EVENTS_MAX: usize = 256;

/// How long each of the three questions may take that a look at the logs is made of: they end before the next look begins.
const LOOK_MAX: Duration = Duration::from_millis(1500);

const _: () = assert!(LOOK_MAX.as_millis() * 3 < LAG_PROBE_WAIT_MAX.as_millis(), "one look at a time");

/// See the module. Cloning shares the client.
#[derive(Clone)]
pub struct Inquirer {
    cluster: Cluster,
    client_id: String,
    group: String,
    made: Arc<Mutex<Option<Made>>>,
}

#[derive(Clone)]
struct Made {
    client: Client<Asking>,
    refusal: Refusal,
    login: Login,
}

impl Inquirer {
    /// Of `cluster`, on behalf of `group`. Nothing is connected yet.
    pub fn new(cluster: impl Into<Cluster>, client_id: impl Into<String>, group: impl Into<String>) -> Self {
        let (cluster, made) = (cluster.into(), Arc::<Mutex<Option<Made>>>::default());
        let rests = Arc::downgrade(&made);
        cluster.when_changed(Box::new(move || {
            let Some(made) = rests.upgrade() else { return false };
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            *made = made.take().filter(|made| !made.login.is_outdated());
            true
        }));
        Self { cluster, client_id: client_id.into(), group: group.into(), made }
    }

    /// Asks `question`, which is about `topic`.
    pub async fn ask<T: Send + 'static>(
        &self,
        topic: &str,
        question: impl FnOnce(&BaseConsumer<Asking>) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (inquirer, topic) = (self.clone(), topic.to_owned());
        let answer = tokio::task::spawn_blocking(move || inquirer.ask_now(&topic, question)).await;
        answer
            .unwrap_or_else(|error| Err(Error::bug(format!("a question to the broker ended badly: {error}"))))
    }

    fn ask_now<T>(
        &self,
        topic: &str,
        question: impl FnOnce(&BaseConsumer<Asking>) -> KafkaResult<T>,
    ) -> Result<T, Error> {
        let about = About { bootstrap: &self.cluster.bootstrap.value, topic };
        let Made { client, refusal, .. } = self.client(about)?;
        let answer = question(&client);
        // What the client as a whole complains of stands in its queue, which nobody else reads.
        for _ in 0..EVENTS_MAX {
            let _ = client.poll(Duration::ZERO);
        }
        match (answer, refusal.now()) {
            (Ok(answer), _) => {
                refusal.over();
                Ok(answer)
            }
            (Err(_), Some(code)) => {
                *self.made.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(refusal.reason().explain(Some(code), describe(code, about)))
            }
            (Err(error), None) => Err(classify(&error, about)),
        }
    }

    fn client(&self, about: About<'_>) -> Result<Made, Error> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.as_ref().filter(|made| !made.login.is_outdated()) {
            return Ok(made.clone());
        }
        let login = self.cluster.login()?;
        let config = config::inquirer(&self.cluster, &login, &self.client_id, &self.group)?;
        let refusal = Refusal::default();
        let consumer = BaseConsumer::from_config_and_context(&config, Asking(refusal.clone()))
            .map_err(|error| classify(&error, about))?;
        let (client, _closed) = Client::new(self.client_id.clone(), consumer);
        Ok(made.insert(Made { client, refusal, login }).clone())
    }
}

impl Logs for Inquirer {
    /// On a thread of its own: a runtime waits at its end for what blocks it, and a node that stops must not wait for a
    /// broker.
    fn ranges<'a>(&'a self, topic: &'a str) -> LocalBoxFuture<'a, Result<BTreeMap<i32, LogRange>, Error>> {
        Box::pin(async move {
            let (inquirer, topic) = (self.clone(), topic.to_owned());
            let (reply, answered) = tokio::sync::oneshot::channel();
            let asking = move || {
                let answer = inquirer.ask_now(&topic, |client| {
                    let all: Vec<i32> = (0..query::partitions(client.client(), &topic, LOOK_MAX)?).collect();
                    query::ranges(client, &topic, &all, &Start::Earliest, LOOK_MAX)
                });
                // Who asked may not wait any more.
                let _ = reply.send(answer);
            };
            std::thread::Builder::new().name("kafka-log-ends".to_owned()).spawn(asking).map_err(|error| {
                Error::new(Class::Capacity, format!("no thread to ask Kafka on: {error}"))
            })?;
            answered.await.unwrap_or_else(|_| Err(Error::bug("a question to the broker ended badly")))
        })
    }
}
