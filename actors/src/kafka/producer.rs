//! Messages to a topic, awaited until the broker has them.
//!
//! The client retries by itself, idempotently, for as long as a message may take (`message.timeout.ms`); what has failed
//! then is told by its place, so that the caller sends that part again. Only a broker that does not let us in is not waited
//! for: it takes another client to come with what the files hold by then. Bounded by the client's queue: where it is full,
//! sending waits.

use super::class::{About, classify, describe};
use super::cluster::Cluster;
use super::refusal::Refusal;
use super::{config, query};
use crate::credentials::Login;
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Clock, Error, Headers};
use futures::future::LocalBoxFuture;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a full queue is left alone.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

/// One message to send.
#[derive(Clone, Debug, Default)]
pub struct Outgoing<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` = tombstone.
    pub value: Option<&'a [u8]>,
    /// Milliseconds since 1970 UTC; the time of sending if absent.
    pub time_ms: Option<i64>,
    /// Its headers, in order.
    pub headers: Headers,
}

/// Takes messages: a broker, or memory that answers as one would.
pub trait Deliver {
    /// Whether something else is used to log in by now: to be replaced between two deliveries.
    fn is_outdated(&self) -> bool {
        false
    }

    /// Fails unless the other side answers soon that `topic` is there.
    fn ping<'a>(&'a self, topic: &'a str) -> LocalBoxFuture<'a, Result<(), Error>>;

    /// Sends `messages` to `topic` and returns once all of them are kept, with the places and codes of those that are
    /// not. An error: this is of no more use.
    fn deliver<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Outgoing<'a>>,
    ) -> LocalBoxFuture<'a, Result<Vec<(usize, RDKafkaErrorCode)>, Error>>;
}

impl Deliver for Producer {
    fn is_outdated(&self) -> bool {
        self.login.is_outdated()
    }

    fn ping<'a>(&'a self, topic: &'a str) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(self.ping(topic))
    }

    fn deliver<'a>(
        &'a self,
        topic: &'a str,
        messages: Vec<Outgoing<'a>>,
    ) -> LocalBoxFuture<'a, Result<Vec<(usize, RDKafkaErrorCode)>, Error>> {
        Box::pin(self.deliver(topic, messages.into_iter()))
    }
}

/// What has become of the messages sent together.
#[derive(Debug, Default)]
struct Delivery {
    left: AtomicUsize,
    failed: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
    done: Notify,
}

impl Delivery {
    fn settle(&self, index: usize, failure: Option<RDKafkaErrorCode>) {
        if let Some(code) = failure {
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).push((index, code));
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_waiters();
        }
    }

    async fn all(&self) {
        loop {
            let done = self.done.notified();
            if self.left.load(Ordering::Acquire) == 0 {
                return;
            }
            done.await;
        }
    }
}

/// Where a delivery report belongs.
struct Place {
    delivery: Arc<Delivery>,
    index: usize,
}

#[derive(Clone, Debug)]
struct Reports {
    client_id: Arc<str>,
    refusal: Refusal,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let client = &*self.client_id;
        self.refusal.reason().note(facility, message);
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", client, facility, "{message}");
            }
            _ => {
                tracing::warn!(target: "librdkafka", event = event_ids::KAFKA, client, facility, "{message}")
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.refusal.note(error.rdkafka_error_code());
        // Every message tells its own fate.
        tracing::debug!(target: "librdkafka", client = &*self.client_id, %error, "{reason}");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Place>;

    fn delivery(&self, result: &DeliveryResult<'_>, place: Box<Place>) {
        let failure = result.as_ref().err().map(|(error, _)| code(error));
        if failure.is_none() {
            self.refusal.over();
        }
        place.delivery.settle(place.index, failure);
    }
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
}

/// An idempotent producer with its own polling thread.
pub struct Producer {
    inner: Option<Arc<ThreadedProducer<Reports>>>,
    bootstrap: String,
    refusal: Refusal,
    clock: Clock,
    login: Login,
}

impl Producer {
    /// A producer for `cluster`. Nothing is asked of the broker yet.
    pub fn new(cluster: &Cluster, client_id: &str, clock: Clock) -> Result<Self, Error> {
        let login = cluster.login()?;
        let config = config::producer(cluster, &login, client_id)?;
        let bootstrap = cluster.bootstrap.value.clone();
        let refusal = Refusal::default();
        let reports = Reports { client_id: client_id.into(), refusal: refusal.clone() };
        let inner = ThreadedProducer::from_config_and_context(&config, reports)
            .map_err(|error| classify(&error, About { bootstrap: &bootstrap, topic: "" }))?;
        Ok(Self { inner: Some(Arc::new(inner)), bootstrap, refusal, clock, login })
    }

    /// Sends `messages` to `topic` and returns once the broker has them, with the places and codes of those it has not.
    /// An error: the client is of no more use.
    pub async fn deliver(
        &self,
        topic: &str,
        messages: impl ExactSizeIterator<Item = Outgoing<'_>>,
    ) -> Result<Vec<(usize, RDKafkaErrorCode)>, Error> {
        let delivery = Arc::new(Delivery::default());
        delivery.left.store(messages.len(), Ordering::Release);
        let delivered = async {
            for (index, message) in messages.enumerate() {
                let place = Box::new(Place { delivery: delivery.clone(), index });
                self.enqueue(topic, &message, place).await;
            }
            delivery.all().await;
        };
        let about = About { bootstrap: &self.bootstrap, topic };
        tokio::select! {
            biased;
            () = delivered => {}
            code = self.refusal.told() => return Err(self.refused(code, about)),
        }
        if let Some((code, reason)) = self.producer().client().fatal_error() {
            let error = describe(code, about);
            return Err(Error::new(error.class, format!("{error} ({reason})")));
        }
        let mut failed = std::mem::take(&mut *delivery.failed.lock().unwrap_or_else(PoisonError::into_inner));
        failed.sort_unstable_by_key(|(index, _)| *index);
        Ok(failed)
    }

    /// Fails unless a broker answers soon that `topic` is there. The client's question blocks: off the arbiter.
    pub async fn ping(&self, topic: &str) -> Result<(), Error> {
        let (client, asked) = (self.inner.clone(), topic.to_owned());
        let answer = tokio::task::spawn_blocking(move || {
            let client = client.expect("invariant: the producer is taken only by drop");
            query::topic_is_there(client.client(), &asked, CONTACT_WAIT_MAX)
        });
        let about = About { bootstrap: &self.bootstrap, topic };
        match answer.await {
            Ok(Ok(())) => {
                self.refusal.over();
                Ok(())
            }
            // That no answer came says less than why.
            Ok(Err(error)) => Err(match self.refusal.now() {
                Some(code) => self.refused(code, about),
                None => classify(&error, about),
            }),
            Err(error) => Err(Error::bug(format!("a question to the broker ended badly: {error}"))),
        }
    }

    fn refused(&self, code: RDKafkaErrorCode, about: About<'_>) -> Error {
        self.refusal.reason().explain(Some(code), describe(code, about))
    }

    async fn enqueue(&self, topic: &str, message: &Outgoing<'_>, mut place: Box<Place>) {
        loop {
            let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, place);
            (record.key, record.payload, record.timestamp) = (message.key, message.value, message.time_ms);
            if !message.headers.is_empty() {
                record.headers = Some(owned(&message.headers));
            }
            match self.producer().send(record) {
                Ok(()) => return,
                Err((error, record)) if code(&error) == RDKafkaErrorCode::QueueFull => {
                    place = record.delivery_opaque;
                    self.clock.sleep(QUEUE_FULL_WAIT).await;
                }
                Err((error, record)) => {
                    let place = record.delivery_opaque;
                    place.delivery.settle(place.index, Some(code(&error)));
                    return;
                }
            }
        }
    }

    fn producer(&self) -> &ThreadedProducer<Reports> {
        self.inner.as_ref().expect("invariant: the producer is taken only by drop")
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // Ending a producer waits for its thread and for what is on its way: not on an arbiter.
        let inner = self.inner.take();
        if let Err(error) =
            std::thread::Builder::new().name("kafka-producer-close".into()).spawn(move || drop(inner))
        {
            tracing::warn!(event = event_ids::KAFKA_CLIENT_STUCK, %error, "no thread to close the producer on");
        }
    }
}

fn owned(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, (key, value)| {
        owned.insert(Header { key, value: value.as_deref() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::Class;
    use aqueduct_topology::model::{KafkaConnection, Tls};
    use aqueduct_topology::{Span, Spanned};
    use rdkafka::mocking::MockCluster;
    use std::io::{Read, Write};

    /// The client itself gives a message thirty seconds.
    const SOON: Duration = Duration::from_secs(15);

    fn cluster(bootstrap: String, tls: Option<Tls>) -> Cluster {
        KafkaConnection { bootstrap: Spanned::new(bootstrap, Span::default()), tls, sasl: None }.into()
    }

    async fn deliver(producer: &Producer) -> Result<Vec<(usize, RDKafkaErrorCode)>, Error> {
        let messages = [Outgoing { value: Some(b"x"), ..Outgoing::default() }];
        tokio::time::timeout(SOON, producer.deliver("t", messages.into_iter())).await.expect("soon")
    }

    #[tokio::test]
    async fn a_broker_that_does_not_let_us_in_is_not_waited_for() {
        let no_broker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = no_broker.local_addr().unwrap().to_string();
        let answer = |mut stream: std::net::TcpStream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"this is no TLS at all, whatever was asked for");
        };
        std::thread::spawn(move || no_broker.incoming().flatten().for_each(answer));
        let encrypted = cluster(address, Some(Tls::default()));
        let producer = Producer::new(&encrypted, "test", Clock::system()).unwrap();
        let refused = deliver(&producer).await.unwrap_err();
        let there = tokio::time::timeout(SOON, producer.ping("t")).await.expect("soon").unwrap_err();
        for error in [refused, there] {
            assert_eq!(error.class, Class::Config);
            // The client tells of it as a handshake that failed, or as the error of the library below it.
            for part in ["no TLS", "SSL ", "connections.kafka.tls"] {
                assert!(error.message.contains(part), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn a_broker_that_lets_us_in_takes_the_message() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let plain = super::tests::cluster(cluster.bootstrap_servers(), None);
        let producer = Producer::new(&plain, "test", Clock::system()).unwrap();
        producer.ping("t").await.unwrap();
        assert!(deliver(&producer).await.unwrap().is_empty());
    }
}
