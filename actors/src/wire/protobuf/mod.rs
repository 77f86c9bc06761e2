//! Protocol Buffers, by the schema that the writer used.
//!
//! [`Schema`] is what the registry gives, compiled once; [`Plan`] is the walk of one topology over one of its messages.
//! Fields have the names of the `.proto` file. One without presence that is not there is its default, as every reader of
//! Protobuf has it; one with presence is absent. An enum is its name, bytes are base64, a `Timestamp` is RFC 3339, a
//! `Duration` its seconds, a wrapper its value.
//! Deliberately absent: extensions, `Any`, and generated code.

mod plan;
mod schema;
mod walk;

pub use plan::Plan;
pub use schema::{Schema, SchemaFault, message_indexes};

#[cfg(test)]
mod tests;
