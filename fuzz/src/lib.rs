//! What strangers may send us, as functions of any bytes: a [`message`] of a topic, one of another format ([`wire`]), a [`topology`] file, a conversation
//! with the [`admin`] endpoint. Each panics if a promise is broken, which is how a fuzzer is told.

mod admin;
mod message;
mod topology;
mod wire;

pub use admin::admin;
pub use message::message;
pub use topology::topology;
pub use wire::wire;
