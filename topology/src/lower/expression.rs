//! CEL expressions: parsed once, to know that they parse and what they name.
//!
//! Deliberately absent: evaluation and types. Consumers of the model parse the text again into their own form.

use super::{Context, locate};
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_STEPS_MAX};
use crate::model::Expr;
use crate::syntax::{Node, in_expression, shortened, tagged_expression};
use crate::{Span, Spanned};
use cel::common::ast::{EntryExpr, Expr as Ast, IdedEntryExpr, IdedExpr, LiteralValue, SourceInfo};
use cel::parser::Parser;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an expression names.
#[derive(Debug, Default)]
pub(crate) struct Expression {
    /// Names that no macro binds, in the order met.
    pub(crate) identifiers: Vec<Spanned<String>>,
    /// Functions and methods called.
    pub(crate) calls: Vec<Spanned<String>>,
}

impl Context<'_> {
    /// An expression that parses.
    pub(crate) fn expr(&self, node: &Node) -> Option<Expr> {
        if node.tag.as_ref().is_some_and(|tag| tag.text.starts_with('!')) {
            self.doubt(node.span);
            self.report(tagged_expression(self.source, node));
            return None;
        }
        let text = self.text(node)?;
        if let Some(message) = too_large(&text.value) {
            self.report(
                Diagnostic::error(Code::TooLarge, node.span, message)
                    .help("say it in several fields, or cases"),
            );
            return None;
        }
        match parse(&text.value) {
            Ok((ast, info)) => {
                let mut names =
                    Names { cx: self, node, info: &info, bound: Vec::new(), found: Expression::default() };
                names.visit(&ast);
                self.keep(node.span, names.found);
                Some(Expr { text: text.value, span: node.span })
            }
            Err(fault) => {
                self.report(self.no_expression(node, &text.value, fault));
                None
            }
        }
    }

    fn no_expression(&self, node: &Node, text: &str, fault: Fault) -> Diagnostic {
        if let Some(accident) = in_expression(self.source, node) {
            return accident;
        }
        let span = match fault.at {
            Some(at) => locate::within(self.source, node, at.min(text.len())..(at + 1).min(text.len())),
            None => node.span,
        };
        let secret = node.scalar().is_some_and(|scalar| scalar.interpolated);
        let why = if secret { String::new() } else { format!(": {}", shortened(&fault.message)) };
        Diagnostic::error(Code::NotAnExpression, span, format!("the expression does not parse{why}")).help(
            "it is CEL: `msg.price > 0 && msg.kind == \"trade\"`; the page on expressions has the functions",
        )
    }
}

/// Refuses what could exhaust the stack of the parser, or of a consumer's. Texts within the expression count too: where
/// one ends is known only after parsing.
fn too_large(text: &str) -> Option<String> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Some(format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes"));
    }
    let steps = text.bytes().filter(|byte| b".[({?!+-*/%&|<=>,".contains(byte)).count();
    (steps > EXPRESSION_STEPS_MAX)
        .then(|| format!("an expression has at most {EXPRESSION_STEPS_MAX} operators, dots and brackets"))
}

struct Fault {
    /// Byte offset in the text, if known.
    at: Option<usize>,
    message: String,
}

fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Fault> {
    // The parser is generated code; a panic in it is a text that does not parse, not the end of this program.
    match catch_unwind(AssertUnwindSafe(|| Parser::default().parse_with_source_info(text))) {
        Ok(Ok(parsed)) => Ok(parsed),
        Ok(Err(errors)) => Err(errors.errors.first().map_or_else(
            || Fault { at: None, message: "no reason given".to_owned() },
            |error| Fault { at: offset(text, error.pos), message: in_plain_words(&error.msg) },
        )),
        Err(_) => Err(Fault { at: None, message: "the parser gave up".to_owned() }),
    }
}

/// The generated parser speaks of its grammar; an author wants the character that is too much.
fn in_plain_words(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default().trim_start_matches("Syntax error: ");
    let token = message.split_once('\'').and_then(|(_, rest)| rest.split_once('\'')).map(|(token, _)| token);
    match token {
        Some("<EOF>") => "it ends too early".to_owned(),
        Some(token) if message.starts_with("token recognition error") => {
            format!("`{token}` is no part of CEL")
        }
        Some(token) if message.contains("input") => format!("`{token}` is not expected here"),
        _ => message.to_owned(),
    }
}

/// A line from 1 and a column from 1, in characters, as a byte offset.
fn offset(text: &str, (line, column): (isize, isize)) -> Option<usize> {
    let (line, column) =
        (usize::try_from(line).ok()?.checked_sub(1)?, usize::try_from(column).ok()?.saturating_sub(1));
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at))
}

/// Collects what an expression names, leaving out what its macros bind.
struct Names<'a> {
    cx: &'a Context<'a>,
    node: &'a Node,
    info: &'a SourceInfo,
    bound: Vec<String>,
    found: Expression,
}

impl Names<'_> {
    fn visit(&mut self, expr: &IdedExpr) {
        match &expr.expr {
            Ast::Literal(LiteralValue::Bytes(_)) => self.unavailable("bytes literals"),
            Ast::Unspecified | Ast::Literal(_) => {}
            Ast::Ident(name) => self.identifier(name, expr.id),
            Ast::Select(select) => self.visit(&select.operand),
            Ast::List(list) => list.elements.iter().for_each(|element| self.visit(element)),
            Ast::Map(map) => {
                self.unavailable("map literals");
                map.entries.iter().for_each(|entry| self.entry(entry));
            }
            Ast::Struct(message) => {
                self.unavailable("message literals");
                message.entries.iter().for_each(|entry| self.entry(entry));
            }
            Ast::Call(call) => {
                self.call(&call.func_name, expr.id);
                call.target.iter().for_each(|target| self.visit(target));
                call.args.iter().for_each(|argument| self.visit(argument));
            }
            Ast::Comprehension(comprehension) => {
                self.visit(&comprehension.iter_range);
                self.visit(&comprehension.accu_init);
                let names = [
                    Some(&comprehension.iter_var),
                    comprehension.iter_var2.as_ref(),
                    Some(&comprehension.accu_var),
                ];
                let before = self.bound.len();
                self.bound.extend(names.into_iter().flatten().cloned());
                self.visit(&comprehension.loop_cond);
                self.visit(&comprehension.loop_step);
                self.visit(&comprehension.result);
                self.bound.truncate(before);
            }
        }
    }

    fn entry(&mut self, entry: &IdedEntryExpr) {
        match &entry.expr {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }

    /// CEL has it; rows and messages have no value for it.
    fn unavailable(&self, what: &str) {
        let message = format!("{what} are CEL, but no value here is one");
        self.cx.report(
            Diagnostic::error(Code::NotAnExpression, self.node.span, message)
                .help("values are text, numbers, bools, times, lists and what the message holds"),
        );
    }

    fn identifier(&mut self, name: &str, id: u64) {
        if name.starts_with('@') || self.bound.iter().any(|bound| bound == name) {
            return;
        }
        let span = self.span(id, name);
        self.found.identifiers.push(Spanned::new(name.to_owned(), span));
    }

    fn call(&mut self, name: &str, id: u64) {
        // Operators are calls too; their names are no words.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            || name.contains("_?_")
            || name == "_"
        {
            return;
        }
        let name = Spanned::new(name.to_owned(), self.span(id, name));
        self.found.calls.push(name);
    }

    /// Where the word `name` of the node `id` stands: at the recorded offset, or just before or after it.
    fn span(&self, id: u64, name: &str) -> Span {
        let text = self.node.scalar().map(|scalar| scalar.text.as_str()).unwrap_or_default();
        let range = self.info.offset_for(id).and_then(|(start, _)| word_near(text, start as usize, name));
        range.map_or(self.node.span, |range| locate::within(self.cx.source, self.node, range))
    }
}

/// The parser records for a call the place of its parenthesis, for a name its own, counted in characters.
fn word_near(text: &str, start: usize, name: &str) -> Option<Range<usize>> {
    let at = text.char_indices().nth(start).map_or(text.len(), |(at, _)| at);
    if text[at..].starts_with(name) {
        return Some(at..at + name.len());
    }
    let before = text[..at].trim_end();
    before.ends_with(name).then(|| before.len() - name.len()..before.len())
}
