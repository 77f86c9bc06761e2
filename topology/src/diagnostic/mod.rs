//! What is wrong with a file: a stable code, where, and what to do about it.
//!
//! Invariant: no message holds a password, nor the text of an address that may hold one.
//! Deliberately absent: printing. The three renderings return text.

mod code;
mod json;
mod nearest;
mod sarif;
mod text;

pub use code::Code;
pub use json::to_json;
pub(crate) use nearest::nearest;
pub use sarif::to_sarif;
pub use text::{point_at, to_text};

use crate::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file runs, though perhaps not as meant.
    Warning,
}

impl Severity {
    /// The word printed.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable; has a page of its own.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// One lowercase sentence.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What is at `span`, in a few words.
    pub primary: Option<String>,
    /// Other places.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding that refuses the file.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message.into())
    }

    /// A finding that does not.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message.into())
    }

    fn new(severity: Severity, code: Code, span: Span, message: String) -> Self {
        Self { code, severity, message, span, primary: None, labels: Vec::new(), help: None }
    }

    /// Says what is at the place itself.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary = Some(text.into());
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Says what to do if there is something to say.
    #[must_use]
    pub fn help_if(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }
}

/// Whether any finding refuses the file.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// In the file's order, each said once, at most [`crate::limits::DIAGNOSTICS_MAX`].
pub fn sorted(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| {
        (a.span.start, a.severity, a.code, a.span.end, &a.message).cmp(&(
            b.span.start,
            b.severity,
            b.code,
            b.span.end,
            &b.message,
        ))
    });
    diagnostics.dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message);
    // An error past the bound must not turn a refused file into an accepted one.
    if diagnostics.len() > crate::limits::DIAGNOSTICS_MAX {
        diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
        diagnostics.truncate(crate::limits::DIAGNOSTICS_MAX);
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    }
    diagnostics
}
