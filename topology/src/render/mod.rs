//! A topology as a file again: everything written out, the row's parts in the cases that inherit them, the root and the
//! dead letter among the rest.
//!
//! Invariant: read again where the addresses are the same, it is the same topology.
//! Addresses are not written, as they may hold a password: they come from `TIMESCALE_URL` and its like. Deliberately
//! absent: comments, anchors, variables and tests, which are no part of the model.

mod gate;
mod row;
mod yaml;

use crate::Spanned;
use crate::model::{
    Actor, Connections, Export, KafkaSource, Kind, LinkBounds, RedisCache, ReplaySource, Rollup, Sasl, Start,
    Supervisor, TimescaleWriter, Tls, Topology,
};
use crate::plan::write::{bytes, duration, template};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use yaml::Map;

/// The text of a file that says what `topology` is.
pub fn to_yaml(topology: &Topology) -> String {
    let mut file = Map::default();
    file.text("topology", &topology.name.value);
    file.part("connections", connections(&topology.connections));
    let mut supervisors = Map::default();
    for one in &topology.supervisors {
        supervisors.part(&one.name.value, supervisor(one));
    }
    file.part("supervisors", supervisors);
    let mut actors = Map::default();
    for one in &topology.actors {
        actors.part(&one.name.value, actor(one));
    }
    file.part("actors", actors);
    file.print()
}

fn connections(connections: &Connections) -> Map {
    let mut parts = Map::default();
    if let Some(kafka) = &connections.kafka {
        let mut part = Map::default();
        part.text("bootstrap", &kafka.bootstrap.value);
        part.some("tls", kafka.tls.as_ref().map(tls));
        part.some("sasl", kafka.sasl.as_ref().map(sasl));
        parts.part("kafka", part);
    }
    if let Some(timescale) = &connections.timescale {
        let mut part = Map::default();
        part.variable("url", "TIMESCALE_URL");
        part.file("user_file", timescale.user_file.as_deref());
        part.file("password_file", timescale.password_file.as_deref());
        part.put("pool", timescale.pool);
        part.some("tls", timescale.tls.as_ref().map(tls));
        parts.part("timescale", part);
    }
    if let Some(redis) = &connections.redis {
        let mut part = Map::default();
        part.variable("url", "REDIS_URL");
        part.file("user_file", redis.user_file.as_deref());
        part.file("password_file", redis.password_file.as_deref());
        part.put("pool", redis.pool);
        part.some("tls", redis.tls.as_ref().map(tls));
        parts.part("redis", part);
    }
    if let Some(registry) = &connections.registry {
        let mut part = Map::default();
        part.variable("url", "SCHEMA_REGISTRY_URL");
        part.file("user_file", registry.user_file.as_deref());
        part.file("password_file", registry.password_file.as_deref());
        part.some("tls", registry.tls.as_ref().map(tls));
        parts.part("registry", part);
    }
    parts
}

fn tls(tls: &Tls) -> Map {
    let mut part = Map::default();
    part.file("ca_file", tls.ca_file.as_deref());
    part.file("cert_file", tls.cert_file.as_deref());
    part.file("key_file", tls.key_file.as_deref());
    part
}

fn sasl(sasl: &Sasl) -> Map {
    let mut part = Map::default();
    part.text("mechanism", &sasl.mechanism);
    part.text("user", &sasl.user);
    part.file("user_file", sasl.user_file.as_deref());
    part.file("password_file", Some(&sasl.password_file));
    part
}

fn supervisor(supervisor: &Supervisor) -> Map {
    let mut part = Map::default();
    part.text("strategy", supervisor.strategy.word());
    part.put("intensity", supervisor.intensity);
    part.text("period", &duration(supervisor.period));
    let mut backoff = Map::default();
    backoff.text("initial", &duration(supervisor.backoff.initial));
    backoff.text("max", &duration(supervisor.backoff.max));
    backoff.put("jitter", supervisor.backoff.jitter);
    part.part("backoff", backoff);
    part.texts("children", supervisor.children.iter().map(|child| child.value.as_str()));
    part
}

fn actor(actor: &Actor) -> Map {
    let mut part = Map::default();
    part.text("kind", actor.kind.name());
    part.texts("from", actor.from.iter().map(|from| from.value.as_str()));
    part.text("id", &actor.id.value);
    part.maybe("adopts", actor.adopts.as_ref().map(|adopts| adopts.value.as_str()));
    part.maybe("description", actor.description.as_deref());
    match &actor.kind {
        Kind::KafkaSource(source) => kafka_source(&mut part, source),
        Kind::ReplaySource(source) => replay_source(&mut part, source),
        Kind::Normalizer(normalizer) => row::normalizer(&mut part, normalizer),
        Kind::QualityGate(gate) => gate::quality_gate(&mut part, gate),
        Kind::TimescaleWriter(writer) => timescale_writer(&mut part, writer),
        Kind::RedisCache(cache) => redis_cache(&mut part, cache),
        Kind::KafkaSink(sink) => {
            part.text("topic", &sink.topic.value);
            part.maybe("key", sink.key.as_ref().map(|key| template(&key.value)).as_deref());
        }
        Kind::DeadLetter(letters) => {
            part.maybe("topic", letters.topic.as_ref().map(|topic| topic.value.as_str()));
            part.maybe("retention", letters.retention.map(duration).as_deref());
        }
        Kind::Schedule(schedule) => {
            part.text("every", &schedule.every.value.to_string());
            part.text("run", schedule.run.value.word());
            part.some("rollup", schedule.rollup.as_ref().map(rollup));
            part.some("export", schedule.export.as_ref().map(export));
        }
    }
    part.text("restart", actor.restart.word());
    part.text("shutdown", &duration(actor.shutdown));
    if !actor.kind.is_gate() {
        part.put("parallelism", actor.parallelism.value);
    }
    if let Some(load) = actor.load {
        part.put("load", load);
    }
    part.part("link", link(actor.link));
    if actor.kind.is_sink() || actor.kind.is_gate() {
        part.text("policy", actor.policy.word());
    }
    part
}

fn link(bounds: LinkBounds) -> Map {
    let mut part = Map::default();
    part.put("batches", bounds.batches);
    part.text("bytes", &bytes(bounds.bytes));
    part
}

fn rollup(rollup: &Rollup) -> Map {
    let mut part = Map::default();
    part.text("of", &rollup.of.value);
    part.text("into", &rollup.into.value);
    part.text("bucket", &duration(rollup.bucket.value));
    part.texts("by", rollup.by.iter().map(|field| field.value.as_str()));
    let mut columns = Map::default();
    for column in &rollup.columns {
        columns.text(&column.name.value, &column.to_string());
    }
    part.part("columns", columns);
    part.text("lateness", &duration(rollup.lateness));
    part
}

fn export(export: &Export) -> Map {
    let mut part = Map::default();
    part.text("of", &export.of.value);
    part.text("into", &export.into.value);
    part.texts("partition_by", export.partition_by.iter().map(|column| column.value.as_str()));
    part.text("lateness", &duration(export.lateness));
    part.text("master", &export.master);
    part.text("within", &duration(export.within));
    part
}

fn kafka_source(part: &mut Map, source: &KafkaSource) {
    part.text("topic", &source.topic.value);
    match source.start.value {
        Start::Earliest => part.text("start", "earliest"),
        Start::Latest => part.text("start", "latest"),
        Start::At(micros) => part.text("start", &rfc3339(micros)),
    }
    part.text("group_protocol", source.group_protocol.word());
    part.text("membership", source.membership.word());
    part.put("batch_rows", source.batch_rows);
    part.text("linger", &duration(source.linger));
}

fn replay_source(part: &mut Map, source: &ReplaySource) {
    part.file("file", Some(&source.file.value));
    part.text("format", source.format.word());
    part.text("topic", &source.topic);
    part.maybe("time", source.time.as_ref().map(ToString::to_string).as_deref());
    part.text("time_unit", source.time_unit.word());
    part.maybe("key", source.key.as_ref().map(ToString::to_string).as_deref());
    if let Some(speed) = source.speed {
        part.put("speed", speed);
    }
    part.put("partitions", source.partitions);
    part.put("repeat", source.repeat.map_or_else(|| Value::from("forever"), Value::from));
}

fn timescale_writer(part: &mut Map, writer: &TimescaleWriter) {
    part.text("table", &writer.table.value);
    let mut flush = Map::default();
    flush.put("rows", writer.flush.rows);
    flush.text("bytes", &bytes(writer.flush.bytes));
    flush.text("interval", &duration(writer.flush.interval));
    part.part("flush", flush);
    part.put("transactions", writer.transactions);
    part.texts("unique", writer.unique.iter().map(|name| name.value.as_str()));
    if !writer.unique.is_empty() {
        part.text("on_conflict", writer.on_conflict.word());
    }
    part.maybe("order_by", writer.order_by.as_ref().map(|field| field.value.as_str()));
    let policy = &writer.policy;
    let lasting = |said: &Option<Spanned<Duration>>| said.as_ref().map(|said| duration(said.value));
    part.maybe("retention", lasting(&policy.retention).as_deref());
    part.maybe("compress_after", lasting(&policy.compress_after).as_deref());
    part.maybe("chunk_interval", lasting(&policy.chunk_interval).as_deref());
    part.maybe("growth", policy.growth.as_ref().map(|growth| growth.value.to_string()).as_deref());
}

fn redis_cache(part: &mut Map, cache: &RedisCache) {
    part.text("key", &template(&cache.key.value));
    part.texts("value", cache.value.iter().map(|name| name.value.as_str()));
    part.text("order_by", &cache.order_by.value);
    part.maybe("ttl", cache.ttl.map(duration).as_deref());
    part.maybe("delete_when", cache.delete_when.as_ref().map(|expr| expr.text.as_str()));
    part.text("ttl_deleted", &duration(cache.ttl_deleted));
}

/// A time of the years 0 to 9999, as `start` takes it.
fn rfc3339(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (cycle, day_of_cycle) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_cycle + cycle * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// A path as text; what is not UTF-8 cannot have come from a file.
fn path(path: &Path) -> String {
    path.display().to_string()
}
