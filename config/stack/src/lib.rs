//! The real Kafka, TimescaleDB and Redis as private processes on loopback.

pub mod feed;
pub mod market;
