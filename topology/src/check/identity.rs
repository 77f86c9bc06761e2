//! Identities: one name, one offset, one place that is written.

use super::Graph;
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::LINKS_BYTES_USUAL;
use crate::lower::{Context, DEAD_LETTER, Draft, File};
use crate::model::{Actor, Kind, Policy, TemplatePart};
use crate::{Span, Spanned};
use std::collections::HashMap;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>, file: &File) {
    same_identity(cx, graph, file);
    fed_twice(cx, graph);
    dead_letter(cx, graph);
    for draft in graph.drafts {
        elsewhere(cx, draft);
    }
    nothing_required(cx, graph);
    read_twice(cx, graph);
    large_links(cx, graph);
}

fn actors<'a>(graph: &Graph<'a>) -> impl Iterator<Item = &'a Actor> {
    graph.drafts.iter().filter_map(|draft| draft.actor.as_ref())
}

fn same_identity(cx: &Context<'_>, graph: &Graph<'_>, file: &File) {
    let mut ids: HashMap<&str, &Spanned<String>> = HashMap::new();
    for actor in actors(graph) {
        if let Some(first) = ids.insert(&actor.id.value, &actor.id) {
            let message = format!("two actors have the identity `{}`", actor.id.value);
            let finding =
                Diagnostic::error(Code::SameIdentity, actor.id.span, message).also(first.span, "the first");
            cx.report(finding.help("offsets are kept by identity: give each its own `id`"));
        }
    }
    for adopted in actors(graph).filter_map(|actor| actor.adopts.as_ref()) {
        if let Some(first) = ids.get(adopted.value.as_str()) {
            let message =
                format!("`{}` is still an actor of this file, so nobody can adopt it", adopted.value);
            cx.report(
                Diagnostic::error(Code::SameIdentity, adopted.span, message)
                    .also(first.span, "here")
                    .help("`adopts` names a former identity"),
            );
        }
    }
    for supervisor in file.supervisors.iter().map(|declared| &declared.supervisor) {
        if let Some(actor) = graph.get(&supervisor.name.value) {
            let message = format!("an actor and a supervisor are both named `{}`", supervisor.name.value);
            let finding = Diagnostic::error(Code::SameIdentity, supervisor.name.span, message);
            cx.report(
                finding
                    .also(actor.name.span, "the actor")
                    .help("children are named by one word: rename one of the two"),
            );
        }
    }
}

/// What a sink writes to, in words that are equal when the places are.
fn target(kind: &Kind) -> Option<(String, Span)> {
    match kind {
        Kind::TimescaleWriter(writer) if !writer.table.value.is_empty() => {
            Some((format!("the table `{}`", writer.table.value), writer.table.span))
        }
        Kind::KafkaSink(sink) if !sink.topic.value.is_empty() => {
            Some((format!("the topic `{}`", sink.topic.value), sink.topic.span))
        }
        Kind::RedisCache(cache) if !cache.key.value.is_empty() => {
            let key: String = cache.key.value.iter().map(part_text).collect();
            Some((format!("the key `{key}`"), cache.key.span))
        }
        _ => None,
    }
}

fn part_text(part: &TemplatePart) -> String {
    match part {
        TemplatePart::Text(text) => text.clone(),
        // The name does not matter: `last:{symbol}` and `last:{pair}` meet.
        TemplatePart::Field(_) => "{..}".to_owned(),
    }
}

fn fed_twice(cx: &Context<'_>, graph: &Graph<'_>) {
    let mut targets: HashMap<String, (Span, &str)> = HashMap::new();
    for actor in actors(graph) {
        let Some((target, span)) = target(&actor.kind) else { continue };
        if let Some((first, owner)) = targets.get(&target) {
            let finding = Diagnostic::error(Code::FedTwice, span, format!("{target} is written by `{owner}` already"))
                .also(*first, "written here")
                .help("one sink owns a place: let one sink read both inputs (`from: [a, b]`), or write to another place");
            cx.report(finding);
            continue;
        }
        targets.insert(target, (span, &actor.name.value));
    }
}

fn dead_letter(cx: &Context<'_>, graph: &Graph<'_>) {
    for draft in graph.drafts {
        let is_kind = draft.entry.is_some_and(|entry| entry.name == DEAD_LETTER);
        let is_name = draft.name.value == DEAD_LETTER;
        if is_kind != is_name && draft.entry.is_some() {
            let message = "the name `dead_letter` and the kind `dead_letter` belong together";
            let finding = Diagnostic::error(Code::NotAName, draft.name.span, message);
            cx.report(finding.help("write `dead_letter: { kind: dead_letter }`, or leave it out: it is there without being written"));
        }
    }
}

/// Options that mean nothing where they stand.
fn elsewhere(cx: &Context<'_>, draft: &Draft) {
    let Some(actor) = draft.actor.as_ref().filter(|actor| !actor.kind.is_sink()) else { return };
    if let Some(span) = draft.policy_span.filter(|_| !actor.kind.is_gate()) {
        let message =
            format!("`policy` is for sinks and gates; `{}` is a {}", draft.name.value, actor.kind.name());
        cx.report(
            Diagnostic::warning(Code::PolicyElsewhere, span, message)
                .help("move it to the sinks that it is meant for"),
        );
    }
    if let Some(adopts) = &actor.adopts {
        let message = format!("`adopts` is for sinks; `{}` is a {}", draft.name.value, actor.kind.name());
        cx.report(
            Diagnostic::warning(Code::PolicyElsewhere, adopts.span, message)
                .help("only sinks have offsets to take over"),
        );
    }
}

/// Without a required sink, nothing holds a source back when an outage outlasts the links.
fn nothing_required(cx: &Context<'_>, graph: &Graph<'_>) {
    for source in actors(graph).filter(|actor| actor.kind.is_source()) {
        let reads = |actor: &Actor, name: &str| actor.from.iter().any(|from| from.value == name);
        let above = |sink: &Actor| {
            sink.from
                .iter()
                .filter_map(|from| graph.get(&from.value)?.actor.as_ref())
                .any(|input| reads(input, &source.name.value))
        };
        let sinks: Vec<&Actor> = actors(graph).filter(|actor| actor.kind.is_sink() && above(actor)).collect();
        if sinks.is_empty() || sinks.iter().any(|sink| sink.policy == Policy::Required) {
            continue;
        }
        let message = format!("every sink of `{}` is `best_effort`", source.name.value);
        let finding = Diagnostic::warning(Code::NothingRequired, source.name.span, message).help(
            "an outage may skip records for good: make one sink `policy: required`, unless that is meant",
        );
        cx.report(finding);
    }
}

/// The sources of a topology are one consumer group: two that read one topic would each get a part of it. And a topic
/// that the topology also writes never comes to rest.
fn read_twice(cx: &Context<'_>, graph: &Graph<'_>) {
    let mut topics: HashMap<&str, &Spanned<String>> = HashMap::new();
    for actor in actors(graph) {
        let Kind::KafkaSource(source) = &actor.kind else { continue };
        if source.topic.value.is_empty() {
            continue;
        }
        if let Some(first) = topics.insert(&source.topic.value, &source.topic) {
            let message = format!("the topic `{}` is read by two sources", source.topic.value);
            let finding =
                Diagnostic::error(Code::ReadTwice, source.topic.span, message).also(first.span, "the first");
            cx.report(finding.help(
                "both are one consumer group and would share it: let several actors read `from` one source",
            ));
        }
    }
    for actor in actors(graph) {
        let Kind::KafkaSink(sink) = &actor.kind else { continue };
        if let Some(read) = topics.get(sink.topic.value.as_str()) {
            let message = format!(
                "records would go round for ever: the topic `{}` is read and written",
                sink.topic.value
            );
            let finding =
                Diagnostic::error(Code::CyclicEdge, sink.topic.span, message).also(read.span, "read here");
            cx.report(finding.help("write to another topic"));
        }
    }
}

/// What the links may hold together when everything stands still.
fn large_links(cx: &Context<'_>, graph: &Graph<'_>) {
    let bytes = |actor: &Actor| {
        let inputs = actor.from.iter().filter_map(|from| graph.get(&from.value)?.actor.as_ref());
        // One for each pair of clones.
        let givers: u64 = inputs.map(|input| u64::from(input.parallelism.value)).sum();
        let links = givers * u64::from(actor.parallelism.value);
        actor.link.bytes.saturating_mul(links)
    };
    let total = actors(graph).fold(0_u64, |total, actor| total.saturating_add(bytes(actor)));
    let Some(largest) = actors(graph).max_by_key(|actor| bytes(actor)).filter(|_| total > LINKS_BYTES_USUAL)
    else {
        return;
    };
    let message = format!("the links of this file may hold {} MiB together", total >> 20);
    let finding =
        Diagnostic::warning(Code::LargeLinks, largest.name.span, message).label("the largest part is here");
    cx.report(finding.help("lower `link: { bytes }` or `parallelism`, unless the machine has the memory"));
}
