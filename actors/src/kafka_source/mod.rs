//! Reads a topic, exactly from where the sinks' offsets say.
//!
//! Two halves. The polling thread ([`poll`]) owns the conversation with the client: messages into batches, batches onto
//! links, answers to the group. The actor ([`source`]) owns what may take time: it asks the broker where a partition
//! stands, claims it, waits for a drain, reports its state. They talk through two bounded channels ([`talk`]), so
//! neither ever waits for the other.
//!
//! A partition goes: granted by the group -> claimed in the offset store for all sinks -> assigned at the claim's start
//! -> read -> revoked, drained, given back. A rewind or a lost fence goes back to the claim; reading never seeks.
//!
//! Memory is bounded by construction:
//! `QUEUE_KBYTES_MAX + FETCH_BYTES_MAX + partitions x 3 x BATCH_BYTES_MAX`, with a larger message in place of a bound
//! it exceeds; typically a tenth of that, because the queue is shared and batches end by rows or `linger`.
//!
//! What the client's own errors mean: an outage and a refusal are waited through; a fatal error ends the client and a
//! new one is made after a backoff; a name taken by another member ends the source until somebody restarts it
//! (`fenced_by_name`), since two members of one name would throw each other out for ever.

mod claiming;
mod context;
mod leaving;
mod partition;
mod poll;
mod session;
mod source;
mod talk;
#[cfg(test)]
mod tests;

use crate::Services;
use crate::kafka::slot::{FixedSlot, MemberSlots};
use crate::timescale::AdvisorySlots;
use aqueduct_engine::{Class, Error, Factory, SinkIdentity};
use aqueduct_topology::model::{Actor, KafkaSource, Kind, Topology};
use std::collections::BTreeSet;
use std::sync::Arc;

pub use source::{Source, SourceOptions};

/// The factory of one `kafka_source`.
pub fn factory(actor: &Actor, options: &KafkaSource, services: &Services) -> Result<Factory, Error> {
    let place = place_among_sources(actor, options, &services.topology)?;
    let Some(connection) = services.cluster() else {
        return Err(Error::new(
            Class::Config,
            format!("actor `{}` needs connections.kafka (or KAFKA_BOOTSTRAP)", actor.name.value),
        ));
    };
    let options = SourceOptions {
        connection,
        group: services.topology.name.value.clone(),
        node: services.node.clone(),
        source: actor.id.value.as_str().into(),
        kafka: options.clone(),
        offsets: services.offsets.clone(),
        slots: slots(place, services),
        required: required(&services.sinks_of(&actor.name.value)),
    };
    Ok(Arc::new(move || Box::new(Source::new(options.clone()))))
}

/// The sinks whose losses are losses: the required ones, or all where none is.
fn required(sinks: &[SinkIdentity]) -> BTreeSet<Arc<str>> {
    let none = !sinks.iter().any(|sink| sink.required);
    sinks.iter().filter(|sink| sink.required || none).map(|sink| sink.id.clone()).collect()
}

/// Which of the file's Kafka sources this is. Two that read one topic would share its partitions, each getting half.
fn place_among_sources(actor: &Actor, options: &KafkaSource, topology: &Topology) -> Result<u32, Error> {
    let mut place = 0;
    for other in &topology.actors {
        let Kind::KafkaSource(kafka) = &other.kind else { continue };
        if other.name == actor.name {
            return Ok(place);
        }
        if kafka.topic == options.topic {
            return Err(Error::new(
                Class::Config,
                format!(
                    "actors `{}` and `{}` both read topic `{}` in group `{}` and would each get part of it; \
                     let both branches read `from` one source",
                    other.name.value, actor.name.value, kafka.topic.value, topology.name.value
                ),
            ));
        }
        place += 1;
    }
    Ok(place)
}

/// Member names are leased where the offsets are, if that is a database.
fn slots(place: u32, services: &Services) -> Arc<dyn MemberSlots> {
    match &services.timescale {
        Some(timescale) => Arc::new(AdvisorySlots::new(timescale.clone(), services.clock.clone())),
        None => Arc::new(FixedSlot(place)),
    }
}
