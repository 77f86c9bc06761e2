//! Alerts: the rules themselves, held by Prometheus' own tools ([`tools`]), and each alert against its fault on real nodes,
//! watched by a real Prometheus ([`live`]).
//!
//! `cargo test --release --test alerts` runs both. The environment asks for more:
//! - `AQUEDUCT_ALERTS_FACTOR=1`: the rules in their own time, with the windows and pauses that the files say; an hour;
//! - `AQUEDUCT_ALERTS_ONLY=orders,slow`: scenes of these names only.
//!
//! The table is kept in `target/alerts/`.
#![expect(clippy::disallowed_methods, reason = "tests watch the machine's clock from outside")]
#![allow(unreachable_pub, reason = "nobody imports a test binary")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../harness/mod.rs"]
mod harness;
mod live;
mod tools;
#[allow(dead_code, reason = "chaos stops transactions at points, alerts do not")]
#[path = "../chaos/wire.rs"]
mod wire;
