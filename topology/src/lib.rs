//! The topology language: text in, a typed topology and its diagnostics out.

pub mod catalog;
mod check;
pub mod diagnostic;
mod graph;
mod interpolate;
pub mod limits;
mod load;
mod lower;
pub mod model;
mod source;
mod span;
mod syntax;

pub use diagnostic::{Code, Diagnostic, Severity, has_errors, to_json, to_sarif, to_text};
pub use load::load;
pub use source::{Position, Source, SourceMap};
pub use span::{Span, Spanned};

/// The environment: the value of a variable, if it is set.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

#[cfg(test)]
mod tests;
