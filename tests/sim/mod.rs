//! The real engine, supervisors and actors on one thread and in virtual time, among stores in memory, while everything
//! that can go wrong does, by a seed; and one question after each run: has every record exactly one fate?
//!
//! A seed draws a [`workload`] (a topology, records over several partitions, some of them bad in every way we know), a
//! [`schedule`] (crashes, kills, hand-overs, zombies, troubles, a database that goes back) and, at every await on a store
//! in memory, what strikes that one question (`aqueduct_actors::stand_in::Mishaps`). The [`stage`] plays it; the [`oracle`]
//! judges.
//!
//! - `AQUEDUCT_SIM_SEEDS=20000 cargo test --release --test tests sim::` runs so many seeds instead of the usual ones;
//! - `AQUEDUCT_SIM_SEED=42` runs that one again, and prints what happened.
#![allow(clippy::disallowed_methods, reason = "a test reads its switches from the environment")]
#![allow(dead_code, reason = "tests/planted plays the same runs with bugs in them, and runs of its own")]

pub mod cases;
pub mod oracle;
mod pins;
pub mod schedule;
pub mod stage;
pub mod sweep;
pub mod workload;

use sweep::{Failure, Run, sweep};

/// So many seeds are run unless somebody asks for more.
const SEEDS: u64 = 750;

/// After so many failures no more are looked for.
const FAILURES_MAX: usize = 24;

fn switch(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is expected")))
}

#[test]
fn every_record_has_one_fate_whatever_fails_and_when() {
    if let Some(seed) = switch("AQUEDUCT_SIM_SEED") {
        let run = Run::of(seed);
        println!("{}\n{:#?}", run.workload.text, run.schedule);
        let seen = run.play();
        println!("{}\n{}", seen.trace.join("\n"), seen.events.join("\n"));
        if let Some(failure) = run.failure() {
            panic!("{failure}");
        }
        return;
    }
    let seeds = switch("AQUEDUCT_SIM_SEEDS").unwrap_or(SEEDS);
    let failures = sweep(0..seeds, FAILURES_MAX, |seed| Run::of(seed).failure());
    if let Some(failure) = failures.first() {
        let others: Vec<String> = failures[1..].iter().map(Failure::brief).collect();
        panic!("{failure}\nothers that do not hold:\n{}", others.join("\n"));
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..40 {
        let (one, two) = (Run::of(seed).play().trace, Run::of(seed).play().trace);
        assert_eq!(one, two, "seed {seed}");
    }
    assert_ne!(Run::of(1).play().trace, Run::of(2).play().trace);
}
