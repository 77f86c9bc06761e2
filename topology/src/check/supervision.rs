//! Supervision: every child exists, belongs to one supervisor, no supervisor contains itself; and warnings where what
//! is written restarts nobody, never escalates, or leaves work behind that nobody will take up.

use super::Graph;
use crate::Spanned;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, DEAD_LETTER, Declared, Draft, File, ROOT};
use crate::model::{Actor, Policy, Restart, Strategy, Supervisor};
use crate::syntax::shortened;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>, file: &File) {
    let supervisors: HashMap<&str, &Supervisor> =
        all(file).map(|supervisor| (supervisor.name.value.as_str(), supervisor)).collect();
    let mut parents: HashMap<&str, (&Supervisor, &Spanned<String>)> = HashMap::new();
    for supervisor in all(file) {
        for child in &supervisor.children {
            let known = graph.get(&child.value).is_some() || supervisors.contains_key(child.value.as_str());
            if !known && child.value != DEAD_LETTER {
                unknown(cx, graph, file, child);
            } else if let Some((first, place)) = parents.insert(&child.value, (supervisor, child)) {
                let message = match first.name == supervisor.name {
                    true => format!("`{}` is named twice", child.value),
                    false => format!("`{}` has two supervisors", child.value),
                };
                let finding = Diagnostic::error(Code::ChildTwice, child.span, message)
                    .label("again here")
                    .also(place.span, "already a child here")
                    .help("an actor is restarted by one supervisor: name it in one place");
                cx.report(finding);
            }
        }
    }
    cycles(cx, &supervisors, file);
    for declared in &file.supervisors {
        restarts_nobody(cx, graph, declared);
        never_escalates(cx, declared);
    }
    let required = Required::of(graph);
    for draft in graph.drafts {
        let parent = parents.get(draft.name.value.as_str()).map(|(parent, _)| *parent);
        leaves_work(cx, draft, parent, &required);
    }
}

fn all(file: &File) -> impl Iterator<Item = &Supervisor> {
    file.supervisors.iter().map(|declared| &declared.supervisor)
}

/// No child, or none whose first crash it would bear.
fn restarts_nobody(cx: &Context<'_>, graph: &Graph<'_>, declared: &Declared) {
    let supervisor = &declared.supervisor;
    let name = &supervisor.name;
    // The root takes whoever no other names.
    if supervisor.children.is_empty() && name.value != ROOT {
        let message = format!("the supervisor `{}` has no children, so it does nothing", name.value);
        let finding = Diagnostic::warning(Code::NeverRestarted, name.span, message);
        return cx.report(finding.help("name its `children`, or remove it"));
    }
    let Some(span) = declared.intensity_span.filter(|_| supervisor.intensity == 0) else { return };
    let kept = |child: &&Spanned<String>| {
        let actor = graph.get(&child.value).and_then(|draft| draft.actor.as_ref());
        actor.is_some_and(|actor| actor.restart != Restart::Temporary)
    };
    let Some(child) = supervisor.children.iter().find(kept) else { return };
    let restart = graph.get(&child.value).and_then(|draft| draft.actor.as_ref()).map_or("", restart_word);
    let after = match name.value == ROOT {
        true => "the whole node ends",
        false => "all its children are stopped, and the supervisor above has to begin again",
    };
    let message = format!(
        "`{}` bears no restart, though `{}` is {restart}: at the first crash {after}",
        name.value, child.value
    );
    let finding = Diagnostic::warning(Code::NeverRestarted, span, message)
        .label("no restart is borne")
        .also(child.span, format!("{restart}, that is, to be restarted"));
    cx.report(finding.help(
        "raise `intensity`, or leave it out (5 in 30s); a child that is never restarted is `temporary`",
    ));
}

fn restart_word(actor: &Actor) -> &'static str {
    actor.restart.word()
}

/// Whoever crashes at each start waits so long between the starts that the period never holds enough of them.
fn never_escalates(cx: &Context<'_>, declared: &Declared) {
    let supervisor = &declared.supervisor;
    let (intensity, period) = (supervisor.intensity, supervisor.period);
    let refused = supervisor.backoff.initial > supervisor.backoff.max;
    if intensity == 0 || supervisor.children.is_empty() || refused {
        return;
    }
    let spent = shortest_loop(supervisor);
    if spent <= period {
        return;
    }
    let span = declared.backoff_span.or(declared.intensity_span).unwrap_or(supervisor.name.span);
    let message = format!(
        "`{}` never gives up: by the time a child has crashed {} times, {} have passed, and `period` looks back {}",
        supervisor.name.value,
        u64::from(intensity) + 1,
        in_words(spent),
        in_words(period)
    );
    let finding = Diagnostic::warning(Code::NeverEscalates, span, message);
    cx.report(finding.help("lengthen `period`, lower `intensity`, or shorten the waits of `backoff`"));
}

/// The time between the first crash and the one that would be too many, of a child that crashes at once, with the
/// shortest waits that the jitter allows.
fn shortest_loop(supervisor: &Supervisor) -> Duration {
    let backoff = &supervisor.backoff;
    let (mut wait, mut waited) = (backoff.initial.min(backoff.max), Duration::ZERO);
    let mut left = supervisor.intensity;
    while left > 0 && wait < backoff.max {
        waited = waited.saturating_add(wait);
        wait = wait.saturating_mul(2).min(backoff.max);
        left -= 1;
        if wait.is_zero() {
            break;
        }
    }
    let waited = waited.saturating_add(wait.saturating_mul(left));
    let share = (1.0 - backoff.jitter).clamp(0.0, 1.0);
    Duration::try_from_secs_f64(waited.as_secs_f64() * share).unwrap_or(Duration::MAX)
}

fn in_words(time: Duration) -> String {
    if time.as_secs() >= 10 { format!("{}s", time.as_secs()) } else { format!("{}ms", time.as_millis()) }
}

/// Who leads to a sink that decides the fate of records.
struct Required<'a> {
    names: HashSet<&'a str>,
}

impl<'a> Required<'a> {
    fn of(graph: &Graph<'a>) -> Self {
        let mut names = HashSet::new();
        let sinks = graph.drafts.iter().filter(|draft| {
            let actor = draft.actor.as_ref();
            actor.is_some_and(|actor| actor.kind.is_sink() && actor.policy == Policy::Required)
        });
        let mut next: Vec<&Draft> = sinks.collect();
        while let Some(draft) = next.pop() {
            if names.insert(draft.name.value.as_str()) {
                next.extend(graph.inputs(draft));
            }
        }
        Self { names }
    }
}

/// A `temporary` actor that others wait for: once it has ended, nobody takes up what waits before it.
fn leaves_work(cx: &Context<'_>, draft: &Draft, parent: Option<&Supervisor>, required: &Required<'_>) {
    let (Some(actor), Some(span)) = (&draft.actor, draft.restart_span) else { return };
    let name = draft.name.value.as_str();
    let rejects = name == DEAD_LETTER;
    if actor.restart != Restart::Temporary || !(rejects || required.names.contains(name)) {
        return;
    }
    let what = if actor.kind.is_source() {
        "nobody reads its records until the node is started again"
    } else if rejects {
        "no reject is stored, and every normalizer waits with the next one"
    } else {
        "what waits before it is never settled: its sources stand still, with their offsets where they were"
    };
    let message = format!("`{name}` is never restarted: after its first crash {what}");
    let mut finding = Diagnostic::warning(Code::OrphanedWork, span, message).label("never restarted");
    let fells = parent.filter(|parent| parent.strategy != Strategy::OneForOne && parent.children.len() > 1);
    if let Some(parent) = fells {
        let word = format!("`{}`: it ends for good when a sibling crashes, too", parent.strategy.word());
        finding = finding.also(parent.name.span, word);
    }
    cx.report(finding.help("leave `restart` out (`permanent`), or make its sinks `policy: best_effort`"));
}

fn unknown(cx: &Context<'_>, graph: &Graph<'_>, file: &File, child: &Spanned<String>) {
    let supervisors = all(file).map(|supervisor| supervisor.name.value.as_str());
    let near = nearest(&child.value, graph.names().chain(supervisors));
    let help = near.map_or_else(
        || "a child is an actor or supervisor of this file".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("no actor or supervisor is named `{}`", shortened(&child.value));
    cx.report(Diagnostic::error(Code::UnknownChild, child.span, message).help(help));
}

/// A circle of supervisors hangs from nothing. The root, from which everything hangs, is nobody's child.
fn cycles(cx: &Context<'_>, supervisors: &HashMap<&str, &Supervisor>, file: &File) {
    let mut done: HashSet<&str> = HashSet::new();
    for start in all(file) {
        let mut path: Vec<(&Supervisor, usize)> = vec![(start, 0)];
        let mut on_path: HashSet<&str> = HashSet::from([start.name.value.as_str()]);
        if done.contains(start.name.value.as_str()) {
            continue;
        }
        while let Some((supervisor, next)) = path.pop() {
            let Some(child) = supervisor.children.get(next) else {
                on_path.remove(supervisor.name.value.as_str());
                done.insert(&supervisor.name.value);
                continue;
            };
            path.push((supervisor, next + 1));
            let Some(below) = supervisors.get(child.value.as_str()) else { continue };
            if on_path.contains(child.value.as_str()) || child.value == ROOT {
                let message = format!("the supervisor `{}` would contain itself", child.value);
                let finding = Diagnostic::error(Code::SupervisorCycle, child.span, message);
                cx.report(
                    finding.also(below.name.span, "declared here").help("remove it from these children"),
                );
            } else if !done.contains(child.value.as_str()) {
                on_path.insert(&below.name.value);
                path.push((below, 0));
            }
        }
    }
}
