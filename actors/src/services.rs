//! What the factories of all kinds are built with.

use crate::timescale::Timescale;
use aqueduct_engine::{Claims, Clock, OffsetStore, SinkIdentity};
use aqueduct_topology::model::Topology;
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
}

impl Services {
    /// The sinks that take part in the claims of `source`: every sink downstream of it.
    pub fn sinks_of(&self, source: &str) -> Vec<SinkIdentity> {
        use aqueduct_topology::model::{Actor, Kind, Policy, TemplatePart};
        let mut reached = vec![source.to_owned()];
        let mut sinks: Vec<&Actor> = Vec::new();
        while let Some(name) = reached.pop() {
            for reader in self.topology.readers(&name) {
                if reader.kind.is_sink() {
                    sinks.push(reader);
                } else {
                    reached.push(reader.name.value.clone());
                }
            }
        }
        let target = |kind: &Kind| match kind {
            Kind::TimescaleWriter(writer) => writer.table.value.clone(),
            Kind::RedisCache(cache) => cache
                .key
                .iter()
                .map(|part| match part {
                    TemplatePart::Text(text) => text.clone(),
                    TemplatePart::Field(field) => format!("{{{}}}", field.value),
                })
                .collect(),
            Kind::KafkaSink(sink) => sink.topic.value.clone(),
            _ => unreachable!("only sinks are asked for their target"),
        };
        sinks
            .into_iter()
            .map(|sink| SinkIdentity {
                id: sink.id.value.as_str().into(),
                adopts: sink.adopts.as_ref().map(|id| id.value.as_str().into()),
                target: target(&sink.kind).into(),
                required: sink.policy == Policy::Required,
            })
            .collect()
    }
}
