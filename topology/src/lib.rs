//! The topology language: text in, a typed topology and its diagnostics out.
//!
//! [`load`] goes in four steps, each noting what is wrong and going on: `syntax` turns YAML into a tree in which
//! everything knows where it was written; `interpolate` replaces `${VAR}` scalar by scalar; `lower` gives the typed
//! [`model`], reading only keys that the [`catalog`] lists; `check` judges what no part can see alone. A topology comes
//! out only if nothing is wrong with it, and everything that is wrong comes out in one run.
//!
//! [`to_yaml`] writes a topology as a file again. [`plan`] compares two topologies and says what the difference would do to a running system.
//!
//! Deliberately absent: files, the process's environment, clocks, and anything that runs. `docs/language.md` describes
//! the language, `docs/codes` each finding.

pub mod bounds;
pub mod catalog;
mod check;
pub mod diagnostic;
pub mod drawing;
pub mod explain;
mod graph;
mod interpolate;
pub mod limits;
mod load;
mod lower;
pub mod manifest;
pub mod model;
pub mod placement;
pub mod plan;
mod render;
pub mod schema;
pub mod settings;
mod source;
mod span;
mod syntax;
mod unconnected;
pub mod xml;

pub use diagnostic::{Code, Diagnostic, Severity, has_errors, point_at, sorted, to_json, to_sarif, to_text};
pub use load::{load, load_unconnected};
pub use render::to_yaml;
pub use settings::{NodeSettings, load_settings};
pub use source::{Position, Source, SourceMap};
pub use span::{Span, Spanned};

/// The environment: the value of a variable, if it is set.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A duration as the language writes it: `50ms`, `5s`, `1h30m`. For flags that take one.
pub fn duration(text: &str) -> Option<std::time::Duration> {
    lower::quantity::duration(text).ok()
}

/// Whether a text may name a topology, an actor or a supervisor.
pub fn is_name(text: &str) -> bool {
    lower::is_name(text)
}

#[cfg(test)]
pub(crate) mod tests;
