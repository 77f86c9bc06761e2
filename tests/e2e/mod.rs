//! End to end, on the real Kafka, TimescaleDB and Redis, which the tests start themselves.
//!
//! A test has a world and a node of the [`harness`](crate::harness), and asks its oracle afterwards. Where the stack cannot
//! start, every test here fails and says what is missing.
#![expect(clippy::disallowed_methods, reason = "tests watch the machine's clock from outside")]

mod backfill;
mod bad_messages;
mod cache;
mod connect;
mod crash;
mod dlq;
mod drills;
mod export;
mod failover;
mod formats;
mod kafka;
mod lag;
mod latency;
mod logs;
mod metrics;
mod migrations;
mod offsets;
mod outage;
mod quality;
mod readiness;
mod recorded;
mod redis;
mod refused;
mod reload;
mod retention;
mod roles;
mod schedules;
mod schema_drift;
mod secrets;
mod security;
mod shutdown;
mod staging;
mod status;
mod timescale;
mod traces;
mod upgrade;
