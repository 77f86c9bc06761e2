//! How a consumer ends: its destruction may wait for a broker for ever (librdkafka closes the group first), so it
//! happens on a thread of its own, whoever lets go of the client last.

use aqueduct_engine::telemetry::event_ids;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// How long a client may take to end before somebody is told.
const CLOSE_MAX: Duration = Duration::from_secs(15);

/// A consumer that is destroyed off the caller's thread. Cloning shares it.
pub struct Client<C: ConsumerContext + 'static> {
    inner: Arc<Inner<C>>,
}

struct Inner<C: ConsumerContext + 'static> {
    name: String,
    consumer: Option<BaseConsumer<C>>,
    closed: mpsc::SyncSender<()>,
}

/// Learns when a [`Client`] is gone.
#[derive(Debug)]
pub struct Closed {
    closed: mpsc::Receiver<()>,
}

impl Closed {
    /// Whether the client was gone within `patience`. Blocks for as long.
    pub fn wait(&self, patience: Duration) -> bool {
        self.closed.recv_timeout(patience).is_ok()
    }
}

impl<C: ConsumerContext + 'static> Client<C> {
    /// Takes over `consumer`; `name` is for the log.
    pub fn new(name: impl Into<String>, consumer: BaseConsumer<C>) -> (Self, Closed) {
        let (sender, closed) = mpsc::sync_channel(1);
        let inner = Inner { name: name.into(), consumer: Some(consumer), closed: sender };
        (Self { inner: Arc::new(inner) }, Closed { closed })
    }
}

impl<C: ConsumerContext + 'static> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<C: ConsumerContext + 'static> Deref for Client<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &BaseConsumer<C> {
        self.inner.consumer.as_ref().expect("invariant: the consumer is taken only by drop")
    }
}

impl<C: ConsumerContext + 'static> Drop for Inner<C> {
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        let (closed, name) = (self.closed.clone(), self.name.clone());
        let (done, finished) = mpsc::sync_channel::<()>(1);
        let closing = std::thread::Builder::new().name("kafka-close".into()).spawn(move || {
            drop(consumer);
            let _ = done.send(());
            let _ = closed.send(());
        });
        if let Err(error) = closing {
            tracing::error!(event = event_ids::KAFKA_CLIENT_STUCK, client = name, %error, "no thread to close the client on");
            return;
        }
        // A second thread only where the first is slow would need a timer; a parked thread costs nothing.
        let watching = std::thread::Builder::new().name("kafka-close-watch".into()).spawn(move || {
            if finished.recv_timeout(CLOSE_MAX).is_err() {
                tracing::error!(
                    event = event_ids::KAFKA_CLIENT_STUCK,
                    client = name,
                    "the client has not closed within {CLOSE_MAX:?}; left behind"
                );
            }
        });
        if let Err(error) = watching {
            tracing::warn!(event = event_ids::KAFKA_CLIENT_STUCK, %error, "nobody watches the client close");
        }
    }
}
