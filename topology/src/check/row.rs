//! The row and its cases: the event time, and cases that can apply.

use super::Graph;
use super::columns::unknown_field;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, Draft};
use crate::model::{Case, FieldType, MatchMode, Normalizer};
use std::collections::HashMap;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    for (draft, normalizer) in graph.normalizers() {
        event_time(cx, draft, normalizer);
        same_case(cx, normalizer);
        if normalizer.match_mode == MatchMode::First {
            unreachable_case(cx, normalizer);
        }
    }
}

fn event_time(cx: &Context<'_>, draft: &Draft, normalizer: &Normalizer) {
    let Some(time) = &normalizer.event_time else { return };
    let Some(column) = normalizer.columns.iter().find(|column| column.name == time.field.value) else {
        return unknown_field(cx, draft, normalizer, &time.field);
    };
    let place = field_span(normalizer, &column.name);
    if column.kind == FieldType::Timestamp || place.is_some_and(|span| cx.is_doubtful(span)) {
        return;
    }
    let message = format!("`{}` is {}, and an event time is a timestamp", column.name, column.kind);
    let finding = Diagnostic::error(Code::NotAnEventTime, time.field.span, message);
    let finding = place.map_or(finding.clone(), |span| finding.also(span, "the field"));
    cx.report(finding.help("give the field `type: timestamp` and its `unit`, or name another"));
}

/// Where a field of the row was declared.
pub(super) fn field_span(normalizer: &Normalizer, name: &str) -> Option<crate::Span> {
    let fields = normalizer.cases.first().map(|case| &case.fields)?;
    fields.iter().find(|field| field.name.value == name).map(|field| field.name.span)
}

fn same_case(cx: &Context<'_>, normalizer: &Normalizer) {
    let mut seen: HashMap<&str, &Case> = HashMap::new();
    for case in normalizer.cases.iter().filter(|case| case.name.value != "?") {
        if let Some(first) = seen.insert(&case.name.value, case) {
            let message = format!("two cases are named `{}`", case.name.value);
            let finding =
                Diagnostic::error(Code::SameCase, case.name.span, message).also(first.name.span, "the first");
            cx.report(finding.help("the name is what `case` says in the rows: give each its own"));
        }
    }
}

/// The first case that applies wins: what follows a case without `when`, or repeats an earlier `when`, never does.
fn unreachable_case(cx: &Context<'_>, normalizer: &Normalizer) {
    let mut always: Option<&Case> = None;
    let mut seen: HashMap<&str, &Case> = HashMap::new();
    for case in &normalizer.cases {
        let before =
            always.or_else(|| case.when.as_ref().and_then(|when| seen.get(when.text.as_str()).copied()));
        if let Some(before) = before {
            let message = format!(
                "the case `{}` never applies: `{}` comes first and takes all it would take",
                case.name.value, before.name.value
            );
            let finding = Diagnostic::warning(Code::UnreachableCase, case.name.span, message);
            cx.report(
                finding
                    .also(before.name.span, "the earlier case")
                    .help("put the narrower `when` first, or say `match: all`"),
            );
        }
        match &case.when {
            Some(when) => _ = seen.entry(when.text.as_str()).or_insert(case),
            // A `when` that was refused is said already; it is not a missing one.
            None if !cx.is_doubtful(case.name.span) => always = always.or(Some(case)),
            None => {}
        }
    }
}
