//! The value of an expression and the field it is for: that the one can ever become the other.

use super::infer::{Inference, Type};
use super::scope::Scope;
use super::types::{Types, becomes};
use crate::diagnostic::{Code, Diagnostic};
use crate::lower::{Context, Expression, Term, TermKind, accepts};
use crate::model::{Field, FieldType};

/// Checks what `expression` gives, which is of the types `found`.
pub(super) fn check(
    cx: &Context<'_>,
    scope: &Scope<'_>,
    field: &Field,
    expression: &Expression,
    found: Type,
) {
    let fitting = Fitting { cx, scope, field, secret: expression.secret };
    // A value that is written out is read by the rules of a default.
    if let (Some(text), true) = (written(&expression.term), field.map.is_empty()) {
        if !accepts(field, &text) {
            fitting.report(&expression.term, found.of);
        }
        return;
    }
    fitting.branch(&expression.term, found.of);
}

struct Fitting<'a> {
    cx: &'a Context<'a>,
    scope: &'a Scope<'a>,
    field: &'a Field,
    secret: bool,
}

impl Fitting<'_> {
    /// Each side of `? :` by itself: one that never fits is a mistake, though the other one fits.
    fn branch(&self, term: &Term, found: Types) {
        if let TermKind::Conditional(parts) = &term.kind {
            let before = self.cx.found();
            for side in &parts[1..] {
                // A side that is null on purpose rejects the row, or leaves the field out.
                let found = Inference::silent(self.cx, self.scope, self.secret).of(side).of;
                if !found.present().is_empty() {
                    self.branch(side, found);
                }
            }
            if self.cx.found() > before || !found.present().is_empty() {
                return;
            }
        }
        let present = found.present();
        let fills = match present.is_empty() {
            true => self.field.optional || self.field.default.is_some(),
            false => present.meets(becomes(self.field.kind, !self.field.map.is_empty())),
        };
        let literal = written(term).filter(|_| self.field.map.is_empty());
        if !fills || literal.is_some_and(|text| !accepts(self.field, &text)) {
            self.report(term, found);
        }
    }

    fn report(&self, term: &Term, found: Types) {
        let field = self.field;
        let name = &field.name.value;
        let message = match found.present().is_empty() {
            true => format!("`{name}` is required, and this is always null"),
            false if !field.map.is_empty() => {
                format!("`map` of `{name}` compares texts, and this is {}", found.words())
            }
            false => format!("`{name}` is {}, and this never becomes one", field.kind),
        };
        let finding = Diagnostic::error(Code::UnfitExpression, term.span, message).label(found.words());
        self.cx.report(finding.also(field.name.span, "the field").help(help(field, found)));
    }
}

fn help(field: &Field, found: Types) -> &'static str {
    let is = |types: Types| found.meets(types);
    match field.kind {
        _ if found.present().is_empty() => "make it `optional: true`, or give it a `default`",
        _ if is(Types::LIST) => "no field holds a list: take one element (`[0]`), or ask something of it",
        FieldType::Int64 if is(Types::BOOL) => "write `.. ? 1 : 0`",
        FieldType::Bool => "compare it: `.. == ..`; or convert text with `bool(..)`",
        _ if is(Types::DURATION) => "take its parts: `.getSeconds()`, `.getMilliseconds()`",
        FieldType::Int64 | FieldType::Timestamp if is(Types::DOUBLE) => "cut it to a whole number: `int(..)`",
        FieldType::Int64 if is(Types::TIME) => "write `int(..)` for whole seconds since 1970",
        FieldType::Json if is(Types::DOUBLE | Types::TIME) => "write it as text: `string(..)`",
        FieldType::Timestamp => {
            "a timestamp comes of RFC 3339 text, of a number by `unit`, or of `timestamp(..)`"
        }
        _ => "convert it, or change the field's type",
    }
}

/// What was written out, as its text.
fn written(term: &Term) -> Option<String> {
    match &term.kind {
        TermKind::Bool(value) => Some(value.to_string()),
        TermKind::Int(value) => Some(value.to_string()),
        TermKind::Number(value) => Some(value.to_string()),
        TermKind::Text(value) => Some(value.clone()),
        _ => None,
    }
}
