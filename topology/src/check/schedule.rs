//! Schedules and what there is for them to do: a retention that nobody carries out, a schedule of nothing.

use super::Graph;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, Draft};
use crate::model::{Kind, Schedule, TimescaleWriter, Work};

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    let kept = || graph.drafts.iter().filter_map(writer).filter(|writer| writer.policy.retention.is_some());
    let droppers = || graph.drafts.iter().filter_map(schedule).filter(|one| one.run.value == Work::Retention);
    // An actor that could not be read may have been the one.
    if graph.drafts.iter().any(|draft| draft.actor.is_none()) {
        return;
    }
    for draft in graph.drafts {
        if schedule(draft).is_some_and(|one| one.run.value == Work::Retention) && kept().next().is_none() {
            let message =
                format!("`{}` has nothing to do: no table of this file has a `retention`", draft.name.value);
            let finding = Diagnostic::error(Code::IdleSchedule, draft.name.span, message);
            cx.report(
                finding
                    .help("say at a timescale_writer how long rows are kept, `retention: 90d` for example"),
            );
        }
        let retention = writer(draft).and_then(|writer| writer.policy.retention.as_ref());
        if let (Some(retention), None) = (retention, droppers().next()) {
            let message = "nobody drops what is older: no `schedule` runs `retention`";
            let finding = Diagnostic::warning(Code::NobodyDrops, retention.span, message);
            cx.report(
                finding.help(
                    "add an actor, `keeper: { kind: schedule, every: 1h, run: retention }` for example",
                ),
            );
        }
    }
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
