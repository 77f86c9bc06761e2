//! `normalizer`.

use super::case::{self, Row};
use super::{Context, Keys, field, format};
use crate::Spanned;
use crate::catalog::{EVENT_TIME, Place};
use crate::model::{EventTime, FieldType, Kind, Normalizer};
use crate::syntax::Node;
use std::time::Duration;

/// Newer than its record by more than this is rejected, unless said.
const FUTURE_MAX: Duration = Duration::from_secs(86_400);

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>, node: &Node) -> Kind {
    let coding = format::lower(cx, keys);
    let row = Row {
        fields: keys.get("fields").map_or_else(Vec::new, |node| field::lower_row(cx, node)),
        explode: keys.get("explode").and_then(|node| cx.pointer(node)),
        select: keys.get("select").and_then(|node| cx.expr(node)),
        require: keys.get("require").map_or_else(Vec::new, |node| case::lower_require(cx, node)),
    };
    let match_mode = keys.get("match").and_then(|node| cx.word(node, "a way to match")).unwrap_or_default();
    let cases = match keys.get("cases") {
        Some(node) => case::lower_all(cx, node, &row),
        None => vec![row.alone(cx, node.span)],
    };
    let said = keys.get("event_time").and_then(|node| event_time(cx, node));
    let first = || row.fields.iter().find(|field| field.typed && field.kind == FieldType::Timestamp);
    let event_time = said.or_else(|| first().map(|field| bounds(field.name.clone())));
    Kind::Normalizer(Normalizer {
        coding,
        columns: row.fields.iter().map(field::RowField::column).collect(),
        cases,
        match_mode,
        event_time,
    })
}

fn bounds(field: Spanned<String>) -> EventTime {
    EventTime { field, past_max: None, future_max: FUTURE_MAX }
}

fn event_time(cx: &Context<'_>, node: &Node) -> Option<EventTime> {
    if node.mapping().is_none() {
        return cx.nonempty(node).map(bounds);
    }
    let keys = Keys::open(cx, node, Place::Actor, "`event_time`", &[EVENT_TIME])?;
    let field = keys.get("field").and_then(|node| cx.nonempty(node));
    let past_max = keys.get("past_max").and_then(|node| cx.duration(node));
    let future_max = keys.get("future_max").and_then(|node| cx.duration(node)).unwrap_or(FUTURE_MAX);
    keys.close();
    field.map(|field| EventTime { field, past_max, future_max })
}
