//! Avro's binary encoding, by the schema that the writer used.
//!
//! [`Schema`] is what the registry gives, parsed once; [`Plan`] is the walk of one topology over it: which fields are
//! written and which passed over. A union is its value, bytes are base64, a `decimal` is a number, a time is RFC 3339.
//! Deliberately absent: a schema of the reader's own. The topology's fields are that: found by name, absent where the
//! writer has none, read by their own type. And containers of Avro files: Kafka's messages have none.

mod plan;
mod schema;
mod walk;

pub use plan::Plan;
pub use schema::{Schema, SchemaFault};

#[cfg(test)]
mod tests;
