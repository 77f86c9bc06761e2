//! The topology language: text in, a typed topology and its diagnostics out.

pub mod model;
mod span;

pub use span::{Span, Spanned};
