//! `.proto` files, compiled by `protox`.

use crate::wire::bytes::Cursor;
use crate::wire::{Fault, broken};
use prost_reflect::{FileDescriptor, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};
use std::fmt::{self, Display, Formatter};

/// The name under which a schema is compiled; none of its imports has it.
const ROOT: &str = "aqueduct_message.proto";

/// What Confluent's registry lets a schema import without naming it among its references.
const CONFLUENT: [(&str, &str); 2] = [
    (
        "confluent/type/decimal.proto",
        "syntax = \"proto3\"; package confluent.type;\n\
         message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
    ),
    (
        "confluent/meta.proto",
        "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";\n\
         message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }\n\
         extend google.protobuf.FileOptions { Meta file_meta = 1088; }\n\
         extend google.protobuf.MessageOptions { Meta message_meta = 1088; }\n\
         extend google.protobuf.FieldOptions { Meta field_meta = 1088; }\n\
         extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }\n\
         extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }",
    ),
];

/// Most levels of messages within messages that an index may lead through.
const INDEXES_MAX: u64 = 32;

/// A schema that compiles.
#[derive(Clone, Debug)]
pub struct Schema {
    file: FileDescriptor,
}

/// What is wrong with a schema's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFault(String);

impl Schema {
    /// Reads `text`, which may import `references` by their names.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<Self, SchemaFault> {
        let fault = |error: Error| SchemaFault(error.to_string());
        let mut files = ChainFileResolver::new();
        let own = [(ROOT.to_owned(), text.to_owned())];
        files.add(Texts(own.into_iter().chain(references.iter().cloned()).collect()));
        let confluent = CONFLUENT.map(|(name, text)| (name.to_owned(), text.to_owned()));
        files.add(Texts(confluent.into()));
        files.add(GoogleFileResolver::new());
        let mut compiler = Compiler::with_file_resolver(files);
        compiler.open_file(ROOT).map_err(fault)?;
        let pool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(ROOT).expect("invariant: what was compiled is in the pool");
        Ok(Self { file })
    }

    /// The message that `indexes` lead to: the place among those of the file, then among those within it.
    pub fn message(&self, indexes: &[u32]) -> Option<MessageDescriptor> {
        let (first, rest) = indexes.split_first()?;
        let mut message = self.file.messages().nth(*first as usize)?;
        for index in rest {
            // A map's entry is a message only to the compiler.
            let inner = message.child_messages().filter(|inner| !inner.is_map_entry()).nth(*index as usize);
            message = inner?;
        }
        Some(message)
    }
}

impl Display for SchemaFault {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.replace(ROOT, "the schema"))
    }
}

/// Which message of its schema `message` is, said behind the schema's id; and where the message proper begins.
pub fn message_indexes(message: &[u8], skipped: usize) -> Result<(Vec<u32>, usize), Fault> {
    let mut cursor = Cursor::new(message, skipped);
    let count = cursor.zigzag()?;
    // By far the most common: the first message of the file, in short.
    if count == 0 {
        return Ok((vec![0], cursor.at()));
    }
    if !(1..=INDEXES_MAX as i64).contains(&count) {
        return Err(broken(skipped, "the indexes of the message are too many"));
    }
    let mut indexes = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let at = cursor.at();
        let index =
            u32::try_from(cursor.zigzag()?).map_err(|_| broken(at, "an index of the message is no index"))?;
        indexes.push(index);
    }
    Ok((indexes, cursor.at()))
}

/// Files by their names.
struct Texts(Vec<(String, String)>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, text)) => File::from_source(name, text),
            None => Err(Error::file_not_found(name)),
        }
    }
}
