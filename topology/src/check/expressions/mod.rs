//! Expressions: that they name what is there when they run, and that their values can serve.
//!
//! A finding is made only of what goes wrong for every message: what a message holds is not known, so a value of it
//! fits everywhere. The evaluator's own rules are followed kind by kind: a condition never errs, values of different
//! types are neither equal nor in an order, and arithmetic and conversions that have no result reject the row.

mod arithmetic;
mod fit;
mod functions;
mod infer;
mod scope;
mod types;

use super::Graph;
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, Expression};
use crate::model::{Case, Expr, FieldSource, Kind, Normalizer};
use infer::Inference;
use scope::{Place, Scope};
use types::Types;

pub(super) fn check(cx: &Context<'_>, graph: &Graph<'_>) {
    for (_, normalizer) in graph.normalizers() {
        for case in &normalizer.cases {
            check_case(cx, normalizer, case);
        }
    }
    for draft in graph.drafts {
        let Some((_, rows)) = graph.rows_of(draft) else { continue };
        let scope = |key| Scope { rows, case: None, place: Place::Row, key };
        match draft.actor.as_ref().map(|actor| &actor.kind) {
            Some(Kind::RedisCache(cache)) => {
                if let Some(delete_when) = &cache.delete_when {
                    condition(cx, delete_when, &scope(None), "`delete_when`");
                }
            }
            Some(Kind::QualityGate(gate)) => {
                for one in &gate.overrides {
                    condition(cx, &one.when, &scope(Some(&gate.by)), "`when`");
                }
            }
            _ => {}
        }
    }
}

fn check_case(cx: &Context<'_>, rows: &Normalizer, case: &Case) {
    let scope = |place| Scope { rows, case: Some(case), place, key: None };
    if let Some(when) = &case.when {
        condition(cx, when, &scope(Place::When), "`when`");
    }
    for (index, field) in case.fields.iter().enumerate() {
        let FieldSource::Expr(expr) = &field.source else { continue };
        let Some(expression) = cx.expression(expr.span) else { continue };
        let scope = scope(Place::Field(index));
        let found = inference(cx, &scope, &expression).of(&expression.term);
        if !cx.is_doubtful(field.name.span) {
            fit::check(cx, &scope, field, &expression, found);
        }
    }
    for select in &case.select {
        condition(cx, select, &scope(Place::Row), "`select`");
    }
    for (reason, require) in &case.require {
        condition(cx, require, &scope(Place::Row), &format!("`require` {reason}"));
    }
}

fn inference<'a>(cx: &'a Context<'a>, scope: &'a Scope<'a>, expression: &Expression) -> Inference<'a> {
    Inference::new(cx, scope, expression.secret)
}

/// An expression that decides something.
fn condition(cx: &Context<'_>, expr: &Expr, scope: &Scope<'_>, what: &str) {
    let Some(expression) = cx.expression(expr.span) else { return };
    let found = inference(cx, scope, &expression).of(&expression.term).of;
    if !found.meets(Types::BOOL) {
        cx.report(not_a_condition(expression.term.span, what, found));
    }
}

/// What is never a bool decides nothing: it is not true, whatever the message.
fn not_a_condition(span: crate::Span, what: &str, found: Types) -> Diagnostic {
    let help = match found.present() {
        Types::NONE => "ask for presence with `!= null`",
        of if of.meets(Types::TEXT) => "compare it: `.. == \"text\"`; for presence, `.. != null`",
        of if of.meets(Types::NUMBERS) => "compare it: `.. > 0`; for presence, `.. != null`",
        of if of.meets(Types::LIST) => "ask something of it: `size(..) > 0`, or `.exists(x, ..)`",
        _ => "compare it, or ask for presence with `.. != null`",
    };
    let message = format!("{what} asks for true or false, and this is {}: it is never true", found.words());
    Diagnostic::error(Code::NotACondition, span, message).label(found.words()).help(help)
}
