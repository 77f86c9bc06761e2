//! Bugs planted on purpose, one for each rule that lives in our code: each must be caught, and by the check that is named
//! here. So the simulation is known to be able to fail.
//!
//! `cargo test --release --features planted --test planted`. The table of rules, bugs and tests is
//! `engine/docs/rules.md`; `AQUEDUCT_BLESS=1` writes it anew.
#![allow(unreachable_pub, reason = "nobody imports a test binary")]
#![allow(clippy::disallowed_methods, reason = "a test reads its switches from the environment")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod plants;
mod rules;
#[path = "../sim/mod.rs"]
mod sim;

use aqueduct_engine::planted::{self, Bug};
use plants::{Catch, PLANTS, Plant};
use sim::sweep::{Failure, Run, sweep};
use std::panic::catch_unwind;
use std::process::Command;

/// A bug that so many seeds do not show is not caught.
const SEEDS_MAX: u64 = 600;

/// The run of that seed that shows the bug.
fn run(plant: &Plant, seed: u64) -> Run {
    match plant.catch {
        Catch::Script(script, _) => Run::under(seed, script()),
        Catch::Simulation(_) | Catch::Model | Catch::Lines(..) => Run::of(seed),
    }
}

fn with(plant: &Plant, seed: u64) -> Option<Failure> {
    planted::with(Some(plant.bug), || run(plant, seed).failure())
}

/// What is wrong with how `plant` is caught; nothing if all is right. Says the seed that showed it.
fn missed(plant: &Plant) -> Result<String, String> {
    let checks = match plant.catch {
        Catch::Simulation(checks) | Catch::Script(_, checks) => checks,
        Catch::Model => return missed_by_the_model(plant),
        Catch::Lines(what, lines) => {
            lines();
            let caught = planted::with(Some(plant.bug), || catch_unwind(lines));
            return caught.err().map(|_| what.to_owned()).ok_or_else(|| format!("{what}: holds with it"));
        }
    };
    let failures = sweep(0..SEEDS_MAX, 1, |seed| with(plant, seed));
    let Some(failure) = failures.first() else {
        return Err(format!("{SEEDS_MAX} seeds do not show it"));
    };
    let found = || failure.violations.iter().map(|violation| violation.check);
    if !found().any(|check| checks.contains(&check)) {
        return Err(format!("caught by {:?} instead of {checks:?}: {failure}", found().collect::<Vec<_>>()));
    }
    match run(plant, failure.seed).failure() {
        Some(without) => Err(format!("not clean without it: {without}")),
        None => Ok(format!("seed {}: {:?}", failure.seed, found().collect::<Vec<_>>())),
    }
}

/// Says in which process of its own the model runs with a bug: one that fails ends its process.
const MODEL: &str = "AQUEDUCT_PLANTED_MODEL";

fn missed_by_the_model(plant: &Plant) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let run = Command::new(program)
        .args(["--exact", "the_model_of_the_link_holds", "--nocapture"])
        .env(MODEL, "1")
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&run.stderr);
    match !run.status.success() && said.contains("deadlock") {
        true => Ok("the model finds a deadlock".to_owned()),
        false => Err(format!("the model holds with {:?}: {said}", plant.bug)),
    }
}

#[test]
fn the_model_of_the_link_holds() {
    let bug = std::env::var_os(MODEL).map(|_| Bug::ListensWithoutLooking);
    planted::with(bug, aqueduct_engine::link::model::hands_over_all_and_ends);
}

/// Bugs whose script does not hold without them yet, so that it says nothing of them: to be looked into, and struck off.
const OPEN: &[Bug] = &[Bug::KeepsLetters];

#[test]
fn every_planted_bug_is_caught() {
    let only = std::env::var("AQUEDUCT_PLANTED").ok();
    let mut wrong = Vec::new();
    for plant in PLANTS {
        let name = format!("{:?}", plant.bug);
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        match missed(plant) {
            Ok(how) if OPEN.contains(&plant.bug) => wrong.push(format!("{name}: strike it off: {how}")),
            Ok(how) => println!("{name}: {how}"),
            Err(why) if OPEN.contains(&plant.bug) => {
                println!("{name}: OPEN: {}", why.lines().next().unwrap_or_default());
            }
            Err(why) => {
                println!("{name}: MISSED: {}", why.lines().next().unwrap_or_default());
                wrong.push(format!("{name}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
