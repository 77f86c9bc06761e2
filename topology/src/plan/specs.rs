//! The resolved spec of an actor: what its entry says, and what the rest of the file means for it (`resolved.*`).

use super::resolved::Graph;
use super::write::{Writer, bytes, column, template};
use super::{Files, Keys, connections};
use crate::Spanned;
use crate::model::{
    Actor, Case, Coding, Csv, EventTime, Export, Field, FieldSource, GateRules, KafkaSource, Kind, MatchMode,
    Normalizer, Pointer, QualityGate, RedisCache, ReplaySource, Rollup, RollupColumn, Start, TimeUnit,
    TimescaleWriter,
};
use serde_json::{Map, Value};
use std::time::Duration;

pub(super) fn keys(graph: &Graph<'_>, actor: &Actor, files: &Files<'_>) -> Keys {
    let mut keys = Writer::default();
    common(&mut keys, actor);
    match &actor.kind {
        Kind::KafkaSource(source) => kafka_source(&mut keys, source),
        Kind::ReplaySource(source) => replay_source(&mut keys, source, files),
        Kind::Normalizer(normalizer) => {
            coding(&mut keys, &normalizer.coding, files);
            row(&mut keys, normalizer);
        }
        Kind::QualityGate(gate) => quality_gate(&mut keys, gate),
        Kind::TimescaleWriter(writer) => timescale_writer(&mut keys, writer),
        Kind::RedisCache(cache) => redis_cache(&mut keys, cache),
        Kind::KafkaSink(sink) => {
            keys.put("topic", sink.topic.value.clone());
            keys.maybe("key", sink.key.as_ref().map(|key| template(&key.value)));
        }
        Kind::DeadLetter(letters) => {
            keys.maybe("topic", letters.topic.as_ref().map(|topic| topic.value.clone()));
            keys.maybe("retention", letters.retention.map(super::write::duration));
        }
        Kind::Schedule(schedule) => {
            keys.put("every", schedule.every.value.to_string());
            keys.put("run", schedule.run.value.word());
            if let Some(rollup) = &schedule.rollup {
                self::rollup(&mut keys, rollup);
            }
            if let Some(export) = &schedule.export {
                self::export(&mut keys, export);
            }
        }
    }
    graph.describe(&mut keys, actor);
    keys.done()
}

fn common(keys: &mut Writer, actor: &Actor) {
    keys.put("kind", actor.kind.name());
    keys.put("id", actor.id.value.clone());
    keys.maybe("adopts", actor.adopts.as_ref().map(|adopts| adopts.value.clone()));
    keys.maybe("description", actor.description.clone());
    keys.some_texts("from", actor.from.iter().map(|from| from.value.clone()));
    keys.put("restart", actor.restart.word());
    keys.time("shutdown", actor.shutdown);
    keys.put("parallelism", actor.parallelism.value);
    keys.maybe("load", actor.load);
    keys.put("link.batches", actor.link.batches);
    keys.put("link.bytes", bytes(actor.link.bytes));
    keys.put("policy", actor.policy.word());
}

fn kafka_source(keys: &mut Writer, source: &KafkaSource) {
    keys.put("topic", source.topic.value.clone());
    let start = match source.start.value {
        Start::Earliest => "earliest".to_owned(),
        Start::Latest => "latest".to_owned(),
        Start::At(us) => format!("{us} us after 1970"),
    };
    keys.put("start", start);
    keys.put("group_protocol", source.group_protocol.word());
    keys.put("membership", source.membership.word());
    keys.put("batch_rows", source.batch_rows);
    keys.time("linger", source.linger);
}

fn replay_source(keys: &mut Writer, source: &ReplaySource, files: &Files<'_>) {
    connections::file(keys, "file", &source.file.value, files);
    keys.put("format", source.format.word());
    keys.put("topic", source.topic.clone());
    keys.maybe("time", source.time.as_ref().map(Pointer::to_string));
    keys.put("unit", source.time_unit.word());
    keys.maybe("key", source.key.as_ref().map(Pointer::to_string));
    keys.maybe("speed", source.speed.map(|speed| speed.to_string()));
    keys.put("partitions", source.partitions);
    keys.maybe("repeat", source.repeat);
}

fn quality_gate(keys: &mut Writer, gate: &QualityGate) {
    keys.texts("by", gate.by.iter().map(|field| field.value.clone()));
    keys.time("every", gate.every.value);
    keys.put("mode", gate.mode.word());
    keys.time("window", gate.window);
    keys.put("watch_at", gate.watch_at.to_string());
    keys.put("rows_min", gate.rows_min);
    keys.put("keys_max", gate.keys_max);
    gate_rules(keys, "", &gate.rules);
    // In one list, because of those that apply the first counts.
    keys.some_texts("overrides", gate.overrides.iter().map(|one| one.name.value.clone()));
    for one in &gate.overrides {
        let prefix = format!("overrides.{}.", one.name.value);
        keys.expr(format!("{prefix}when"), Some(&one.when));
        gate_rules(keys, &prefix, &one.rules);
    }
}

fn gate_rules(keys: &mut Writer, prefix: &str, rules: &GateRules) {
    let stale_after = Some(rules.stale_after).filter(|stale_after| !stale_after.is_zero());
    keys.maybe(format!("{prefix}rules.stale_after"), stale_after.map(super::write::duration));
    for (word, rule) in [("gap", &rules.gap), ("repeat", &rules.repeat)] {
        keys.maybe(format!("{prefix}rules.{word}.field"), rule.as_ref().map(|rule| rule.field.value.clone()));
        keys.maybe(format!("{prefix}rules.{word}.limit"), rule.as_ref().map(|rule| rule.limit));
    }
    keys.maybe(
        format!("{prefix}rules.out_of_order"),
        rules.out_of_order.as_ref().map(|share| share.value.to_string()),
    );
    if let Some(late) = &rules.late {
        keys.time(format!("{prefix}rules.late.after"), late.after);
        keys.put(format!("{prefix}rules.late.share"), late.share.to_string());
    }
    if let Some(band) = &rules.price_band {
        keys.put(format!("{prefix}rules.price_band.field"), band.field.value.clone());
        keys.put(format!("{prefix}rules.price_band.within"), band.within.to_string());
        keys.put(format!("{prefix}rules.price_band.median_of"), band.median_of);
    }
    if let Some(crossed) = &rules.crossed {
        keys.put(format!("{prefix}rules.crossed.bid"), crossed.bid.value.clone());
        keys.put(format!("{prefix}rules.crossed.ask"), crossed.ask.value.clone());
        keys.put(format!("{prefix}rules.crossed.limit"), crossed.limit);
    }
    if let Some(frozen) = &rules.frozen {
        keys.put(format!("{prefix}rules.frozen.field"), frozen.field.value.clone());
        keys.maybe(format!("{prefix}rules.frozen.rows"), frozen.rows);
        keys.maybe(format!("{prefix}rules.frozen.for"), frozen.lasting.map(super::write::duration));
    }
    keys.maybe(
        format!("{prefix}rules.clock_skew"),
        rules.clock_skew.as_ref().map(|skew| super::write::duration(skew.value)),
    );
    keys.maybe(format!("{prefix}rules.rate_collapse"), rules.rate_collapse.map(|share| share.to_string()));
    for (field, share) in &rules.nulls {
        keys.put(format!("{prefix}rules.nulls.{}", field.value), share.to_string());
    }
}

fn timescale_writer(keys: &mut Writer, writer: &TimescaleWriter) {
    keys.put("table", writer.table.value.clone());
    keys.put("flush.rows", writer.flush.rows);
    keys.put("flush.bytes", bytes(writer.flush.bytes));
    keys.time("flush.interval", writer.flush.interval);
    keys.put("transactions", writer.transactions);
    keys.some_texts("unique", writer.unique.iter().map(|column| column.value.clone()));
    if !writer.unique.is_empty() {
        keys.put("on_conflict", writer.on_conflict.word());
    }
    keys.maybe("order_by", writer.order_by.as_ref().map(|field| field.value.clone()));
    let policy = &writer.policy;
    let lasting =
        |said: &Option<Spanned<Duration>>| said.as_ref().map(|said| super::write::duration(said.value));
    keys.maybe("retention", lasting(&policy.retention));
    keys.maybe("compress_after", lasting(&policy.compress_after));
    keys.maybe("chunk_interval", lasting(&policy.chunk_interval));
    keys.maybe("growth", policy.growth.as_ref().map(|growth| growth.value.to_string()));
}

fn rollup(keys: &mut Writer, rollup: &Rollup) {
    keys.put("rollup.of", rollup.of.value.clone());
    keys.put("rollup.into", rollup.into.value.clone());
    keys.time("rollup.bucket", rollup.bucket.value);
    keys.some_texts("rollup.by", rollup.by.iter().map(|field| field.value.clone()));
    let column = |column: &RollupColumn| format!("{}: {column}", column.name.value);
    keys.some_texts("rollup.columns", rollup.columns.iter().map(column));
    keys.time("rollup.lateness", rollup.lateness);
}

fn export(keys: &mut Writer, export: &Export) {
    keys.put("export.of", export.of.value.clone());
    keys.put("export.into", export.into.value.clone());
    keys.some_texts("export.partition_by", export.partition_by.iter().map(|column| column.value.clone()));
    keys.time("export.lateness", export.lateness);
    keys.put("export.master", export.master.clone());
    keys.time("export.within", export.within);
}

fn redis_cache(keys: &mut Writer, cache: &RedisCache) {
    keys.put("key", template(&cache.key.value));
    keys.texts("value", cache.value.iter().map(|field| field.value.clone()));
    keys.put("order_by", cache.order_by.value.clone());
    keys.maybe("ttl", cache.ttl.map(super::write::duration));
    keys.expr("delete_when", cache.delete_when.as_ref());
    keys.time("ttl_deleted", cache.ttl_deleted);
}

fn coding(keys: &mut Writer, coding: &Coding, files: &Files<'_>) {
    // A form without the word is of an earlier version, which knew JSON alone.
    if *coding != Coding::Json {
        keys.put("format", coding.format().word());
    }
    match coding {
        Coding::Csv(Csv { columns, delimiter, quote }) => {
            keys.some_texts("csv.columns", columns.iter().map(|column| column.value.clone()));
            keys.put("csv.delimiter", char::from(*delimiter).to_string());
            keys.put(
                "csv.quote",
                quote.map_or_else(|| "none".to_owned(), |quote| char::from(quote).to_string()),
            );
        }
        Coding::Avro { schema: Some(schema) } => connections::file(keys, "avro.schema", &schema.value, files),
        Coding::Json | Coding::Avro { schema: None } | Coding::Protobuf => {}
    }
}

fn row(keys: &mut Writer, normalizer: &Normalizer) {
    keys.texts("columns", normalizer.columns.iter().map(column));
    if let Some(EventTime { field, past_max, future_max }) = &normalizer.event_time {
        keys.put("event_time", field.value.clone());
        keys.maybe("event_time.past_max", past_max.map(super::write::duration));
        keys.time("event_time.future_max", *future_max);
    }
    let named = normalizer.cases.iter().filter(|case| !case.name.value.is_empty());
    keys.some_texts("cases", named.map(|case| case.name.value.clone()));
    if normalizer.match_mode == MatchMode::All {
        keys.put("match", "all");
    }
    for one in &normalizer.cases {
        let prefix = match one.name.value.as_str() {
            "" => String::new(),
            name => format!("cases.{name}."),
        };
        case(keys, &prefix, one, normalizer);
    }
}

fn case(keys: &mut Writer, prefix: &str, case: &Case, normalizer: &Normalizer) {
    keys.expr(format!("{prefix}when"), case.when.as_ref());
    keys.maybe(format!("{prefix}explode"), case.explode.as_ref().map(Pointer::to_string));
    keys.some_texts(format!("{prefix}select"), case.select.iter().map(|expr| expr.text.clone()));
    // One list, because the first that is not true names the reason.
    let require = case.require.iter().map(|(name, expr)| format!("{name}: {}", expr.text));
    keys.some_texts(format!("{prefix}require"), require);
    for field in &case.fields {
        let prefix = format!("{prefix}fields.{}.", field.name.value);
        let column = normalizer.columns.iter().find(|column| column.name == field.name.value);
        if column.is_none_or(|column| column.kind != field.kind) {
            keys.put(format!("{prefix}type"), field.kind.to_string());
        }
        self::field(keys, &prefix, field);
    }
}

fn field(keys: &mut Writer, prefix: &str, field: &Field) {
    let key = |key: &str| format!("{prefix}{key}");
    match &field.source {
        FieldSource::Path(path) => keys.put(key("path"), path.to_string()),
        FieldSource::Expr(expr) => keys.put(key("expr"), expr.text.clone()),
    }
    if field.optional {
        keys.put(key("optional"), true);
    }
    keys.maybe(key("default"), field.default.as_ref().map(|literal| literal.text.clone()));
    if !field.map.is_empty() {
        let map: Map<String, Value> =
            field.map.iter().map(|(from, to)| (from.clone(), to.clone().into())).collect();
        keys.put(key("map"), map);
    }
    keys.maybe(key("unit"), field.unit.map(TimeUnit::word));
    keys.maybe(key("zone"), field.zone.as_ref().map(|zone| zone.value.clone()));
    keys.maybe(key("scale"), field.scale);
    keys.maybe(key("max_bytes"), field.max_bytes.map(|bytes| bytes as u64));
}
