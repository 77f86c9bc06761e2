//! Schedules and what there is for them to do: a retention that nobody carries out, a schedule of nothing, a roll-up or an
//! export that does not fit its table.

use super::Graph;
use super::columns::{may_lack, twice, unknown_field};
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, Draft};
use crate::model::{Export, Kind, Normalizer, Rollup, RollupColumn, Schedule, TimescaleWriter, Work};
use crate::syntax::shortened;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    // An actor that could not be read may have been the one.
    if graph.drafts.iter().any(|draft| draft.actor.is_none()) {
        return;
    }
    for draft in graph.drafts {
        retention(cx, graph, draft);
        let Some(schedule) = schedule(draft) else { continue };
        if let Some(job) = &schedule.rollup {
            rollup(cx, graph, draft, job);
        }
        if let Some(job) = &schedule.export {
            export(cx, graph, job);
        }
    }
}

fn retention(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft) {
    let kept = || graph.drafts.iter().filter_map(writer).filter(|writer| writer.policy.retention.is_some());
    let droppers = || graph.drafts.iter().filter_map(schedule).filter(|one| one.run.value == Work::Retention);
    if schedule(draft).is_some_and(|one| one.run.value == Work::Retention) && kept().next().is_none() {
        let message =
            format!("`{}` has nothing to do: no table of this file has a `retention`", draft.name.value);
        let finding = Diagnostic::error(Code::IdleSchedule, draft.name.span, message);
        cx.report(
            finding.help("say at a timescale_writer how long rows are kept, `retention: 90d` for example"),
        );
    }
    let retention = writer(draft).and_then(|writer| writer.policy.retention.as_ref());
    if let (Some(retention), None) = (retention, droppers().next()) {
        let message = "nobody drops what is older: no `schedule` runs `retention`";
        let finding = Diagnostic::warning(Code::NobodyDrops, retention.span, message);
        cx.report(
            finding.help("add an actor, `keeper: { kind: schedule, every: 1h, run: retention }` for example"),
        );
    }
}

/// The writer that a job is of, with its rows.
fn of<'g>(
    cx: &Context<'_>,
    graph: &'g Graph<'_>,
    name: &Spanned<String>,
) -> Option<(&'g TimescaleWriter, &'g Draft, &'g Normalizer)> {
    let Some(draft) = graph.get(&name.value) else {
        let near = nearest(&name.value, graph.names());
        let help = near.map_or("`of` names a timescale_writer of this file".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        let message = format!("no actor is named `{}`", shortened(&name.value));
        cx.report(Diagnostic::error(Code::DanglingEdge, name.span, message).help(help));
        return None;
    };
    let Some(writer) = writer(draft) else {
        let message = format!("`{}` writes no table", name.value);
        let finding =
            Diagnostic::error(Code::WrongPort, name.span, message).also(draft.name.span, "declared here");
        cx.report(finding.help("`of` names a timescale_writer"));
        return None;
    };
    let (input, rows) = graph.rows_of(draft)?;
    Some((writer, input, rows))
}

fn rollup(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft, rollup: &Rollup) {
    taken(cx, graph, draft, &rollup.into);
    let Some((_, input, rows)) = of(cx, graph, &rollup.of) else { return };
    let Some(time) = &rows.event_time else { return };
    for name in &rollup.by {
        match rows.columns.iter().any(|column| column.name == name.value) {
            true => may_lack(cx, rows, name, "a row without it is in no bucket"),
            false => unknown_field(cx, input, rows, name),
        }
    }
    twice(cx, &rollup.by, "`by`");
    let is_taken = |name: &str| name == time.field.value || rollup.by.iter().any(|by| by.value == name);
    if let Some(name) = rollup.by.iter().find(|name| name.value == time.field.value) {
        let message = format!("`{}` is the event time, which the bucket stands for", name.value);
        unfit(cx, name, message, "leave it out of `by`: the bucket's beginning is in a column of that name");
    }
    for column in &rollup.columns {
        if is_taken(&column.name.value) {
            let message = format!("`{}` is the name of the bucket or of a field of `by`", column.name.value);
            unfit(cx, &column.name, message, "give the column another name");
        }
        fits(cx, input, rows, column);
    }
}

fn fits(cx: &Context<'_>, input: &Draft, rows: &Normalizer, column: &RollupColumn) {
    let Some(field) = &column.field else { return };
    let Some(kind) = rows.columns.iter().find(|known| known.name == field.value).map(|known| known.kind)
    else {
        return unknown_field(cx, input, rows, field);
    };
    if column.aggregate.of(kind).is_none() {
        let message =
            format!("`{}` is {kind}, of which there is no {}", field.value, column.aggregate.word());
        unfit(cx, field, message, "take a number, or `first`, `last` or `count()`");
    }
}

/// A table that somebody else fills already.
fn taken(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft, into: &Spanned<String>) {
    let owner = graph.drafts.iter().take_while(|other| other.name.value != draft.name.value).find(|other| {
        let rollup = schedule(other).and_then(|schedule| schedule.rollup.as_ref());
        rollup.is_some_and(|rollup| rollup.into.value == into.value)
    });
    let writes = |other: &&Draft| writer(other).is_some_and(|writer| writer.table.value == into.value);
    let owner = owner.or_else(|| graph.drafts.iter().find(writes));
    if let Some(owner) = owner {
        let message = format!("table {} is filled by `{}` already", into.value, owner.name.value);
        let finding =
            Diagnostic::error(Code::FedTwice, into.span, message).also(owner.name.span, "by this one");
        cx.report(finding.help("give the roll-up a table of its own"));
    }
}

fn export(cx: &Context<'_>, graph: &Graph<'_>, export: &Export) {
    let Some((_, input, rows)) = of(cx, graph, &export.of) else { return };
    let mut columns = export.partition_by.iter();
    match columns.next() {
        Some(day) if day.value != "day" => {
            let message = format!("files are parted by the day first, and not by `{}`", day.value);
            unfit(cx, day, message, "write `partition_by: [day, ..]`");
        }
        _ => {}
    }
    let is_known = |name: &str| name == "day" || rows.columns.iter().any(|column| column.name == name);
    for name in columns.filter(|name| !is_known(&name.value)) {
        unknown_field(cx, input, rows, name);
    }
    twice(cx, &export.partition_by, "`partition_by`");
}

fn unfit(cx: &Context<'_>, at: &Spanned<String>, message: String, help: &str) {
    cx.report(Diagnostic::error(Code::UnfitJob, at.span, message).help(help));
}

fn writer(draft: &Draft) -> Option<&TimescaleWriter> {
    match draft.actor.as_ref().map(|actor| &actor.kind) {
        Some(Kind::TimescaleWriter(writer)) => Some(writer),
        _ => None,
    }
}

fn schedule(draft: &Draft) -> Option<&Schedule> {
    match draft.actor.as_ref().map(|actor| &actor.kind) {
        Some(Kind::Schedule(schedule)) => Some(schedule),
        _ => None,
    }
}
