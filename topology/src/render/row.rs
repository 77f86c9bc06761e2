//! The normalizer: the row's types above, and in each case where the values are.

use super::yaml::Map;
use crate::model::{Case, Coding, Csv, Expr, Field, FieldSource, Format, MatchMode, Normalizer, TimeUnit};
use crate::plan::write::duration;

pub(super) fn normalizer(part: &mut Map, normalizer: &Normalizer) {
    coding(part, &normalizer.coding);
    let cases = normalizer.cases.as_slice();
    match cases {
        [alone] if alone.name.value.is_empty() => {
            let mut fields = Map::default();
            for field in &alone.fields {
                let mut one = row_field(field);
                place(&mut one, field);
                fields.part(&field.name.value, one);
            }
            part.part("fields", fields);
            part.maybe("explode", alone.explode.as_ref().map(ToString::to_string).as_deref());
            part.maybe("select", alone.select.first().map(|select| select.text.as_str()));
            part.part("require", require(&alone.require));
        }
        _ => with_cases(part, normalizer),
    }
    if let Some(time) = &normalizer.event_time {
        let mut bounds = Map::default();
        bounds.text("field", &time.field.value);
        bounds.maybe("past_max", time.past_max.map(duration).as_deref());
        bounds.text("future_max", &duration(time.future_max));
        part.part("event_time", bounds);
    }
}

fn coding(part: &mut Map, coding: &Coding) {
    if coding.format() != Format::Json {
        part.text("format", coding.format().word());
    }
    let mut own = Map::default();
    match coding {
        Coding::Csv(Csv { columns, delimiter, quote }) => {
            own.texts("columns", columns.iter().map(|column| column.value.as_str()));
            own.text("delimiter", &char::from(*delimiter).to_string());
            own.text(
                "quote",
                &quote.map_or_else(|| "none".to_owned(), |quote| char::from(quote).to_string()),
            );
            part.part("csv", own);
        }
        Coding::Avro { schema: Some(schema) } => {
            own.file("schema", Some(&schema.value));
            part.part("avro", own);
        }
        Coding::Json | Coding::Avro { schema: None } | Coding::Protobuf => {}
    }
}

fn with_cases(part: &mut Map, normalizer: &Normalizer) {
    let cases = normalizer.cases.as_slice();
    let mut fields = Map::default();
    for (index, column) in normalizer.columns.iter().enumerate() {
        let Some(field) = cases.first().and_then(|case| case.fields.get(index)) else { continue };
        let mut one = row_field(field);
        // An optional field is never null only where the row itself has a default, which every case then has.
        let default = field.default.as_ref().filter(|_| field.optional && !column.nullable);
        one.maybe("default", default.map(|default| default.text.as_str()));
        fields.part(&field.name.value, one);
    }
    part.part("fields", fields);
    let (selects, requires) = (shared_select(cases), shared_require(cases));
    part.maybe(
        "select",
        cases.first().and_then(|case| case.select[..selects].first()).map(|select| select.text.as_str()),
    );
    part.part("require", cases.first().map_or_else(Map::default, |case| require(&case.require[..requires])));
    if normalizer.match_mode == MatchMode::All {
        part.text("match", "all");
    }
    part.list("cases", cases.iter().map(|case| self::case(case, selects, requires)).collect());
}

/// A case, without what all of them say first.
fn case(case: &Case, selects: usize, requires: usize) -> Map {
    let mut part = Map::default();
    part.text("name", &case.name.value);
    part.maybe("when", case.when.as_ref().map(|when| when.text.as_str()));
    part.maybe("explode", case.explode.as_ref().map(ToString::to_string).as_deref());
    part.maybe("select", case.select.get(selects).map(|select| select.text.as_str()));
    part.part("require", require(&case.require[requires..]));
    let mut fields = Map::default();
    for field in &case.fields {
        let mut one = Map::default();
        place(&mut one, field);
        fields.part(&field.name.value, one);
    }
    part.part("fields", fields);
    part
}

/// What the row says once.
fn row_field(field: &Field) -> Map {
    let mut one = Map::default();
    one.text("type", &field.kind.to_string());
    if field.optional {
        one.put("optional", true);
    }
    one
}

/// Where the value is, and how it is read.
fn place(one: &mut Map, field: &Field) {
    match &field.source {
        FieldSource::Path(path) => one.text("path", &path.to_string()),
        FieldSource::Expr(expr) => one.text("expr", &expr.text),
    }
    one.maybe("default", field.default.as_ref().map(|default| default.text.as_str()));
    let mut map = Map::default();
    for (from, to) in &field.map {
        map.text(from, to);
    }
    one.part("map", map);
    one.maybe("unit", field.unit.map(TimeUnit::word));
    one.maybe("zone", field.zone.as_ref().map(|zone| zone.value.as_str()));
    if let Some(scale) = field.scale {
        one.put("scale", scale);
    }
    if let Some(bytes) = field.max_bytes {
        one.put("max_bytes", bytes);
    }
}

fn require(conditions: &[(String, Expr)]) -> Map {
    let mut part = Map::default();
    for (reason, expr) in conditions {
        part.text(reason, &expr.text);
    }
    part
}

/// How many conditions all cases begin with, so that the row can say them: at most one, as a mapping has one `select`.
fn shared_select(cases: &[Case]) -> usize {
    let first = cases.first().and_then(|case| case.select.first()).map(|select| &select.text);
    let shared =
        first.is_some() && cases.iter().all(|case| case.select.first().map(|select| &select.text) == first);
    usize::from(shared)
}

/// How many requirements all cases begin with, up to a reason that comes twice.
fn shared_require(cases: &[Case]) -> usize {
    let Some(first) = cases.first() else { return 0 };
    let text = |case: &Case, at: usize| {
        case.require.get(at).map(|(reason, expr)| (reason.clone(), expr.text.clone()))
    };
    let twice = |at: usize| first.require[..at].iter().any(|(reason, _)| *reason == first.require[at].0);
    (0..first.require.len())
        .take_while(|&at| !twice(at) && cases.iter().all(|case| text(case, at) == text(first, at)))
        .count()
}
