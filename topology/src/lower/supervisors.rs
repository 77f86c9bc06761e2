//! `supervisors`.

use super::{Context, Keys};
use crate::catalog::{BACKOFF, Place, SUPERVISOR};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Backoff, Supervisor};
use crate::syntax::Node;
use crate::{Span, Spanned};
use std::time::Duration;

pub(super) const INTENSITY: u32 = 5;
pub(super) const PERIOD: Duration = Duration::from_secs(30);

/// A supervisor that is declared, and where it says how much it bears.
pub(crate) struct Declared {
    pub(crate) supervisor: Supervisor,
    pub(crate) intensity_span: Option<Span>,
    pub(crate) backoff_span: Option<Span>,
}

/// Every supervisor that is declared, in the file's order.
pub(super) fn lower(cx: &Context<'_>, node: &Node) -> Vec<Declared> {
    let Some(mapping) = node.mapping() else {
        return cx.wrong_type(node, "a mapping of supervisors by name").unwrap_or_default();
    };
    let named = mapping.entries.iter().filter(|entry| cx.check_name(&entry.key));
    named.filter_map(|entry| supervisor(cx, &entry.key, &entry.value)).collect()
}

fn supervisor(cx: &Context<'_>, name: &Spanned<String>, node: &Node) -> Option<Declared> {
    let keys = Keys::open(cx, node, Place::Supervisor, "a supervisor", &[SUPERVISOR])?;
    let supervisor = Supervisor {
        name: name.clone(),
        strategy: keys.get("strategy").and_then(|node| cx.word(node, "a strategy")).unwrap_or_default(),
        intensity: keys.get("intensity").and_then(|node| cx.count(node, 0..=1_000_000)).unwrap_or(INTENSITY),
        period: keys.get("period").and_then(|node| cx.lasting(node)).unwrap_or(PERIOD),
        backoff: keys.get("backoff").and_then(|node| backoff(cx, node)).unwrap_or_default(),
        children: keys.get("children").map_or_else(Vec::new, |node| cx.references(node)),
        span: node.span,
    };
    let span_of = |key| keys.get(key).map(|node| node.span);
    let (intensity_span, backoff_span) = (span_of("intensity"), span_of("backoff"));
    keys.close();
    Some(Declared { supervisor, intensity_span, backoff_span })
}

fn backoff(cx: &Context<'_>, node: &Node) -> Option<Backoff> {
    let keys = Keys::open(cx, node, Place::Supervisor, "`backoff`", &[BACKOFF])?;
    let usual = Backoff::default();
    let backoff = Backoff {
        initial: keys.get("initial").and_then(|node| cx.duration(node)).unwrap_or(usual.initial),
        max: keys.get("max").and_then(|node| cx.duration(node)).unwrap_or(usual.max),
        jitter: keys.get("jitter").and_then(|node| cx.share(node)).unwrap_or(usual.jitter),
    };
    keys.close();
    if backoff.initial > backoff.max {
        let finding =
            Diagnostic::error(Code::OutOfRange, node.span, "the first wait is longer than the longest one");
        cx.report(finding.help("make `initial` at most `max` (10s unless said)"));
    }
    Some(backoff)
}
