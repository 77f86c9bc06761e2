//! Actors: what all of them take, and the way to each kind.

use super::{
    Context, Keys, dead_letter, kafka_sink, kafka_source, normalizer, quality_gate, redis_cache,
    replay_source, schedule, timescale_writer,
};
use crate::catalog::{self, COMMON, KINDS, KindEntry, LINK, Place, Port, our_kind, ours};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::model::{Actor, Kind, LinkBounds, Policy};
use crate::syntax::{Mapping, Node, shortened};
use crate::{Span, Spanned};
use std::time::Duration;

pub(super) const SHUTDOWN: Duration = Duration::from_secs(30);
/// What a transaction of a fast topic takes, and as much for the next one; more would only be memory.
pub(super) const LINK_BOUNDS: LinkBounds = LinkBounds { batches: 16, bytes: 6 << 20 };

/// An actor that was declared, whether or not its kind could be read.
pub(crate) struct Draft {
    pub(crate) name: Spanned<String>,
    pub(crate) from: Vec<Spanned<String>>,
    /// Where `from` was written, or else the name.
    pub(crate) from_span: Option<Span>,
    pub(crate) policy_span: Option<Span>,
    pub(crate) restart_span: Option<Span>,
    /// The kind's entry in the catalog, if the word is known.
    pub(crate) entry: Option<&'static KindEntry>,
    /// The actor itself, if this version has its kind.
    pub(crate) actor: Option<Actor>,
}

/// Every actor, in the file's order.
pub(super) fn lower_all(cx: &Context<'_>, node: &Node) -> Vec<Draft> {
    let Some(mapping) = node.mapping() else {
        return cx.wrong_type(node, "a mapping of actors by name").unwrap_or_default();
    };
    let named = mapping.entries.iter().filter(|entry| cx.check_name(&entry.key));
    named.map(|entry| lower(cx, &entry.key, &entry.value)).collect()
}

fn lower(cx: &Context<'_>, name: &Spanned<String>, node: &Node) -> Draft {
    let nothing = Draft {
        name: name.clone(),
        from: Vec::new(),
        from_span: None,
        policy_span: None,
        restart_span: None,
        entry: None,
        actor: None,
    };
    let Some(mapping) = node.mapping() else {
        let message =
            format!("the actor `{}` is a mapping with a `kind`, not {}", name.value, node.describe());
        cx.report(Diagnostic::error(Code::WrongType, node.span, message));
        return nothing;
    };
    let kind_node = mapping.get("kind").map(|entry| &entry.value).filter(|node| !node.is_null());
    let entry = kind_node.and_then(|node| known_kind(cx, node));
    let Some(entry) = entry else {
        let from = mapping.get("from").map_or_else(Vec::new, |entry| cx.references(&entry.value));
        if kind_node.is_none() {
            cx.report(without_kind(name, mapping));
        }
        foreign_words(cx, mapping);
        return Draft { from, ..nothing };
    };
    if !entry.built {
        let finding = Diagnostic::error(
            Code::NotInThisVersion,
            kind_node.map_or(name.span, |node| node.span),
            format!("this version has no `{}` yet", entry.name),
        )
        .help("remove the actor and what reads from it");
        cx.report(finding);
        let from = mapping.get("from").map_or_else(Vec::new, |entry| cx.references(&entry.value));
        return Draft { from, entry: Some(entry), ..nothing };
    }
    known(cx, name, node, entry).unwrap_or(nothing)
}

/// Others say `type: kafka`, or make the kind a key.
fn without_kind(name: &Spanned<String>, mapping: &Mapping) -> Diagnostic {
    if let Some(word) = mapping.get("type") {
        let theirs = word.value.scalar().filter(|scalar| !scalar.interpolated);
        let ours = theirs.and_then(|scalar| {
            catalog::kind(&scalar.text)
                .map(|kind| format!("`{}`", kind.name))
                .or_else(|| our_kind(&scalar.text).map(str::to_owned))
        });
        let message = "`type` is not a word of this language";
        let finding = Diagnostic::error(Code::ForeignWord, word.key.span, message);
        return finding.help(match ours {
            Some(ours) => format!("write `kind`, and there {ours}"),
            None => "write `kind`".to_owned(),
        });
    }
    let message = format!("the actor `{}` has no `kind`", name.value);
    let finding = Diagnostic::error(Code::MissingKey, name.span, message);
    let keys = mapping.entries.iter().map(|entry| &entry.key);
    match keys.filter_map(|key| Some((key, our_kind(&key.value)?))).next() {
        Some((key, ours)) => finding
            .also(key.span, "a kind, perhaps")
            .help(format!("the kind is a value: write `kind`, and there {ours}")),
        None => finding.help(format!("its kind is one of {}", built_kinds().collect::<Vec<_>>().join(", "))),
    }
}

/// Of an actor whose kind is not known, at least the words that no kind has.
fn foreign_words(cx: &Context<'_>, mapping: &Mapping) {
    let known =
        |word: &str| KINDS.iter().flat_map(|kind| kind.keys).chain(COMMON).any(|key| key.name == word);
    for entry in mapping.entries.iter().filter(|entry| !known(&entry.key.value) && entry.key.value != "type")
    {
        let Some(ours) = ours(Place::Actor, &entry.key.value) else { continue };
        let message = format!("`{}` is not a word of this language", entry.key.value);
        cx.report(
            Diagnostic::error(Code::ForeignWord, entry.key.span, message).help(format!("write {ours}")),
        );
    }
}

fn built_kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(|kind| kind.built).map(|kind| kind.name)
}

fn known_kind(cx: &Context<'_>, node: &Node) -> Option<&'static KindEntry> {
    let text = cx.nonempty(node)?;
    let entry = catalog::kind(&text.value);
    if entry.is_none() {
        let near = || nearest(&text.value, KINDS.iter().map(|kind| kind.name));
        let near = our_kind(&text.value)
            .map(|ours| format!("write {ours}"))
            .or_else(|| near().map(|near| format!("did you mean `{near}`?")));
        let help =
            near.unwrap_or_else(|| format!("the kinds are {}", built_kinds().collect::<Vec<_>>().join(", ")));
        let message = format!("there is no kind `{}`", shortened(&text.value));
        cx.report(Diagnostic::error(Code::UnknownKind, node.span, message).help(help));
    }
    entry
}

fn known(cx: &Context<'_>, name: &Spanned<String>, node: &Node, entry: &'static KindEntry) -> Option<Draft> {
    let what = format!("a `{}`", entry.name);
    let keys = Keys::open(cx, node, Place::Actor, &what, &[COMMON, entry.keys])?;
    keys.get("kind");
    let from = keys.get("from").map_or_else(Vec::new, |node| cx.references(node));
    let actor = Actor {
        name: name.clone(),
        id: keys.get("id").and_then(|node| cx.name(node)).unwrap_or_else(|| name.clone()),
        adopts: keys.get("adopts").and_then(|node| cx.name(node)),
        description: keys.get("description").and_then(|node| cx.text(node)).map(|text| text.value),
        from: from.clone(),
        restart: keys.get("restart").and_then(|node| cx.word(node, "a restart")).unwrap_or_default(),
        shutdown: keys.get("shutdown").and_then(|node| cx.duration(node)).unwrap_or(SHUTDOWN),
        parallelism: parallelism(cx, &keys, name.span, entry),
        load: keys.get("load").and_then(|node| cx.count(node, 1..=crate::limits::LOAD_MAX)),
        link: keys.get("link").and_then(|node| link(cx, node)).unwrap_or(LINK_BOUNDS),
        policy: keys.get("policy").and_then(|node| cx.word(node, "a policy")).unwrap_or(usual_policy(entry)),
        kind: kind(cx, &keys, node, name, entry),
        span: node.span,
    };
    let (from_span, policy_span) = (keys.key_span("from"), keys.key_span("policy"));
    let restart_span = keys.get("restart").map(|node| node.span);
    keys.close();
    Some(Draft {
        name: name.clone(),
        from,
        from_span,
        policy_span,
        restart_span,
        entry: Some(entry),
        actor: Some(actor),
    })
}

fn kind(cx: &Context<'_>, keys: &Keys<'_>, node: &Node, name: &Spanned<String>, entry: &KindEntry) -> Kind {
    match entry.name {
        "kafka_source" => kafka_source::lower(cx, keys, node),
        "replay_source" => replay_source::lower(cx, keys, name),
        "normalizer" => normalizer::lower(cx, keys, node),
        "quality_gate" => quality_gate::lower(cx, keys, name.span),
        "timescale_writer" => timescale_writer::lower(cx, keys),
        "redis_cache" => redis_cache::lower(cx, keys),
        "kafka_sink" => kafka_sink::lower(cx, keys),
        "dead_letter" => dead_letter::lower(cx, keys),
        "schedule" => schedule::lower(cx, keys),
        other => unreachable!("invariant: every built kind of the catalog is lowered; `{other}` is not"),
    }
}

/// What a gate does not see it does not judge: nothing waits for one that lags, unless the file says so.
fn usual_policy(entry: &KindEntry) -> Policy {
    if entry.port == Port::Gate { Policy::BestEffort } else { Policy::default() }
}

fn parallelism(cx: &Context<'_>, keys: &Keys<'_>, place: Span, entry: &KindEntry) -> Spanned<u32> {
    let said = keys.get("parallelism");
    let alone = match entry.port {
        Port::Gate => Some(("one sees all of its rows", "leave it out; a gate needs little time for a row")),
        Port::None if entry.name == "schedule" => {
            Some(("one node of all is at work", "leave it out; every node stands by to take over"))
        }
        _ => None,
    };
    if let (Some(node), Some((why, help))) = (said, alone) {
        let message = format!("`parallelism` means nothing to a {}: {why}", entry.name);
        let finding = Diagnostic::warning(Code::PolicyElsewhere, node.span, message);
        cx.report(finding.help(help));
        return Spanned::new(1, node.span);
    }
    let count = said.and_then(|node| cx.count(node, 1..=crate::limits::PARALLELISM_MAX));
    Spanned::new(count.unwrap_or(1), said.map_or(place, |node| node.span))
}

fn link(cx: &Context<'_>, node: &Node) -> Option<LinkBounds> {
    let keys = Keys::open(cx, node, Place::Actor, "`link`", &[LINK])?;
    let bounds = LinkBounds {
        batches: keys
            .get("batches")
            .and_then(|node| cx.count(node, 1..=4_096))
            .unwrap_or(LINK_BOUNDS.batches),
        bytes: keys.get("bytes").and_then(|node| cx.size(node)).unwrap_or(LINK_BOUNDS.bytes),
    };
    keys.close();
    Some(bounds)
}
