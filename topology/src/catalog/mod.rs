//! The list of what may be written: every part of a file, every kind of actor, every key, with its type, default and a sentence.
//!
//! Invariant: lowering reads exactly the keys listed here; a test asserts it for every part. Schema, completion and
//! reference pages are made from this list, so they cannot say anything else.

mod actor;
mod file;
mod foreign;
mod gate;
mod kinds;
mod test;

pub use actor::COMMON;
pub use actor::LINK;
pub use file::{BACKOFF, CONNECTIONS, FILE, KAFKA, REDIS, REGISTRY, SASL, SUPERVISOR, TIMESCALE, TLS};
pub use foreign::{FOREIGN, Foreign, Place};
pub(crate) use foreign::{our_kind, our_word, ours};
pub use gate::{BAND, CROSSED, FROZEN, GAP, LATE, OVERRIDE, OVERRIDE_RULES, QUALITY_GATE, REPEAT, RULES};
pub use kinds::{AVRO, CASE, CASE_FIELD, CSV, EVENT_TIME, EXPORT, FIELD, FLUSH, KINDS, ROLLUP};
pub use test::{EXPECT, FAULT, LEDGER, LETTER, RECORD, ROW, SEND, SINK_EXPECT, TABLE, TEST};

/// Where a kind stands in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Gives messages, reads nothing.
    Source,
    /// Reads messages, gives rows.
    Transform,
    /// Reads rows, gives verdicts on them.
    Gate,
    /// Reads rows.
    Sink,
    /// Stands apart: has no edge.
    None,
}

/// A kind of actor.
#[derive(Clone, Copy, Debug)]
pub struct KindEntry {
    /// The word after `kind:`.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Where it stands.
    pub port: Port,
    /// Its own keys, beside the [`COMMON`] ones.
    pub keys: &'static [Key],
    /// Whether this version runs it.
    pub built: bool,
}

/// A key and what may follow it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What follows.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// What holds without it, in words or as it would be written.
    pub default: Option<&'static str>,
    /// One sentence.
    pub doc: &'static str,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Any text.
    Text,
    /// A name: letters, digits, `_`, `-`.
    Name,
    /// A path of the file system.
    File,
    /// An address that may hold a password.
    Secret,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// A number greater than zero.
    Positive,
    /// A share, `5%` or `0.05`.
    Share,
    /// `true` or `false`.
    Bool,
    /// `50ms`, `30s`, `1h30m`, `1d`.
    Duration,
    /// `16MiB`, `64kB`, or bytes.
    Size,
    /// `10GiB/d`: a size for each hour or day.
    Growth,
    /// A duration, or a line of cron.
    Beat,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A CEL expression.
    Expression,
    /// A JSON pointer.
    Pointer,
    /// A type of the row.
    FieldType,
    /// A text with `{field}` in it.
    Template,
    /// The name of a field of the input.
    Field,
    /// The name of an actor.
    Actor,
    /// A list, or one alone.
    ListOf(&'static Shape),
    /// A mapping of free names.
    MapOf(&'static Shape),
    /// A mapping with these keys.
    Part(&'static [Key]),
    /// Either of two.
    Either(&'static Shape, &'static Shape),
    /// An RFC 3339 time, or one of these words.
    TimeOr(&'static [&'static str]),
    /// Anything; read by another part of the program.
    Opaque,
}

impl Key {
    /// A key that must be there.
    pub const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: true, default: None, doc }
    }

    /// A key that may be left out.
    pub const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, default: None, doc }
    }

    /// A key with a default.
    pub const fn default(name: &'static str, shape: Shape, default: &'static str, doc: &'static str) -> Self {
        Self { name, shape, required: false, default: Some(default), doc }
    }
}

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static KindEntry> {
    KINDS.iter().find(|kind| kind.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_kind_repeats_a_key_and_every_key_is_documented() {
        for kind in KINDS {
            let mut names = BTreeSet::new();
            for key in COMMON.iter().chain(kind.keys) {
                assert!(names.insert(key.name), "{}.{} twice", kind.name, key.name);
                assert!(!key.doc.is_empty() && key.doc.ends_with('.'), "{}.{}", kind.name, key.name);
            }
        }
    }
}
