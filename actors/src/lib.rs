//! The kinds of actor: Kafka sources, normalizers, TimescaleDB writers, Redis caches.
//!
//! A folder a kind; kinds never import each other. What several need lives beside them: [`kafka`] and [`timescale`]
//! (clients, error classes, identifiers), [`expr`] (CEL). [`catalog`] is the only list of kinds; [`stand_in`] takes the
//! place of those that touch the outside, for `try` and `test`; [`connected`] holds a topology against the servers it names;
//! [`dlq`] reads dead letters and sends them through their topology again, [`backfill`] fills a table again, both by way of a
//! [`lane`]; [`export`] is the database's side of exports.

pub mod backfill;
pub mod base64;
pub mod catalog;
pub mod connected;
pub(crate) mod credentials;
pub mod dead_letter;
pub mod dlq;
pub mod drills;
pub mod export;
pub mod expr;
mod hosts;
pub mod json;
pub mod kafka;
pub mod kafka_sink;
pub mod kafka_source;
pub(crate) mod lane;
pub mod normalizer;
pub mod quality_gate;
pub mod redis_cache;
pub mod registry;
pub mod replay_source;
pub mod rotation;
pub mod schedule;
pub mod services;
pub mod stand_in;
pub mod timescale;
pub mod timescale_writer;
mod tls;
pub mod wire;

pub use services::{Connected, Services};
