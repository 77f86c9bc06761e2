//! The time of a record that has none: that of the event it tells of.
//!
//! A record is decoded as the normalizers behind its source would decode it; the newest event time of its rows is its
//! own. So the bounds of `event_time`, which judge by the record's time, never refuse what was merely recorded long ago.

use crate::normalizer::{self, Decoder};
use crate::replay_source::Message;
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_engine::{Error, PartitionKey};
use aqueduct_topology::model::{Kind, Topology};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;

/// Finds times for the records of one source.
#[derive(Debug)]
pub struct RecordTimes {
    key: PartitionKey,
    /// The normalizers that read from the source, each with the column of its event time.
    decoders: Vec<(Decoder, String)>,
}

impl RecordTimes {
    /// For the source called `source`.
    pub fn new(topology: &Topology, source: &str) -> Result<Self, Error> {
        let mut decoders = Vec::new();
        for reader in topology.readers(source) {
            if let Kind::Normalizer(options) = &reader.kind
                && let Some(event_time) = &options.event_time
            {
                let mut decoder = normalizer::decoder(options)?;
                decoder.rehearse();
                decoders.push((decoder, event_time.field.value.clone()));
            }
        }
        let topic = topology.actor(source).map_or("", |actor| match &actor.kind {
            Kind::KafkaSource(options) => &options.topic.value,
            Kind::ReplaySource(options) => &options.topic,
            _ => "",
        });
        let key = PartitionKey { source: source.into(), topic: topic.into(), partition: 0 };
        Ok(Self { key, decoders })
    }

    /// Gives every message that has none the time of its event, if it tells of one.
    pub fn fill(&mut self, messages: &mut [Message]) {
        for message in messages.iter_mut().filter(|message| message.time_ms.is_none()) {
            message.time_ms = self.event_ms(message);
        }
    }

    /// The newest event time of `message`, milliseconds since 1970 UTC; `None` = it gives no row with one.
    fn event_ms(&mut self, message: &Message) -> Option<i64> {
        let records = RecordsBuilder::new(0, 0).of(self.key.clone());
        let mut records = match &message.value {
            Some(value) => records.value(value),
            None => records.tombstone(),
        };
        if let Some(key) = &message.key {
            records = records.key(key);
        }
        for (name, value) in &message.headers {
            records = records.header(name, value.as_deref().unwrap_or_default());
        }
        let batch = records.time_ms(None).build();
        let newest = |(decoder, column): &mut (Decoder, String)| {
            let rows = decoder.decode(&batch).rows;
            let times = rows.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            times.iter().flatten().max()
        };
        Some(self.decoders.iter_mut().filter_map(newest).max()?.div_euclid(1000))
    }
}
