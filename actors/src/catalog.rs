//! The only list of kinds: which factory an entry of the topology gets.

use crate::{
    Services, dead_letter, kafka_sink, kafka_source, normalizer, quality_gate, redis_cache, replay_source,
    schedule, timescale_writer,
};
use aqueduct_engine::{Error, Factory};
use aqueduct_topology::model::{Actor, Kind};

/// The factory of `actor`.
pub fn factory(actor: &Actor, services: &Services) -> Result<Factory, Error> {
    match &actor.kind {
        Kind::KafkaSource(options) => kafka_source::factory(actor, options, services),
        Kind::ReplaySource(options) => replay_source::factory(actor, options, services),
        Kind::Normalizer(options) => normalizer::factory(actor, options, services),
        Kind::QualityGate(options) => quality_gate::factory(actor, options, services),
        Kind::TimescaleWriter(options) => timescale_writer::factory(actor, options, services),
        Kind::RedisCache(options) => redis_cache::factory(actor, options, services),
        Kind::KafkaSink(options) => kafka_sink::factory(actor, options, services),
        Kind::DeadLetter(options) => dead_letter::factory(actor, options, services),
        Kind::Schedule(options) => schedule::factory(actor, options, services),
    }
}
