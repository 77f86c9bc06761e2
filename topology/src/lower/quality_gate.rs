//! `quality_gate`.

use super::{Context, Keys};
use crate::catalog::{BAND, CROSSED, FROZEN, GAP, Key, LATE, OVERRIDE, OVERRIDE_RULES, Place, REPEAT, RULES};
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{
    BandRule, CountRule, CrossedRule, FrozenRule, GateOverride, GateRules, Kind, LateRule, QualityGate,
};
use crate::syntax::{Node, Value};
use crate::{Span, Spanned};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);
const WINDOW: Duration = Duration::from_secs(10);
const WATCH_AT: f64 = 0.5;
const ROWS_MIN: u32 = 20;
const KEYS_MAX: u32 = 100_000;
const LATE_SHARE: f64 = 0.05;
const MEDIAN_OF: u32 = 64;
const FROZEN_FOR: Duration = Duration::from_secs(60);
/// Fields whose nulls one gate counts.
const NULLS_MAX: usize = 64;
/// The field of a band whose file names none.
pub(crate) const PRICE: &str = "price";

pub(super) fn lower(cx: &Context<'_>, keys: &Keys<'_>, place: Span) -> Kind {
    let every = keys.get("every");
    Kind::QualityGate(Box::new(QualityGate {
        by: keys.get("by").map_or_else(Vec::new, |node| cx.references(node)),
        every: Spanned::new(
            every.and_then(|node| cx.lasting(node)).unwrap_or(EVERY),
            every.map_or(place, |node| node.span),
        ),
        mode: keys.get("mode").and_then(|node| cx.word(node, "a mode")).unwrap_or_default(),
        window: keys.get("window").and_then(|node| cx.lasting(node)).unwrap_or(WINDOW),
        watch_at: keys.get("watch_at").and_then(|node| limiting_share(cx, node)).unwrap_or(WATCH_AT),
        rows_min: keys.get("rows_min").and_then(|node| cx.count(node, 1..=1_000_000)).unwrap_or(ROWS_MIN),
        keys_max: keys.get("keys_max").and_then(|node| cx.count(node, 1..=1_000_000)).unwrap_or(KEYS_MAX),
        rules: keys.get("rules").and_then(|node| rules(cx, node, RULES)).unwrap_or_default(),
        overrides: keys.get("overrides").map_or_else(Vec::new, |node| overrides(cx, node)),
    }))
}

fn overrides(cx: &Context<'_>, node: &Node) -> Vec<GateOverride> {
    match &node.value {
        Value::Sequence(nodes) => nodes.iter().filter_map(|node| override_of(cx, node)).collect(),
        _ => override_of(cx, node).into_iter().collect(),
    }
}

fn override_of(cx: &Context<'_>, node: &Node) -> Option<GateOverride> {
    let keys = Keys::open(cx, node, Place::Actor, "an override", &[OVERRIDE])?;
    let name = keys.get("name").and_then(|node| cx.name(node));
    let when = keys.get("when").and_then(|node| cx.expr(node));
    let own = keys.get("rules").and_then(|node| {
        let own = rules(cx, node, OVERRIDE_RULES)?;
        if node.mapping().is_some_and(|mapping| mapping.entries.is_empty()) {
            cx.report(
                Diagnostic::error(Code::MissingKey, node.span, "an override without a rule changes nothing")
                    .help("say which limit these keys have, or remove the override"),
            );
        }
        Some(own)
    });
    keys.close();
    Some(GateOverride { name: name?, when: when?, rules: own? })
}

fn rules(cx: &Context<'_>, node: &Node, list: &'static [Key]) -> Option<GateRules> {
    let keys = Keys::open(cx, node, Place::Actor, "`rules`", &[list])?;
    let rules = GateRules {
        stale_after: keys.get("stale_after").and_then(|node| cx.lasting(node)).unwrap_or_default(),
        gap: keys.get("gap").and_then(|node| count(cx, node, "`gap`", GAP)),
        repeat: keys.get("repeat").and_then(|node| count(cx, node, "`repeat`", REPEAT)),
        out_of_order: keys.get("out_of_order").and_then(|node| spanned(node, limiting_share(cx, node))),
        late: keys.get("late").and_then(|node| late(cx, node)),
        price_band: keys.get("price_band").and_then(|node| band(cx, node)),
        crossed: keys.get("crossed").and_then(|node| crossed(cx, node)),
        frozen: keys.get("frozen").and_then(|node| frozen(cx, node)),
        clock_skew: keys.get("clock_skew").and_then(|node| spanned(node, cx.lasting(node))),
        rate_collapse: keys.get("rate_collapse").and_then(|node| collapse(cx, node)),
        nulls: keys.get("nulls").map_or_else(Vec::new, |node| nulls(cx, node)),
    };
    keys.close();
    Some(rules)
}

fn spanned<T>(node: &Node, value: Option<T>) -> Option<Spanned<T>> {
    value.map(|value| Spanned::new(value, node.span))
}

/// A share above nothing: a limit of nothing would be used up from the start.
fn limiting_share(cx: &Context<'_>, node: &Node) -> Option<f64> {
    let share = cx.share(node)?;
    if share > 0.0 {
        return Some(share);
    }
    cx.out_of_range(node, "the share must be greater than zero");
    None
}

/// .. and less than all: no rate is below its own mean by nothing.
fn collapse(cx: &Context<'_>, node: &Node) -> Option<f64> {
    let share = limiting_share(cx, node)?;
    if share < 1.0 {
        return Some(share);
    }
    cx.out_of_range(node, "the share must be less than one: a rate is often a little below its mean");
    None
}

fn count(cx: &Context<'_>, node: &Node, what: &str, list: &'static [Key]) -> Option<CountRule> {
    if node.mapping().is_none() {
        return Some(CountRule { field: cx.nonempty(node)?, limit: 1 });
    }
    let keys = Keys::open(cx, node, Place::Actor, what, &[list])?;
    let field = keys.get("field").and_then(|node| cx.nonempty(node));
    let limit = keys.get("limit").and_then(|node| cx.count(node, 1..=1_000_000)).unwrap_or(1);
    keys.close();
    Some(CountRule { field: field?, limit })
}

fn late(cx: &Context<'_>, node: &Node) -> Option<LateRule> {
    if node.mapping().is_none() {
        return Some(LateRule { after: cx.lasting(node)?, share: LATE_SHARE, span: node.span });
    }
    let keys = Keys::open(cx, node, Place::Actor, "`late`", &[LATE])?;
    let after = keys.get("after").and_then(|node| cx.lasting(node));
    let share = keys.get("share").and_then(|node| limiting_share(cx, node)).unwrap_or(LATE_SHARE);
    keys.close();
    Some(LateRule { after: after?, share, span: node.span })
}

fn band(cx: &Context<'_>, node: &Node) -> Option<BandRule> {
    let price = || Spanned::new(PRICE.to_owned(), node.span);
    if node.mapping().is_none() {
        return Some(BandRule { field: price(), within: limiting_share(cx, node)?, median_of: MEDIAN_OF });
    }
    let keys = Keys::open(cx, node, Place::Actor, "`price_band`", &[BAND])?;
    let field = keys.get("field").and_then(|node| cx.nonempty(node)).unwrap_or_else(price);
    let within = keys.get("within").and_then(|node| limiting_share(cx, node));
    let median_of = keys.get("median_of").and_then(|node| cx.count(node, 3..=1024)).unwrap_or(MEDIAN_OF);
    keys.close();
    Some(BandRule { field, within: within?, median_of })
}

fn crossed(cx: &Context<'_>, node: &Node) -> Option<CrossedRule> {
    let keys = Keys::open(cx, node, Place::Actor, "`crossed`", &[CROSSED])?;
    let bid = keys.get("bid").and_then(|node| cx.nonempty(node));
    let ask = keys.get("ask").and_then(|node| cx.nonempty(node));
    let limit = keys.get("limit").and_then(|node| cx.count(node, 1..=1_000_000)).unwrap_or(1);
    keys.close();
    Some(CrossedRule { bid: bid?, ask: ask?, limit })
}

fn frozen(cx: &Context<'_>, node: &Node) -> Option<FrozenRule> {
    if node.mapping().is_none() {
        return Some(FrozenRule { field: cx.nonempty(node)?, rows: None, lasting: Some(FROZEN_FOR) });
    }
    let keys = Keys::open(cx, node, Place::Actor, "`frozen`", &[FROZEN])?;
    let field = keys.get("field").and_then(|node| cx.nonempty(node));
    let rows = keys.get("rows").and_then(|node| cx.count(node, 2..=1_000_000_000));
    let lasting = keys.get("for").and_then(|node| cx.lasting(node));
    keys.close();
    let lasting = lasting.or_else(|| rows.is_none().then_some(FROZEN_FOR));
    Some(FrozenRule { field: field?, rows, lasting })
}

fn nulls(cx: &Context<'_>, node: &Node) -> Vec<(Spanned<String>, f64)> {
    let Some(mapping) = node.mapping() else {
        return cx
            .wrong_type(node, "a mapping of fields to shares, such as `{ side: 5% }`")
            .unwrap_or_default();
    };
    if mapping.entries.len() > NULLS_MAX {
        cx.out_of_range(node, "at most 64 fields can be counted");
    }
    let entries = mapping.entries.iter();
    entries.filter_map(|entry| Some((entry.key.clone(), limiting_share(cx, &entry.value)?))).collect()
}
