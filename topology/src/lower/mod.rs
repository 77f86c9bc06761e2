//! The spanned tree into the typed model. Every mistake is noted and reading goes on, so that one run names them all.
//!
//! Invariant: where a value is missing or wrong, a neutral one stands in for it, and the file has an error: a
//! topology with such a value never leaves the crate.

mod actor;
mod brackets;
mod case;
mod connections;
mod context;
mod dead_letter;
mod expression;
mod field;
mod format;
mod job;
mod kafka_sink;
mod kafka_source;
mod keys;
mod literal;
mod locate;
mod normalizer;
mod pointer;
mod quality_gate;
pub(crate) mod quantity;
mod redis_cache;
mod replay_source;
mod root;
mod schedule;
mod storage;
mod supervisors;
mod tags;
mod template;
mod term;
mod tests;
mod time;
mod timescale_writer;
mod types;
mod values;

pub(crate) use actor::Draft;
pub(crate) use connections::complete;
pub(crate) use context::Context;
pub(crate) use expression::Expression;
pub(crate) use keys::Keys;
pub(crate) use literal::accepts;
pub(crate) use quality_gate::PRICE;
pub(crate) use root::{DEAD_LETTER, ROOT, attach};
pub(crate) use supervisors::Declared;
pub(crate) use tags::report_tags;
pub(crate) use term::{Loop, LoopKind, Term, TermKind};
pub(crate) use time::is_rfc3339;
#[cfg(test)]
pub(crate) use time::rfc3339_micros;
pub(crate) use values::is_name;

use crate::catalog::{FILE, Place};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Connections, Test};
use crate::syntax::Node;
use crate::{Span, Spanned};

/// What every expression of a normalizer may name, beside its fields.
pub(crate) const ENVIRONMENT: &[&str] =
    &["msg", "item", "item_key", "key", "topic", "partition", "headers", "record_time", "case"];

/// A file as it was read, before names are resolved.
pub(crate) struct File {
    pub(crate) name: Spanned<String>,
    pub(crate) connections: Connections,
    pub(crate) supervisors: Vec<Declared>,
    pub(crate) actors: Vec<Draft>,
    pub(crate) tests: Vec<Test>,
}

/// Nothing is written.
pub(crate) fn empty_file(span: Span) -> Diagnostic {
    Diagnostic::error(Code::NotATopology, span, "the file is empty")
        .help("begin with `topology: <name>` and `actors:`; `aqueduct new` writes an example")
}

/// Reads the whole document. `None` = it is no mapping at all.
pub(crate) fn lower(cx: &Context<'_>, root: &Node) -> Option<File> {
    if root.is_null() {
        cx.report(empty_file(root.span));
        return None;
    }
    if root.mapping().is_none() {
        let message =
            format!("a topology is a mapping with `topology` and `actors`, not {}", root.describe());
        cx.report(Diagnostic::error(Code::NotATopology, root.span, message));
        return None;
    }
    let keys = Keys::open(cx, root, Place::File, "a topology", &[FILE])?;
    let name = keys.get("topology").and_then(|node| cx.name(node)).unwrap_or_default();
    keys.get("description").and_then(|node| cx.text(node));
    let tests = keys.get("tests").map_or_else(Vec::new, |node| tests::lower(cx, node));
    let connections = connections::lower(cx, keys.get("connections"));
    let supervisors = keys.get("supervisors").map_or_else(Vec::new, |node| supervisors::lower(cx, node));
    let actors = keys.get("actors").map_or_else(Vec::new, |node| actor::lower_all(cx, node));
    report_tags(cx, root);
    keys.close();
    Some(File { name, connections, supervisors, actors, tests })
}
