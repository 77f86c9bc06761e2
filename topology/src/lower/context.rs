//! What every step of lowering shares: the source, the environment, the findings, and the expressions parsed so far.

use super::expression::{Expression, Parsed};
use crate::diagnostic::Diagnostic;
use crate::{Env, Source, Span};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Shared by reference through all of lowering and checking.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a Source,
    pub(crate) env: &'a Env<'a>,
    found: RefCell<Vec<Diagnostic>>,
    expressions: RefCell<HashMap<Span, Rc<Expression>>>,
    doubtful: RefCell<HashSet<Span>>,
    pub(super) parsed: RefCell<HashMap<String, Rc<Parsed>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(source: &'a Source, env: &'a Env<'a>) -> Self {
        Self {
            source,
            env,
            found: RefCell::default(),
            expressions: RefCell::default(),
            doubtful: RefCell::default(),
            parsed: RefCell::default(),
        }
    }

    /// Notes a finding.
    pub(crate) fn report(&self, diagnostic: Diagnostic) {
        self.found.borrow_mut().push(diagnostic);
    }

    /// How many findings there are so far.
    pub(crate) fn found(&self) -> usize {
        self.found.borrow().len()
    }

    /// Keeps a parsed expression for the checks.
    pub(crate) fn keep(&self, span: Span, expression: Expression) {
        self.expressions.borrow_mut().insert(span, Rc::new(expression));
    }

    /// The parsed form of an expression of the model; none for one that did not parse or was not written.
    pub(crate) fn expression(&self, span: Span) -> Option<Rc<Expression>> {
        self.expressions.borrow().get(&span).cloned()
    }

    /// Remembers that what was declared at `span` holds a neutral value in place of a refused one.
    pub(crate) fn doubt(&self, span: Span) {
        self.doubtful.borrow_mut().insert(span);
    }

    /// Whether a rule has to be silent about what was declared at `span`.
    pub(crate) fn is_doubtful(&self, span: Span) -> bool {
        self.doubtful.borrow().contains(&span)
    }

    /// All findings.
    pub(crate) fn into_found(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }
}
