//! CEL expressions: parsed once, to know that they parse; the terms are kept for the checks.
//!
//! Deliberately absent: evaluation and types. Consumers of the model parse the text again into their own form.

use super::Context;
use super::locate::{self, Places};
use super::term::{Term, terms};
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::{EXPRESSION_BYTES_MAX, EXPRESSION_STEPS_MAX};
use crate::model::Expr;
use crate::syntax::{Node, in_expression, shortened, tagged_expression};
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::Parser;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// The parser's tree, and where its nodes are in the text.
pub(super) type Parsed = (IdedExpr, SourceInfo);

/// An expression that parses.
#[derive(Debug)]
pub(crate) struct Expression {
    /// Its parts.
    pub(crate) term: Term,
    /// Whether a part of it came from the environment: none of its words is shown.
    pub(crate) secret: bool,
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
        match self.parsed(&text.value) {
            Ok(parsed) => {
                let (ast, info) = &*parsed;
                let (term, unavailable) = terms(&text.value, ast, info, &Places::of(self.source, node));
                for (span, message, help) in unavailable {
                    self.report(Diagnostic::error(Code::NotAvailable, span, message).help(help));
                }
                let secret = node.scalar().is_some_and(|scalar| scalar.interpolated);
                self.keep(node.span, Expression { term, secret });
                Some(Expr { text: text.value, span: node.span })
            }
            Err(fault) => {
                self.report(self.no_expression(node, &text.value, fault));
                None
            }
        }
    }

    /// A text is parsed once, however often the file has it: of all of `check`, parsing expressions takes longest.
    fn parsed(&self, text: &str) -> Result<Rc<Parsed>, Fault> {
        if let Some(parsed) = self.parsed.borrow().get(text) {
            return Ok(parsed.clone());
        }
        let parsed = Rc::new(parse(text)?);
        self.parsed.borrow_mut().insert(text.to_owned(), parsed.clone());
        Ok(parsed)
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

fn parse(text: &str) -> Result<Parsed, Fault> {
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
