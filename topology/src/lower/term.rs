//! The terms of an expression: the parser's tree in the evaluator's words, in which everything knows where it was written.
//!
//! Macros are loops again, a chain is steps, and what the evaluator does not have is refused here, once.
//! Deliberately absent: names and types; the checks look at those.

use super::brackets::Brackets;
use super::locate::Places;
use crate::source::floor_char_boundary;
use crate::{Span, Spanned};
use cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr as Ast, IdedExpr, LiteralValue, SourceInfo, operators as op,
};
use std::ops::Range;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Term {
    pub(crate) span: Span,
    pub(crate) kind: TermKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TermKind {
    Null,
    Bool(bool),
    Int(i64),
    /// Written with a point or an exponent.
    Number(f64),
    Text(String),
    Name(String),
    /// `a.b`, `a["b"]`.
    Member(Box<Term>, Spanned<String>),
    /// `a[0]`, `a[b]`.
    Index(Box<[Term; 2]>),
    /// `has(a.b)`.
    Has(Box<Term>),
    List(Vec<Term>),
    Not(Box<Term>),
    Negate(Box<Term>),
    /// `&&` or `||`.
    Logic(&'static str, Box<[Term; 2]>),
    Conditional(Box<[Term; 3]>),
    Compare(&'static str, Box<[Term; 2]>),
    In(Box<[Term; 2]>),
    Arithmetic(&'static str, Box<[Term; 2]>),
    Call {
        name: Spanned<String>,
        target: Option<Box<Term>>,
        arguments: Vec<Term>,
    },
    Loop(Box<Loop>),
    /// What was refused, and is said already.
    Refused,
}

/// A macro over a list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loop {
    pub(crate) kind: LoopKind,
    pub(crate) range: Term,
    /// The name of an element.
    pub(crate) name: String,
    /// Of `filter`, and of a `map` of three parts.
    pub(crate) condition: Option<Term>,
    pub(crate) body: Term,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopKind {
    /// `all`, `exists`, `exists_one`: whether the body holds.
    Question,
    /// `map`, `filter`: what the body gives.
    Collect,
}

/// Something of CEL that rows and messages have no use for: where, what, and what to write.
pub(super) type Unavailable = (Span, String, &'static str);

/// The tree of `ast`, and what is refused of it.
pub(super) fn terms(
    text: &str,
    ast: &IdedExpr,
    info: &SourceInfo,
    places: &Places,
) -> (Term, Vec<Unavailable>) {
    let mut reading = Reading { text, info, places, brackets: Brackets::of(text), refused: Vec::new() };
    let (term, _) = reading.term(ast);
    (term, reading.refused)
}

struct Reading<'a> {
    text: &'a str,
    info: &'a SourceInfo,
    places: &'a Places,
    brackets: Brackets,
    refused: Vec<Unavailable>,
}

/// A term, and its bytes in the text.
type Placed = (Term, Range<usize>);

impl Reading<'_> {
    fn term(&mut self, expr: &IdedExpr) -> Placed {
        let own = self.token(expr.id);
        match &expr.expr {
            Ast::Literal(literal) => self.literal(literal, own),
            Ast::Ident(name) => self.placed(own, TermKind::Name(name.clone())),
            Ast::Select(select) => {
                let (operand, before) = self.term(&select.operand);
                if select.test {
                    let range = self.called(own);
                    let member = self.word_between(before.end..range.end, &select.field);
                    let span = self.places.span(before.start..member.end);
                    let name = Spanned::new(select.field.clone(), self.places.span(member));
                    let of = Term { span, kind: TermKind::Member(Box::new(operand), name) };
                    return self.placed(range, TermKind::Has(Box::new(of)));
                }
                let member = self.word_between(own.end..self.text.len(), &select.field);
                let name = Spanned::new(select.field.clone(), self.places.span(member.clone()));
                self.placed(before.start..member.end, TermKind::Member(Box::new(operand), name))
            }
            Ast::List(list) => {
                let range = own.start..self.brackets.end_of(own.start).unwrap_or(own.end);
                let elements = list.elements.iter().map(|element| self.term(element).0).collect();
                self.placed(range, TermKind::List(elements))
            }
            Ast::Call(call) => self.call(call, own),
            Ast::Comprehension(fold) => self.fold(fold, own),
            Ast::Map(_) => self.refuse(own, "map literals are CEL, but no value here is one", VALUES),
            Ast::Struct(_) => self.refuse(own, "message literals are CEL, but no value here is one", VALUES),
            Ast::Unspecified => self.placed(own, TermKind::Refused),
        }
    }

    fn placed(&self, range: Range<usize>, kind: TermKind) -> Placed {
        let range = self.brackets.balanced(range);
        (Term { span: self.places.span(range.clone()), kind }, range)
    }

    fn refuse(&mut self, range: Range<usize>, what: &str, instead: &'static str) -> Placed {
        let placed = self.placed(range, TermKind::Refused);
        self.refused.push((placed.0.span, what.to_owned(), instead));
        placed
    }

    fn literal(&mut self, literal: &LiteralValue, own: Range<usize>) -> Placed {
        // The sign of a number is no part of its token.
        let signed = || {
            let before = self.text[..own.start].trim_end();
            if before.ends_with('-') { before.len() - 1..own.end } else { own.clone() }
        };
        match literal {
            LiteralValue::Null => self.placed(own, TermKind::Null),
            LiteralValue::Boolean(value) => self.placed(own, TermKind::Bool(*value.inner())),
            LiteralValue::Int(value) => {
                let range = if *value.inner() < 0 { signed() } else { own };
                self.placed(range, TermKind::Int(*value.inner()))
            }
            LiteralValue::UInt(value) => match i64::try_from(*value.inner()) {
                Ok(value) => self.placed(own, TermKind::Int(value)),
                Err(_) => self.refuse(
                    own,
                    "this number is beyond 64 signed bits",
                    "write it as a decimal: `decimal(\"..\")`",
                ),
            },
            LiteralValue::Double(value) => {
                let range = if *value.inner() < 0.0 { signed() } else { own };
                self.placed(range, TermKind::Number(*value.inner()))
            }
            LiteralValue::String(value) => self.placed(own, TermKind::Text(value.inner().to_owned())),
            LiteralValue::Bytes(_) => {
                self.refuse(own, "bytes literals are CEL, but no value here is one", VALUES)
            }
        }
    }

    fn call(&mut self, call: &CallExpr, own: Range<usize>) -> Placed {
        if call.target.is_none()
            && let Some(placed) = self.operator(call, own.clone())
        {
            return placed;
        }
        let target = call.target.as_ref().map(|target| self.term(target));
        let arguments = call.args.iter().map(|argument| self.term(argument).0).collect();
        let range = self.called(own.clone());
        let name = range.start..self.text[..own.start].trim_end().len().max(range.start);
        let name = Spanned::new(call.func_name.clone(), self.places.span(name));
        let start = target.as_ref().map_or(range.start, |(_, before)| before.start);
        let target = target.map(|(target, _)| Box::new(target));
        self.placed(start..range.end, TermKind::Call { name, target, arguments })
    }

    fn operator(&mut self, call: &CallExpr, own: Range<usize>) -> Option<Placed> {
        let name = call.func_name.as_str();
        match call.args.as_slice() {
            [of] => {
                let make = match name {
                    op::LOGICAL_NOT => TermKind::Not,
                    op::NEGATE => TermKind::Negate,
                    _ => return None,
                };
                let (of, range) = self.term(of);
                Some(self.placed(own.start..range.end, make(Box::new(of))))
            }
            [of, step] if name == op::INDEX => {
                let end = self.brackets.end_of(own.start).unwrap_or(own.end);
                let (of, before) = self.term(of);
                let (step, _) = self.term(step);
                let kind = match step.kind {
                    TermKind::Text(member) => TermKind::Member(Box::new(of), Spanned::new(member, step.span)),
                    _ => TermKind::Index(Box::new([of, step])),
                };
                Some(self.placed(before.start..end, kind))
            }
            [_, _] if matches!(name, op::OPT_INDEX | op::OPT_SELECT) => Some(self.refuse(
                own,
                "optional access is not needed: what is absent is null",
                "leave the `?` out",
            )),
            [left, right] => {
                let make = binary(name)?;
                let ((left, first), (right, last)) = (self.term(left), self.term(right));
                Some(self.placed(first.start..last.end, make(Box::new([left, right]))))
            }
            [condition, yes, no] if name == op::CONDITIONAL => {
                let ((condition, first), (yes, _), (no, last)) =
                    (self.term(condition), self.term(yes), self.term(no));
                let three = Box::new([condition, yes, no]);
                Some(self.placed(first.start..last.end, TermKind::Conditional(three)))
            }
            _ => None,
        }
    }

    /// A macro, recognised by the step of the fold that the parser writes for it.
    fn fold(&mut self, fold: &ComprehensionExpr, own: Range<usize>) -> Placed {
        let (range, before) = self.term(&fold.iter_range);
        let whole = before.start..self.called(own).end;
        let accumulated = |expr: &IdedExpr| matches!(&expr.expr, Ast::Ident(name) if *name == fold.accu_var);
        let (kind, condition, body) = match step(&fold.loop_step) {
            Some((op::LOGICAL_AND | op::LOGICAL_OR, [held, test])) if accumulated(held) => {
                (LoopKind::Question, None, test)
            }
            Some((op::ADD, [list, element])) if accumulated(list) => (LoopKind::Collect, None, element),
            Some((op::CONDITIONAL, [test, added, kept])) if accumulated(kept) => match step(added) {
                Some((op::ADD, [_, one])) if matches!(one.expr, Ast::Literal(_)) => {
                    (LoopKind::Question, None, test)
                }
                Some((op::ADD, [_, element])) => (LoopKind::Collect, Some(test), element),
                _ => return self.refuse(whole, "this macro is not available", LOOPS),
            },
            _ => return self.refuse(whole, "this macro is not available", LOOPS),
        };
        // The fold adds a list of one element.
        let body = match &body.expr {
            Ast::List(list) if kind == LoopKind::Collect && list.elements.len() == 1 => &list.elements[0],
            _ => body,
        };
        let condition = condition.map(|condition| self.term(condition).0);
        let body = self.term(body).0;
        let found = Loop { kind, range, name: fold.iter_var.clone(), condition, body };
        self.placed(whole, TermKind::Loop(Box::new(found)))
    }

    /// The bytes of the token that the parser recorded for a node: of a call its parenthesis, of a step its dot.
    fn token(&self, id: u64) -> Range<usize> {
        let Some((start, stop)) = self.info.offset_for(id) else { return 0..self.text.len() };
        let start = floor_char_boundary(self.text, start as usize);
        start..floor_char_boundary(self.text, (stop as usize).saturating_add(1)).max(start)
    }

    /// From the word before a parenthesis to the parenthesis that closes it.
    fn called(&self, open: Range<usize>) -> Range<usize> {
        let before = self.text[..open.start].trim_end();
        let word = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        word.len()..self.brackets.end_of(open.start).unwrap_or(open.end)
    }

    fn word_between(&self, within: Range<usize>, word: &str) -> Range<usize> {
        let found = self.text.get(within.clone()).and_then(|text| text.find(word));
        found.map_or(within.start..within.start, |at| within.start + at..within.start + at + word.len())
    }
}

const VALUES: &str = "values are text, numbers, bools, times, lists and what the message holds";
const LOOPS: &str = "there are `all`, `exists`, `exists_one`, `map` and `filter`, each with one name";

fn step(expr: &IdedExpr) -> Option<(&str, &[IdedExpr])> {
    match &expr.expr {
        Ast::Call(call) => Some((call.func_name.as_str(), &call.args)),
        _ => None,
    }
}

fn binary(name: &str) -> Option<impl Fn(Box<[Term; 2]>) -> TermKind> {
    type Make = fn(&'static str, Box<[Term; 2]>) -> TermKind;
    let (make, sign): (Make, &'static str) = match name {
        op::LOGICAL_AND => (TermKind::Logic, "&&"),
        op::LOGICAL_OR => (TermKind::Logic, "||"),
        op::EQUALS => (TermKind::Compare, "=="),
        op::NOT_EQUALS => (TermKind::Compare, "!="),
        op::LESS => (TermKind::Compare, "<"),
        op::LESS_EQUALS => (TermKind::Compare, "<="),
        op::GREATER => (TermKind::Compare, ">"),
        op::GREATER_EQUALS => (TermKind::Compare, ">="),
        op::ADD => (TermKind::Arithmetic, "+"),
        op::SUBSTRACT => (TermKind::Arithmetic, "-"),
        op::MULTIPLY => (TermKind::Arithmetic, "*"),
        op::DIVIDE => (TermKind::Arithmetic, "/"),
        op::MODULO => (TermKind::Arithmetic, "%"),
        op::IN => (|_, sides| TermKind::In(sides), "in"),
        _ => return None,
    };
    Some(move |sides| make(sign, sides))
}
