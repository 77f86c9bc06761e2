//! What messages are written in.

use crate::Spanned;
use std::path::PathBuf;

/// The word after `format:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    #[default]
    Json,
    /// RFC 4180, each line a row.
    Csv,
    /// Avro's binary encoding.
    Avro,
    /// Protocol Buffers.
    Protobuf,
}

/// A format with what has to be known to read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Coding {
    /// Each message says all there is to know.
    #[default]
    Json,
    /// By columns.
    Csv(Csv),
    /// By the schema in a file, or the one whose id each message begins with.
    Avro {
        /// The file; `None` = the registry.
        schema: Option<Spanned<PathBuf>>,
    },
    /// By the schema whose id each message begins with.
    Protobuf,
}

impl Coding {
    /// Its word.
    pub fn format(&self) -> Format {
        match self {
            Coding::Json => Format::Json,
            Coding::Csv(_) => Format::Csv,
            Coding::Avro { .. } => Format::Avro,
            Coding::Protobuf => Format::Protobuf,
        }
    }

    /// Whether schemas come from the registry.
    pub fn needs_registry(&self) -> bool {
        matches!(self, Coding::Avro { schema: None } | Coding::Protobuf)
    }
}

/// How lines of text are cut into cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csv {
    /// Their names, in order; empty = a line is a list.
    pub columns: Vec<Spanned<String>>,
    /// What is between two cells: an ASCII character that ends no line.
    pub delimiter: u8,
    /// What a cell may stand in; `None` = nothing does.
    pub quote: Option<u8>,
}
