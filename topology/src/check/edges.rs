//! Edges: that they lead somewhere, in no circle, between kinds that fit, and once.

use super::Graph;
use crate::catalog::{KindEntry, Port};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, Draft};
use crate::syntax::shortened;
use crate::{Span, Spanned};
use std::collections::HashMap;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    let found_before = cx.found();
    for draft in graph.drafts {
        presence(cx, draft);
        for from in &draft.from {
            match graph.get(&from.value) {
                None => dangling(cx, graph, draft, from),
                Some(input) => ports(cx, draft, input, from),
            }
        }
        same_rows(cx, graph, draft);
    }
    let circular = cycles(cx, graph);
    if !circular {
        two_paths(cx, graph);
    }
    // An edge that is wrong may have been meant for whom nobody reads.
    if cx.found() == found_before {
        unread(cx, graph);
    }
}

fn port(draft: &Draft) -> Option<Port> {
    draft.entry.map(|entry| entry.port)
}

/// Who must have `from`, and who must not.
fn presence(cx: &Context<'_>, draft: &Draft) {
    let Some(entry) = draft.entry.filter(|entry| entry.built) else { return };
    let name = &draft.name;
    match (entry.port, draft.from_span) {
        (Port::Source, Some(span)) => {
            let message = format!("`{}` is a source: it reads from outside, not from an actor", name.value);
            cx.report(Diagnostic::error(Code::SourceWithInput, span, message).help("remove `from`"));
        }
        (Port::None, Some(span)) => {
            let why = if is_schedule(entry) {
                "it reads no records"
            } else {
                "every actor's rejects reach it without an edge"
            };
            let message = format!("`{}` stands apart: {why}", name.value);
            cx.report(Diagnostic::error(Code::SourceWithInput, span, message).help("remove `from`"));
        }
        (Port::Transform | Port::Gate | Port::Sink, None) => {
            let message = format!("`{}` does not say what it reads", name.value);
            let help = format!("add `from: <{}>`", wanted_input(entry));
            cx.report(Diagnostic::error(Code::WithoutInput, name.span, message).help(help));
        }
        (Port::Transform | Port::Gate | Port::Sink, Some(span)) if draft.from.is_empty() => {
            let message = format!("`{}` reads from nothing", name.value);
            let help = format!("name at least one {}", wanted_input(entry));
            cx.report(Diagnostic::error(Code::WithoutInput, span, message).help(help));
        }
        _ => {}
    }
}

fn is_schedule(entry: &KindEntry) -> bool {
    entry.name == "schedule"
}

fn wanted_input(entry: &KindEntry) -> &'static str {
    if entry.port == Port::Transform { "source" } else { "normalizer" }
}

fn dangling(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft, from: &Spanned<String>) {
    let others = graph.names().filter(|name| *name != draft.name.value);
    let help = match nearest(&from.value, others) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`from` names an actor of this file".to_owned(),
    };
    let message = format!("no actor is named `{}`", shortened(&from.value));
    cx.report(Diagnostic::error(Code::DanglingEdge, from.span, message).label("read here").help(help));
}

/// Sources feed normalizers, normalizers feed gates and sinks, gates feed sinks: in this version there is nothing else.
fn ports(cx: &Context<'_>, draft: &Draft, input: &Draft, from: &Spanned<String>) {
    let (Some(own), Some(theirs)) =
        (draft.entry.filter(|entry| entry.built), input.entry.filter(|entry| entry.built))
    else {
        return;
    };
    if draft.name.value == input.name.value {
        return; // A circle of one, which is said as such.
    }
    let (message, help) = match (own.port, theirs.port) {
        (Port::Transform, Port::Source)
        | (Port::Gate, Port::Transform)
        | (Port::Sink, Port::Transform | Port::Gate)
        | (Port::Source | Port::None, _) => return,
        (Port::Gate, Port::Gate) => (
            format!("a gate judges the rows of a normalizer; `{}` gives verdicts", from.value),
            format!("read from what it reads{}", names_of(input)),
        ),
        (Port::Transform, Port::Transform | Port::Gate) => (
            format!("a normalizer reads messages of a source; `{}` gives rows", from.value),
            "in this version a normalizer reads sources only: put both steps into one normalizer, with `cases`".to_owned(),
        ),
        (Port::Gate, Port::Source) => (
            format!("a {} judges rows; `{}` gives messages", own.name, from.value),
            "put a normalizer between them: it makes rows of messages".to_owned(),
        ),
        (Port::Sink, Port::Source) => (
            format!("a {} writes rows; `{}` gives messages", own.name, from.value),
            "put a normalizer between them: it makes rows of messages".to_owned(),
        ),
        (_, Port::Sink) => (
            format!("nothing can be read from `{}`, which is a {}", from.value, theirs.name),
            format!("read from what it reads{}", names_of(input)),
        ),
        (_, Port::None) => (
            format!("nothing can be read from `{}`, which is a {}", from.value, theirs.name),
            if is_schedule(theirs) {
                format!("a schedule gives no records: read from what gives rows or messages{}", names_of(input))
            } else {
                "rejects are listed and replayed with `aqueduct dlq`".to_owned()
            },
        ),
    };
    let finding =
        Diagnostic::error(Code::WrongPort, from.span, message).also(input.name.span, "declared here");
    cx.report(finding.help(help));
}

fn names_of(draft: &Draft) -> String {
    let names: Vec<String> = draft.from.iter().map(|from| format!("`{}`", from.value)).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// Several inputs of one sink or gate have one row.
fn same_rows(cx: &Context<'_>, graph: &Graph<'_>, draft: &Draft) {
    if !matches!(port(draft), Some(Port::Sink | Port::Gate)) {
        return;
    }
    let rows = |name: &str| graph.rows_from(graph.get(name)?);
    let mut inputs = draft.from.iter().filter_map(|from| Some((from, rows(&from.value)?)));
    let Some((first, first_rows)) = inputs.next() else { return };
    for (from, rows) in inputs {
        if rows.columns == first_rows.columns {
            continue;
        }
        let message = format!("`{}` and `{}` give different rows", first.value, from.value);
        let finding =
            Diagnostic::error(Code::DifferentRows, from.span, message).also(first.span, "the first input");
        cx.report(finding.help("give both the same `fields`, or write each with a sink of its own"));
    }
}

/// Says each circle once. An actor is visited once: grey while its inputs are followed, black afterwards.
fn cycles(cx: &Context<'_>, graph: &Graph<'_>) -> bool {
    let mut colours: HashMap<&str, Colour> = HashMap::new();
    let mut found = false;
    for start in graph.drafts {
        // The path, and how many inputs of each of its actors are done.
        let mut path: Vec<(&Draft, usize)> = Vec::new();
        if !colours.contains_key(start.name.value.as_str()) {
            colours.insert(&start.name.value, Colour::Grey);
            path.push((start, 0));
        }
        while let Some((draft, done)) = path.pop() {
            // What a source reads is refused as such.
            let from = draft.from.get(done).filter(|_| port(draft) != Some(Port::Source));
            let Some(from) = from else {
                colours.insert(&draft.name.value, Colour::Black);
                continue;
            };
            path.push((draft, done + 1));
            let Some(input) = graph.get(&from.value) else { continue };
            match colours.get(input.name.value.as_str()) {
                Some(Colour::Black) => {}
                Some(Colour::Grey) => {
                    found = true;
                    let at =
                        path.iter().position(|(draft, _)| draft.name.value == input.name.value).unwrap_or(0);
                    cx.report(circle(&path[at..], from.span));
                }
                None => {
                    colours.insert(&input.name.value, Colour::Grey);
                    path.push((input, 0));
                }
            }
        }
    }
    found
}

enum Colour {
    Grey,
    Black,
}

fn circle(path: &[(&Draft, usize)], span: Span) -> Diagnostic {
    let mut names: Vec<&str> = path.iter().rev().map(|(draft, _)| draft.name.value.as_str()).collect();
    names.extend(names.first().copied());
    let shown = names.iter().rev().copied().collect::<Vec<&str>>().join("` from `");
    Diagnostic::error(Code::CyclicEdge, span, format!("records would go round for ever: `{shown}`"))
        .label("this edge closes the circle")
        .help("data flows one way, from sources to sinks: remove one of the edges")
}

/// One path at most leads from a source to a sink or gate: two would write, or judge, each record twice.
fn two_paths(cx: &Context<'_>, graph: &Graph<'_>) {
    let ends = |draft: &&Draft| matches!(port(draft), Some(Port::Sink | Port::Gate));
    for sink in graph.drafts.iter().filter(ends) {
        let does = if port(sink) == Some(Port::Gate) { "judged" } else { "written" };
        let mut seen: HashMap<&str, &Spanned<String>> = HashMap::new();
        for from in &sink.from {
            let Some(input) = graph.get(&from.value) else { continue };
            let mut sources = Vec::new();
            sources_above(graph, input, &mut sources);
            for source in sources {
                let Some(first) = seen.insert(source, from) else { continue };
                let message = format!("two paths lead from `{source}` to `{}`", sink.name.value);
                let finding = Diagnostic::error(Code::TwoPaths, from.span, message)
                    .label("the second")
                    .also(first.span, "the first")
                    .help(format!(
                        "each record would be {does} twice: make one normalizer of the two, with `cases`"
                    ));
                cx.report(finding);
                break;
            }
        }
    }
}

/// The names of the sources above an actor, once per path. The graph has no circle; normalizers read sources only, so it is flat.
fn sources_above<'a>(graph: &Graph<'a>, draft: &'a Draft, found: &mut Vec<&'a str>) {
    match port(draft) {
        // A gate begins anew.
        Some(Port::Source | Port::Gate) => found.push(&draft.name.value),
        Some(Port::Transform) => {
            let sources = graph.inputs(draft).filter(|input| port(input) == Some(Port::Source));
            found.extend(sources.map(|source| source.name.value.as_str()));
        }
        _ => {}
    }
}

fn unread(cx: &Context<'_>, graph: &Graph<'_>) {
    let read: std::collections::HashSet<&str> =
        graph.drafts.iter().flat_map(|draft| &draft.from).map(|from| from.value.as_str()).collect();
    for draft in graph.drafts.iter().filter(|draft| !read.contains(draft.name.value.as_str())) {
        let what = match draft.entry.filter(|entry| entry.built).map(|entry| entry.port) {
            Some(Port::Source) => "messages",
            Some(Port::Transform) => "rows",
            Some(Port::Gate) => "verdicts",
            _ => continue,
        };
        let message = format!("nobody reads the {what} of `{}`", draft.name.value);
        cx.report(
            Diagnostic::warning(Code::Unread, draft.name.span, message)
                .help("name it in another actor's `from`, or remove it"),
        );
    }
}
