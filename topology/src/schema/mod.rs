//! The language, said to others: a JSON Schema for editors and a reference page for people.
//!
//! Invariant: both are made from the [`catalog`](crate::catalog) alone, which lowering is held to, so neither can list
//! a key that is not read or miss one that is. A schema only says what a part looks like by itself; edges, columns and
//! expressions are judged by `check`. Deliberately absent: files; the caller writes the text.

mod json;
mod page;
mod shape;

pub use json::{json, settings_json};
pub use page::markdown;

/// What a key's reader is told: its sentence, and what holds without it.
fn sentence(key: &crate::catalog::Key) -> String {
    match key.default {
        Some(default) if shape::is_written(key.shape, default) => {
            format!("{} Default: `{default}`.", key.doc)
        }
        Some(default) => format!("{} Default: {default}.", key.doc),
        None => key.doc.to_owned(),
    }
}
