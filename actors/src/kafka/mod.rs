//! What every kind that speaks to Kafka shares: client configuration, error classes, how a client ends, questions to the
//! broker, batches from messages, delivery. [`offsets`] and [`letters`] keep in Kafka what a topology without
//! TimescaleDB cannot keep beside its rows.

pub mod class;
pub mod client;
pub mod cluster;
pub mod config;
pub mod inquirer;
pub mod intake;
pub mod letters;
pub mod logs;
pub mod offsets;
pub mod producer;
pub mod query;
pub mod records;
pub mod refusal;
pub(crate) mod scram;
pub mod slot;
