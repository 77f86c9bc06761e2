//! End to end, on the real Kafka, TimescaleDB and Redis, which the tests start themselves.
//!
//! A test has a [`world::World`]: a database, a topic and a key prefix of its own on the shared stack, or a private
//! stack where it stops or kills parts. It runs the product's own binary as a [`node::Node`] and asks the
//! [`oracle`] afterwards. Where the stack cannot start, every test here fails and says what is missing.
#![expect(clippy::disallowed_methods, reason = "tests watch the machine's clock from outside")]

mod bad_messages;
mod cache_rebuild;
mod connect;
mod crash;
mod dlq;
mod kafka;
mod migrations;
pub mod node;
mod offsets;
pub mod oracle;
mod outage;
mod readiness;
mod recorded;
mod redis;
mod refused;
mod reload;
mod roles;
mod secrets;
pub mod security;
mod shutdown;
mod timescale;
pub mod topologies;
pub mod wait;
pub mod wire;
pub mod world;
