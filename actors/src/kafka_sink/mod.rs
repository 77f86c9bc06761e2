//! Writes rows to a topic as JSON, at least once.
//!
//! A batch is settled when the broker has all of its rows (idempotent producer, `acks=all`); an outage is waited
//! through. A row the broker refuses for itself (too large) is rejected to the dead letter. What a crash leaves between
//! delivery and settling is sent again: readers see a record twice rather than never.
//!
//! A key that names a null field is null. Deliberately absent: transactions; they would give their readers exactly once
//! only together with the offsets of a topology that keeps them elsewhere.

#[cfg(test)]
mod tests;

use crate::Services;
use crate::json::rows::{Rows, json_columns};
use crate::kafka::class::{About, describe};
use crate::kafka::cluster::Cluster;
use crate::kafka::producer::{Deliver, Outgoing, Producer};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::limits::CONTACT_EVERY;
use aqueduct_engine::telemetry::names;
use aqueduct_engine::{
    Actor, Class, Clock, Context, Error, Factory, Headers, Lease, Letter, OffsetStore, PartitionKey,
};
use aqueduct_topology::model::{self, KafkaSink, TemplatePart};
use futures::future::LocalBoxFuture;
use rdkafka::error::RDKafkaErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long one attempt at a batch may take: the client's own retries end before.
const DELIVER_MAX: Duration = Duration::from_secs(45);
/// How long the offset store may take.
const ADVANCE_MAX: Duration = Duration::from_secs(30);
/// How often the offset store is told again what it has heard: one that went back has forgotten it, and the next start
/// would send all of that twice.
const AGAIN_EVERY: Duration = Duration::from_secs(30);

/// The factory of one `kafka_sink`.
pub fn factory(actor: &model::Actor, options: &KafkaSink, services: &Services) -> Result<Factory, Error> {
    let Some(cluster) = services.cluster() else {
        return Err(Error::new(
            Class::Config,
            format!("actor `{}` needs connections.kafka (or KAFKA_BOOTSTRAP)", actor.name.value),
        ));
    };
    let bootstrap = cluster.bootstrap.value.clone();
    Ok(over(actor, options, services, bootstrap, producers(cluster)))
}

/// Producers for that cluster.
fn producers(cluster: Cluster) -> Open {
    Box::new(move |client_id, clock| {
        let producer: Box<dyn Deliver> = Box::new(Producer::new(&cluster, client_id, clock)?);
        Ok(producer)
    })
}

/// Opens what takes the messages of a client of that name; again after it has failed.
pub(crate) type Open = Box<dyn Fn(&str, Clock) -> Result<Box<dyn Deliver>, Error> + Send + Sync>;

/// A `kafka_sink` whose messages go where `open` says.
pub(crate) fn over(
    actor: &model::Actor,
    options: &KafkaSink,
    services: &Services,
    bootstrap: String,
    open: Open,
) -> Factory {
    let plan = Arc::new(Plan {
        bootstrap,
        open,
        topic: options.topic.value.clone(),
        key: options.key.as_ref().map(|key| key.value.clone()),
        json: json_columns(actor, &services.topology),
        offsets: services.offsets.clone(),
        advanced: Mutex::default(),
        told: Mutex::default(),
    });
    Arc::new(move || Box::new(Sink::new(plan.clone())))
}

/// What a sink is told.
struct Plan {
    /// For messages.
    bootstrap: String,
    open: Open,
    topic: String,
    key: Option<Vec<TemplatePart>>,
    json: BTreeSet<String>,
    offsets: Arc<dyn OffsetStore>,
    /// How far each partition has come, where the store does not know yet: epoch and next offset. It outlives a crash:
    /// what is settled is not delivered again, so nobody else would tell.
    advanced: Mutex<Reached>,
    /// The same, of what the store was told.
    told: Mutex<Reached>,
}

/// By partition: epoch and next offset.
type Reached = BTreeMap<PartitionKey, (i64, i64)>;

struct Sink {
    plan: Arc<Plan>,
    producer: Option<Box<dyn Deliver>>,
    /// When the store is told again.
    again_at: Option<Instant>,
}

/// The rows of a batch as messages.
struct Encoded {
    bytes: Vec<u8>,
    /// Key and value of each row.
    rows: Vec<(Option<Range<usize>>, Range<usize>)>,
}

impl Actor for Sink {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let ended = self.work(cx).await;
            cx.unless_stopping(ended)
        })
    }
}

impl Sink {
    fn new(plan: Arc<Plan>) -> Self {
        Self { plan, producer: None, again_at: None }
    }

    /// The client there is, if it logs in with what is used now. Another ends once what it was given is delivered, as it is.
    fn kept(&mut self) -> Option<Box<dyn Deliver>> {
        self.producer.take().filter(|producer| !producer.is_outdated())
    }

    async fn work(&mut self, cx: &mut Context) -> Result<(), Error> {
        cx.status.running();
        loop {
            let lease = match cx.try_lease() {
                Some(lease) => lease,
                None => {
                    // Between two bursts: the store is told once, not batch by batch.
                    self.advance(cx).await?;
                    match self.lease(cx).await? {
                        Some(lease) => lease,
                        None => {
                            self.plan.tell_again();
                            return self.advance(cx).await;
                        }
                    }
                }
            };
            self.write(cx, &lease).await?;
            let (key, epoch, next) = (lease.origin.key.clone(), lease.origin.epoch, lease.origin.next);
            cx.settle_written(lease);
            let waiting = {
                let mut advanced = self.plan.advanced();
                advanced.insert(key, (epoch, next));
                advanced.len()
            };
            if waiting >= ADVANCED_MAX {
                self.advance(cx).await?;
            }
        }
    }

    /// The next lease. While none comes, asks the broker whether it is there: an outage shows before it is in the way.
    async fn lease(&mut self, cx: &mut Context) -> Result<Option<Lease>, Error> {
        let (clock, client_id) = (cx.clock.clone(), client_id(cx));
        loop {
            cx.status.beat();
            if let Ok(lease) = clock.timeout(CONTACT_EVERY, cx.lease()).await {
                return Ok(lease);
            }
            cx.status.beat();
            cx.until_ok(DELIVER_MAX, async || {
                let producer = match self.kept() {
                    Some(producer) => producer,
                    None => (self.plan.open)(&client_id, clock.clone())?,
                };
                let answer = producer.ping(&self.plan.topic).await;
                // The client reconnects by itself, but with what it was made with.
                if !matches!(&answer, Err(error) if error.class == Class::Config) {
                    self.producer = Some(producer);
                }
                answer
            })
            .await?;
            self.advance(cx).await?;
        }
    }

    /// Returns once the broker has every row, or a letter was made of it.
    async fn write(&mut self, cx: &mut Context, lease: &Lease) -> Result<(), Error> {
        let encoded = encode(&self.plan, lease)?;
        let mut left: Vec<usize> = (0..encoded.rows.len()).collect();
        let mut refused = Vec::new();
        let (clock, client_id) = (cx.clock.clone(), client_id(cx));
        let begun = clock.now();
        cx.until_ok(DELIVER_MAX, async || {
            if left.is_empty() {
                return Ok(());
            }
            let producer = match self.kept() {
                Some(producer) => producer,
                None => (self.plan.open)(&client_id, clock.clone())?,
            };
            let messages = left.iter().map(|row| encoded.message(*row, lease)).collect();
            // Cut short or of no more use, the client is dropped; the next attempt makes another.
            let failed = producer.deliver(&self.plan.topic, messages).await?;
            self.producer = Some(producer);
            let mut again = None;
            let mut kept = Vec::new();
            for (index, code) in failed {
                match code {
                    RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord => {
                        refused.push((left[index], code));
                    }
                    _ => {
                        kept.push(left[index]);
                        again.get_or_insert(code);
                    }
                }
            }
            left = kept;
            match again {
                None => Ok(()),
                Some(code) => Err(self.plan.describe(code)),
            }
        })
        .await?;
        let figures = cx.status.figures();
        figures.observe(names::FLUSH_SECONDS, &[], clock.now().duration_since(begun).as_secs_f64());
        figures.add(names::ROWS_TOTAL, &[], (encoded.rows.len() - refused.len()) as f64);
        cx.reject(letters(cx, lease, &refused)).await;
        Ok(())
    }

    /// Tells the store how far every partition has come.
    async fn advance(&mut self, cx: &mut Context) -> Result<(), Error> {
        let now = cx.clock.now();
        if now >= *self.again_at.get_or_insert(now + AGAIN_EVERY) {
            self.again_at = Some(now + AGAIN_EVERY);
            self.plan.tell_again();
        }
        let advanced: Vec<_> =
            self.plan.advanced().iter().map(|(key, (epoch, next))| (key.clone(), *epoch, *next)).collect();
        if advanced.is_empty() {
            return Ok(());
        }
        let (offsets, sink) = (self.plan.offsets.clone(), cx.identity.id.clone());
        cx.until_ok(ADVANCE_MAX, async || offsets.advance(&sink, &advanced).await).await?;
        let mut left = self.plan.advanced();
        for (key, epoch, next) in advanced {
            // What another clone has added since is told later.
            if left.get(&key) == Some(&(epoch, next)) {
                left.remove(&key);
            }
            self.plan.told().insert(key, (epoch, next));
        }
        Ok(())
    }
}

fn client_id(cx: &Context) -> String {
    format!("aqueduct-{}-{}", cx.identity.topology, cx.identity.name)
}

/// Partitions whose progress waits to be told.
const ADVANCED_MAX: usize = 1024;

impl Plan {
    fn advanced(&self) -> MutexGuard<'_, Reached> {
        self.advanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self) -> MutexGuard<'_, Reached> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store was told is to be told once more.
    fn tell_again(&self) {
        let told = std::mem::take(&mut *self.told());
        let mut advanced = self.advanced();
        for (key, reached) in told {
            let kept = advanced.entry(key).or_insert(reached);
            *kept = reached.max(*kept);
        }
    }

    fn describe(&self, code: RDKafkaErrorCode) -> Error {
        describe(code, About { bootstrap: &self.bootstrap, topic: &self.topic })
    }
}

impl Encoded {
    fn message<'a>(&'a self, row: usize, lease: &Lease) -> Outgoing<'a> {
        let (key, value) = &self.rows[row];
        let offset = lease.row_offsets()[row];
        let time_ms = lease.raw.position(offset).and_then(|index| lease.raw.time_ms(index));
        Outgoing {
            key: key.clone().map(|key| &self.bytes[key]),
            value: Some(&self.bytes[value.clone()]),
            time_ms,
            headers: Headers::new(),
        }
    }
}

fn encode(plan: &Plan, lease: &Lease) -> Result<Encoded, Error> {
    let rows = Rows::new(&lease.rows, &plan.json)?;
    let mut encoded = Encoded { bytes: Vec::new(), rows: Vec::with_capacity(lease.rows.num_rows()) };
    for row in 0..lease.rows.num_rows() {
        let key = match &plan.key {
            Some(parts) => write_key(parts, &rows, row, &mut encoded.bytes)?,
            None => None,
        };
        let start = encoded.bytes.len();
        rows.write(row, &mut encoded.bytes);
        encoded.rows.push((key, start..encoded.bytes.len()));
    }
    Ok(encoded)
}

fn write_key(
    parts: &[TemplatePart],
    rows: &Rows,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<Option<Range<usize>>, Error> {
    let start = out.len();
    for part in parts {
        let there = match part {
            TemplatePart::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
            TemplatePart::Field(field) => rows.write_as_text(&field.value, row, out)?,
        };
        if !there {
            out.truncate(start);
            return Ok(None);
        }
    }
    Ok(Some(start..out.len()))
}

fn letters(cx: &Context, lease: &Lease, refused: &[(usize, RDKafkaErrorCode)]) -> Vec<Letter> {
    let letter = |(row, code): &(usize, RDKafkaErrorCode)| {
        let place = (lease.row_offsets()[*row], lease.row_indices()[*row]);
        let detail = format!("the broker refuses the row: {code}; raise max.message.bytes of the topic");
        Letter::for_record(&cx.identity.id, lease, place, (Class::Data, "refused".into()), detail)
    };
    refused.iter().map(letter).collect()
}
