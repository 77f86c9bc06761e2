//! Every test that needs more than one crate: commands without services, end to end on the real stack, and the rules of the repository itself.
#![allow(unreachable_pub, reason = "nobody imports a test binary")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::type_complexity, reason = "tables of test data are read once, where they stand")]

mod browser;
mod commands;
mod deploy;
mod e2e;
mod editor;
mod fuzz;
mod harness;
mod regression;
mod rehearsal;
mod sim;
mod tidy;
