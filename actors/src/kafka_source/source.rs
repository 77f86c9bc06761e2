//! The actor: one client after the other, each with its polling thread.

use super::claiming::{Claimer, Granted};
use super::context::{Notes, SourceContext};
use super::leaving::Leaving;
use super::poll::{Poll, Setup};
use super::session::{Outcome, Session};
use crate::credentials::Login;
use crate::kafka::client::{Client, Closed};
use crate::kafka::cluster::Cluster;
use crate::kafka::slot::{MemberSlots, Slot};
use crate::kafka::{class, config};
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Actor, Class, Context, Error, OffsetStore, State};
use aqueduct_topology::model::{GroupProtocol, KafkaSource, Membership};
use futures::future::LocalBoxFuture;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use tokio::sync::mpsc;

/// Orders that wait for the polling thread, and reports that wait for the actor.
const TALK_MAX: usize = 8192;
/// How long the client's making, or a slot's lease, may take.
const OPEN_MAX: Duration = Duration::from_secs(30);
/// How long its end is waited for; a broker that does not answer may hold it up for longer.
const CLOSE_MAX: Duration = Duration::from_secs(3);

/// What a source is told.
#[derive(Clone)]
pub struct SourceOptions {
    /// The cluster.
    pub connection: Cluster,
    /// The consumer group.
    pub group: String,
    /// This node's stable name.
    pub node: Arc<str>,
    /// The identity of the source.
    pub source: Arc<str>,
    /// Its entry in the file.
    pub kafka: KafkaSource,
    /// Where offsets live.
    pub offsets: Arc<dyn OffsetStore>,
    /// Where its member name comes from.
    pub slots: Arc<dyn MemberSlots>,
    /// The sinks for which a record that is gone counts as skipped.
    pub required: BTreeSet<Arc<str>>,
}

/// A source of one topic.
pub struct Source {
    options: Arc<SourceOptions>,
    /// The member name of a client that another one is to follow at once, under the same name.
    succession: Option<Option<Slot>>,
}

impl Source {
    /// A source that has not begun.
    pub fn new(options: SourceOptions) -> Self {
        Self { options: Arc::new(options), succession: None }
    }
}

impl Actor for Source {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let mut backoff = Backoff::outage();
            loop {
                let outcome = self.one_client(cx).await;
                if cx.status.stopping() {
                    return Ok(());
                }
                match outcome? {
                    Outcome::Finished => return Ok(()),
                    Outcome::Renewed => {
                        backoff.reset();
                        tracing::info!(
                            event = event_ids::KAFKA_CLIENT_REMADE,
                            actor = &*self.options.source,
                            "another client goes on, with the credentials of now"
                        );
                    }
                    Outcome::ClientGone(error) => {
                        tracing::warn!(
                            event = event_ids::KAFKA_CLIENT_REMADE,
                            actor = &*self.options.source,
                            topic = &*self.options.topic(),
                            class = error.class.as_str(),
                            %error,
                            "the client is made anew"
                        );
                        cx.status.waiting(&error);
                        if cx.status.sleep_or_stop(&cx.clock, backoff.next_wait()).await {
                            return Ok(());
                        }
                    }
                    Outcome::FencedByName(error) => {
                        tracing::error!(
                            event = event_ids::KAFKA_LEFT_GROUP,
                            actor = &*self.options.source,
                            topic = &*self.options.topic(),
                            class = error.class.as_str(),
                            %error,
                            "left the group for good"
                        );
                        cx.status.set(State::Fenced { reason: error.message.into_owned() });
                        let leaving = Leaving::new(cx, &self.options.source);
                        let stays = async {
                            leaving.let_all_go().await;
                            cx.status.draining().await;
                        };
                        futures::future::select(Box::pin(cx.status.stopped()), Box::pin(stays)).await;
                        return Ok(());
                    }
                }
            }
        })
    }
}

impl SourceOptions {
    /// Not a member of the group, and no trouble known yet.
    pub(super) fn not_joined(&self) -> Error {
        let (group, bootstrap) = (&self.group, &self.connection.bootstrap.value);
        let message = format!("joining group `{group}`; Kafka at {bootstrap} has not answered yet");
        Error::new(Class::Transient, message)
    }
}

impl Source {
    /// Joins the group and reads until the client is of no more use, or a drain or stop has ended.
    async fn one_client(&mut self, cx: &mut Context) -> Result<Outcome, Error> {
        let options = self.options.clone();
        let succeeds = self.succession.is_some();
        let slot = match self.succession.take() {
            Some(slot) => slot,
            None => {
                // Until the group has answered, nothing is read, whatever else there is.
                cx.status.waiting(&options.not_joined());
                let slot = cx.until_answered(OPEN_MAX, async || lease_slot(&options).await).await?;
                cx.status.waiting(&options.not_joined());
                slot
            }
        };
        let (client, notes, login, closed) =
            cx.until_answered(OPEN_MAX, async || open(&options, slot.as_ref()).await).await?;
        let (orders, obeyed) = sync_channel(TALK_MAX);
        let (reported, reports) = mpsc::channel(TALK_MAX);
        let reason = notes.reason().clone();
        let setup = Setup {
            client: client.clone(),
            notes,
            login: login.clone(),
            source: options.source.clone(),
            topic: options.topic(),
            bootstrap: options.connection.bootstrap.value.clone(),
            batch_rows: options.kafka.batch_rows as usize,
            linger: options.kafka.linger,
            clock: cx.clock.clone(),
            ledger: cx.ledger.clone(),
            outputs: std::mem::take(&mut cx.outputs),
            orders: obeyed,
            reports: reported,
            status: cx.status.clone(),
        };
        std::thread::Builder::new()
            .name(format!("kafka-{}", options.source))
            .spawn(move || Poll::run(setup))
            .map_err(|error| Error::bug(format!("no thread to poll Kafka on: {error}")))?;
        let claimer = Claimer {
            client,
            reason,
            options,
            granted: Granted::default(),
            clock: cx.clock.clone(),
            waiting: Rc::default(),
        };
        let outcome = Session::new(cx, claimer, (login, succeeds), orders).run(reports).await;
        // A static member of the classic protocol takes its name over from the client before it; any other waits until the
        // group has seen that one leave.
        let renewed = matches!(outcome, Ok(Outcome::Renewed));
        let takes_over = slot.is_some() && self.options.kafka.group_protocol == GroupProtocol::Classic;
        if matches!(outcome, Ok(Outcome::Finished)) || (renewed && !takes_over) {
            // The name is ours until it is gone, and the group need not wait for a member that has left in order.
            let gone = tokio::task::spawn_blocking(move || closed.wait(CLOSE_MAX)).await;
            if !gone.unwrap_or(false) {
                let actor = &*self.options.source;
                tracing::warn!(
                    event = event_ids::KAFKA_CLIENT_STUCK,
                    actor,
                    "the client takes longer than {CLOSE_MAX:?} to close"
                );
            }
        }
        if renewed {
            self.succession = Some(slot);
        }
        outcome
    }
}

async fn lease_slot(options: &SourceOptions) -> Result<Option<Slot>, Error> {
    match options.kafka.membership {
        Membership::Static => options.slots.acquire(&options.group, &options.node).await.map(Some),
        Membership::Dynamic => Ok(None),
    }
}

/// Makes the client and subscribes, off the arbiter.
async fn open(
    options: &Arc<SourceOptions>,
    slot: Option<&Slot>,
) -> Result<(Client<SourceContext>, Arc<Notes>, Login, Closed), Error> {
    let member = config::Member {
        group: options.group.clone(),
        instance: slot.map(|slot| format!("{}/{}", options.node, slot.number)),
        protocol: options.kafka.group_protocol,
    };
    let options = options.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let client_id = format!("aqueduct-{}-{}-{}", options.group, options.node, options.source);
        let login = options.connection.login()?;
        let config = config::consumer(&options.connection, &login, &client_id, &member)?;
        let notes = Arc::new(Notes::new(options.source.clone()));
        let about = class::About {
            bootstrap: &options.connection.bootstrap.value,
            topic: &options.kafka.topic.value,
        };
        let consumer = BaseConsumer::from_config_and_context(&config, SourceContext(notes.clone()))
            .map_err(|error| class::classify(&error, about))?;
        let (client, closed) = Client::new(client_id, consumer);
        client.subscribe(&[about.topic]).map_err(|error| class::classify(&error, about))?;
        Ok((client, notes, login, closed))
    });
    opened
        .await
        .unwrap_or_else(|error| Err(Error::new(Class::Bug, format!("making a client ended badly: {error}"))))
}
