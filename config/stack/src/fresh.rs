//! Names of one's own for each test: a database, a topic, a key prefix that nobody else uses.

use std::time::Duration;

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use crate::error::Error;
use crate::part::{Part, kafka, timescale};
use crate::sql::Session;
use crate::stack::Stack;
use crate::state::word;
use crate::time::Deadline;

const REQUEST_MAX: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(10);

/// A database with the TimescaleDB extension; dropping the value drops the database.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    server: Session,
}

impl Database {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address with user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be gone already, its database with it.
        let _ = self.server.execute_formatted(
            "select format('drop database if exists %I with (force)', $1::text)",
            &self.name,
        );
    }
}

impl Stack {
    /// Creates a database of a unique name with the TimescaleDB extension.
    ///
    /// # Errors
    /// The stack has no TimescaleDB, or the server refuses.
    pub fn fresh_database(&self) -> Result<Database, Error> {
        let url = self.address(Part::Timescale).ok_or_else(|| without(Part::Timescale))?;
        let doing = || "create a database".to_owned();
        let server = Session::new(&url, REQUEST_MAX).map_err(Error::request(doing()))?;
        let server = server.believing(self.trust.as_ref());
        let name = format!("t_{}", word(12));
        server
            .execute_formatted("select format('create database %I', $1::text)", &name)
            .map_err(Error::request(doing()))?;
        let url = timescale::replace_database(&url, &name);
        let database = Database { url, server: server.clone(), name };
        let inside = server.in_database(database.name());
        inside.batch(timescale::EXTENSION).map_err(Error::request(doing()))?;
        Ok(database)
    }

    /// Creates a topic of a unique name; every partition has a leader when this returns.
    ///
    /// # Errors
    /// The stack has no Kafka, or the broker refuses.
    pub fn fresh_topic(&self, partitions: u32) -> Result<String, Error> {
        let name = format!("t-{}", word(12));
        self.create_topic(&name, partitions, &[])?;
        Ok(name)
    }

    /// A prefix for Redis keys that nobody else uses.
    #[must_use]
    pub fn fresh_key_prefix(&self) -> String {
        format!("t-{}:", word(12))
    }

    /// Creates a topic with settings such as `("retention.ms", "1000")`; every partition has a leader when this returns.
    ///
    /// # Errors
    /// The stack has no Kafka, the topic exists, or the broker refuses.
    pub fn create_topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) -> Result<(), Error> {
        let doing = || format!("create topic {name}");
        let count = i32::try_from(partitions).map_err(Error::request(doing()))?;
        let mut topic = NewTopic::new(name, count, TopicReplication::Fixed(self.copies()));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin = self.kafka_admin()?;
        let results =
            block_on(admin.create_topics([&topic], &patience())).map_err(Error::request(doing()))?;
        first(results).map_err(Error::request(doing()))?;
        let led = || (leaders(admin, name) == Some(partitions)).then_some(());
        Deadline::after(REQUEST_MAX).poll(PAUSE, led).ok_or_else(|| Error::Request {
            doing: doing(),
            why: format!("not every partition has a leader after {REQUEST_MAX:?}"),
        })
    }

    /// Deletes a topic; the broker no longer knows it when this returns.
    ///
    /// # Errors
    /// The stack has no Kafka, there is no such topic, or the broker refuses.
    pub fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let doing = || format!("delete topic {name}");
        let admin = self.kafka_admin()?;
        let results = block_on(admin.delete_topics(&[name], &patience())).map_err(Error::request(doing()))?;
        first(results).map_err(Error::request(doing()))?;
        let gone = || leaders(admin, name).is_none().then_some(());
        Deadline::after(REQUEST_MAX).poll(PAUSE, gone).ok_or_else(|| Error::Request {
            doing: doing(),
            why: format!("the broker still lists it after {REQUEST_MAX:?}"),
        })
    }

    /// Settings of a Kafka client of this stack, for consumers and producers of tests.
    ///
    /// # Errors
    /// The stack has no Kafka.
    pub fn kafka_client(&self) -> Result<ClientConfig, Error> {
        let brokers = self.brokers().ok_or_else(|| without(Part::Kafka))?;
        Ok(kafka::client_config(&brokers, self.trust.as_ref()))
    }

    /// A topic is on every broker.
    fn copies(&self) -> i32 {
        let own = self.options.own.address(Part::Kafka).is_some();
        let brokers = self.options.parts.iter().filter(|part| part.is_broker()).count();
        if own { 1 } else { brokers.try_into().unwrap_or(1) }
    }

    fn kafka_admin(&self) -> Result<&AdminClient<DefaultClientContext>, Error> {
        if let Some(admin) = self.admin.get() {
            return Ok(admin);
        }
        let admin = self.kafka_client()?.create().map_err(Error::request("connect to kafka"))?;
        Ok(self.admin.get_or_init(|| admin))
    }
}

fn without(part: Part) -> Error {
    Error::Unusable(format!("this stack was brought up without {part}"))
}

fn patience() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST_MAX)).operation_timeout(Some(REQUEST_MAX))
}

/// The outcome of a request about a single topic.
fn first(results: Vec<Result<String, (String, RDKafkaErrorCode)>>) -> Result<(), RDKafkaErrorCode> {
    results.into_iter().next().map_or(Ok(()), |result| result.map(|_| ()).map_err(|(_, code)| code))
}

/// How many partitions of the topic have a leader; `None` if the broker does not know the topic or does not answer.
fn leaders(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Option<u32> {
    let metadata = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
    let topic = metadata.topics().iter().find(|one| one.name() == topic && one.error().is_none())?;
    let led =
        topic.partitions().iter().filter(|partition| partition.leader() >= 0 && partition.error().is_none());
    u32::try_from(led.count()).ok()
}
