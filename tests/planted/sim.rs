//! The simulation, without the tests of its own, which run elsewhere.
#![allow(dead_code, reason = "its own tests use more of it")]

#[path = "../sim/cases.rs"]
pub mod cases;
#[path = "../sim/oracle.rs"]
pub mod oracle;
#[path = "../sim/schedule.rs"]
pub mod schedule;
#[path = "../sim/stage.rs"]
pub mod stage;
#[path = "../sim/sweep.rs"]
pub mod sweep;
#[path = "../sim/workload.rs"]
pub mod workload;
