//! What every kind that speaks to Kafka shares: client configuration, error classes, and how a client ends.

pub mod class;
pub mod client;
pub mod config;
pub mod offsets;
pub mod query;
pub mod slot;
