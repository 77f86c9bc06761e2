//! Columns that sinks name: that their input has them, with a type that serves.

use super::Graph;
use super::row::field_span;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, Draft};
use crate::model::{FieldType, Kind, Normalizer, OnConflict, RedisCache, TemplatePart, TimescaleWriter};
use crate::syntax::shortened;
use std::collections::HashMap;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    for draft in graph.drafts {
        let (Some(actor), Some((input, rows))) = (&draft.actor, graph.rows_of(draft)) else { continue };
        match &actor.kind {
            Kind::TimescaleWriter(writer) => check_writer(cx, input, rows, writer),
            Kind::RedisCache(cache) => check_cache(cx, input, rows, cache),
            Kind::KafkaSink(sink) => sink.key.iter().for_each(|key| check_template(cx, input, rows, key)),
            _ => {}
        }
    }
}

pub(super) fn has(rows: &Normalizer, name: &str) -> bool {
    rows.columns.iter().any(|column| column.name == name)
}

fn check_writer(cx: &Context<'_>, input: &Draft, rows: &Normalizer, writer: &TimescaleWriter) {
    for name in writer.unique.iter().filter(|name| !has(rows, &name.value)) {
        unknown_field(cx, input, rows, name);
    }
    twice(cx, &writer.unique, "`unique`");
    check_replacement(cx, input, rows, writer);
    for name in &writer.unique {
        may_lack(
            cx,
            rows,
            name,
            "a key with NULL equals no other, so such rows are never taken for the same",
        );
    }
    let Some(time) = &rows.event_time else {
        let message =
            format!("the rows of `{}` have no event time, and a hypertable is cut by it", input.name.value);
        let finding = Diagnostic::error(Code::WithoutEventTime, writer.table.span, message)
            .also(input.name.span, "the input");
        return cx
            .report(finding.help(
                "give the normalizer a field of type `timestamp`; `expr: record_time` is always there",
            ));
    };
    if !writer.unique.iter().any(|name| name.value == time.field.value) {
        may_lack(cx, rows, &time.field, "a hypertable refuses a row without its time");
    }
    if let (Some(first), false) =
        (writer.unique.first(), writer.unique.iter().any(|name| name.value == time.field.value))
    {
        let message = format!("`unique` must contain the event time `{}`", time.field.value);
        let finding = Diagnostic::error(Code::UniqueWithoutTime, first.span, message);
        cx.report(
            finding.help(format!("a hypertable's keys hold its time column: add `{}`", time.field.value)),
        );
    }
}

/// What says how rows replace each other.
fn check_replacement(cx: &Context<'_>, input: &Draft, rows: &Normalizer, writer: &TimescaleWriter) {
    let replaces = writer.on_conflict == OnConflict::Replace;
    if replaces && writer.unique.is_empty() {
        let message = "a row replaces another of its business key, and there is none";
        let finding = Diagnostic::error(Code::WithoutKey, writer.table.span, message);
        return cx.report(finding.help("say `unique: [..]`, or leave `on_conflict` out"));
    }
    if let Some(after) = writer.policy.compress_after.as_ref().filter(|_| replaces) {
        let message = "rows that may be replaced cannot be in compressed chunks";
        let finding = Diagnostic::error(Code::UnfitPolicy, after.span, message);
        cx.report(finding.help("leave `compress_after` out, or keep rows as they are: `on_conflict: keep`"));
    }
    let Some(order_by) = &writer.order_by else { return };
    if !replaces {
        let message = "`order_by` says which row replaces which, and none is replaced";
        let finding = Diagnostic::error(Code::WithoutKey, order_by.span, message);
        return cx.report(finding.help("say `on_conflict: replace`, or leave `order_by` out"));
    }
    check_order(cx, input, rows, order_by);
}

fn check_cache(cx: &Context<'_>, input: &Draft, rows: &Normalizer, cache: &RedisCache) {
    check_template(cx, input, rows, &cache.key);
    for name in cache.value.iter().filter(|name| !has(rows, &name.value)) {
        unknown_field(cx, input, rows, name);
    }
    twice(cx, &cache.value, "`value`");
    for part in &cache.key.value {
        if let TemplatePart::Field(name) = part {
            may_lack(cx, rows, name, "a row without its key goes to the dead letter");
        }
    }
    if !cache.order_by.value.is_empty() {
        check_order(cx, input, rows, &cache.order_by);
    }
}

/// A field by which rows have an order.
fn check_order(cx: &Context<'_>, input: &Draft, rows: &Normalizer, order_by: &Spanned<String>) {
    let Some(column) = rows.columns.iter().find(|column| column.name == order_by.value) else {
        return unknown_field(cx, input, rows, order_by);
    };
    let place = field_span(rows, &column.name);
    if place.is_some_and(|span| cx.is_doubtful(span)) {
        return;
    }
    let (message, help) = match (column.kind, column.nullable) {
        (FieldType::Int64 | FieldType::Timestamp, false) => return,
        (FieldType::Int64 | FieldType::Timestamp, true) => (
            format!("`{}` may be absent, and what is absent has no order", column.name),
            "order by a field that is not `optional`, or give it a `default`",
        ),
        (kind, _) => (
            format!("`{}` is {}, and an order is int64 or timestamp", column.name, kind),
            "order by a sequence number or a time of the venue",
        ),
    };
    let finding = Diagnostic::error(Code::UnfitOrder, order_by.span, message);
    let finding = place.map_or(finding.clone(), |span| finding.also(span, "the field"));
    cx.report(finding.help(help));
}

fn check_template(cx: &Context<'_>, input: &Draft, rows: &Normalizer, template: &Spanned<Vec<TemplatePart>>) {
    for part in &template.value {
        match part {
            TemplatePart::Field(name) if !has(rows, &name.value) => unknown_field(cx, input, rows, name),
            _ => {}
        }
    }
}

/// A list that names one field twice.
pub(super) fn twice(cx: &Context<'_>, names: &[Spanned<String>], what: &str) {
    let mut seen: HashMap<&str, crate::Span> = HashMap::new();
    for name in names {
        if let Some(first) = seen.insert(&name.value, name.span) {
            let message = format!("{what} names `{}` twice", shortened(&name.value));
            let finding = Diagnostic::error(Code::FieldTwice, name.span, message).also(first, "first here");
            cx.report(finding.help("name it once"));
        }
    }
}

/// A column that is needed in every row, and may be NULL.
pub(super) fn may_lack(cx: &Context<'_>, rows: &Normalizer, name: &Spanned<String>, why: &str) {
    let Some(column) = rows.columns.iter().find(|column| column.name == name.value && column.nullable) else {
        return;
    };
    let place = field_span(rows, &column.name);
    if place.is_some_and(|span| cx.is_doubtful(span)) {
        return;
    }
    let message = format!("`{}` may be absent: {why}", column.name);
    let finding = Diagnostic::warning(Code::MayLack, name.span, message);
    let finding = place
        .filter(|span| *span != name.span)
        .map_or(finding.clone(), |span| finding.also(span, "`optional` here"));
    cx.report(finding.help("take a field that is not `optional`, or give it a `default`"));
}

/// A name that no column has.
pub(super) fn unknown_field(cx: &Context<'_>, input: &Draft, rows: &Normalizer, name: &Spanned<String>) {
    let names: Vec<&str> = rows.columns.iter().map(|column| column.name.as_str()).collect();
    let help = match nearest(&name.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its fields are {}", shortened_list(&names)),
    };
    let message = format!("the rows of `{}` have no field `{}`", input.name.value, shortened(&name.value));
    let finding = Diagnostic::error(Code::UnknownField, name.span, message)
        .also(input.name.span, "the rows come from here");
    cx.report(finding.help(help));
}

fn shortened_list(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 20;
    let shown = names.iter().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN_MAX { format!("{shown}, ..") } else { shown }
}
