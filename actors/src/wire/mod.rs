//! Formats other than JSON: the bytes of a message become a [`Draft`](crate::json::Draft) of what the topology names.
//!
//! A decoder walks the bytes once. What no path or condition asks for is passed over without being looked at more than
//! its length needs; what is asked for is written as JSON with its tape, so that paths, cases, `explode` and conditions
//! mean the same in every format. [`Wanted`] says what is asked for.
//! Deliberately absent: where schemas come from ([`crate::registry`]), and what becomes of a message that is refused.

pub mod avro;
mod bytes;
pub mod csv;
mod decimal;
pub mod header;
pub mod protobuf;
mod time;
mod wanted;

pub use crate::json::{Fault, FaultKind};
pub use wanted::Wanted;

/// A schema as a registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaText {
    /// Its language.
    pub kind: SchemaKind,
    /// It.
    pub text: String,
    /// What it refers to, by name; each behind all that it needs itself.
    pub references: Vec<(String, String)>,
}

/// The language of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// JSON, as Avro's specification has it.
    Avro,
    /// A `.proto` file.
    Protobuf,
    /// One that is not read here.
    Other(String),
}

impl SchemaKind {
    /// As the registry calls it.
    pub fn word(&self) -> &str {
        match self {
            SchemaKind::Avro => "AVRO",
            SchemaKind::Protobuf => "PROTOBUF",
            SchemaKind::Other(word) => word,
        }
    }
}

/// A message that breaks the rules of its format at `at`.
pub(crate) fn broken(at: usize, rule: &'static str) -> Fault {
    Fault { at, kind: FaultKind::Syntax(rule) }
}
