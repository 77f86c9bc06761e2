//! Bugs planted on purpose, one for each rule that lives in our code: each must be caught, and by the check that is named
//! here. So the simulation is known to be able to fail.
//!
//! `cargo test --release --features planted --test planted`. The table of rules, bugs and tests is
//! `engine/docs/rules.md`; `AQUEDUCT_BLESS=1` writes it anew.
#![allow(unreachable_pub, reason = "nobody imports a test binary")]
#![allow(clippy::disallowed_methods, reason = "a test reads its switches from the environment")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod kafka;
mod plants;
mod rules;
mod sim;

use aqueduct_engine::planted::{self, Bug};
use plants::{Catch, PLANTS, Plant};
use sim::sweep::{Failure, Run, sweep};
use std::panic::catch_unwind;
use std::process::{Command, Output};

/// A bug that so many seeds do not show is not caught.
const SEEDS_MAX: u64 = 600;

/// Of a run made for it so few are enough.
const CASE_SEEDS_MAX: u64 = 60;

/// The run of that seed that shows the bug.
fn run(plant: &Plant, seed: u64) -> Run {
    match plant.catch {
        Catch::Script(script, _) => Run::under(seed, script()),
        // What is left to chance is how long answers take.
        Catch::Case(case, _) => Run { seed: seed + 1, ..case() },
        _ => Run::of(seed),
    }
}

fn with(plant: &Plant, seed: u64) -> Option<Failure> {
    planted::with(Some(plant.bug), || run(plant, seed).failure())
}

/// What is wrong with how `plant` is caught; nothing if all is right. Says the seed that showed it.
fn missed(plant: &Plant) -> Result<String, String> {
    let (checks, seeds) = match plant.catch {
        Catch::Simulation(checks) | Catch::Script(_, checks) => (checks, SEEDS_MAX),
        Catch::Case(_, checks) => (checks, CASE_SEEDS_MAX),
        Catch::Model => return missed_by_the_model(plant),
        Catch::Process(test) => return missed_in_a_process(plant, test),
        Catch::Lines(what, lines) => {
            lines();
            let caught = planted::with(Some(plant.bug), || catch_unwind(lines));
            return caught.err().map(|_| what.to_owned()).ok_or_else(|| format!("{what}: holds with it"));
        }
    };
    let failures = sweep(0..seeds, 1, |seed| with(plant, seed));
    let Some(failure) = failures.first() else {
        return Err(format!("{seeds} seeds do not show it"));
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

/// Names the bug that a process is to have in all its threads.
const PLANTED: &str = "AQUEDUCT_PLANTED_EVERYWHERE";

/// Plants what this process was told to have, if anything.
fn plant_as_told() {
    let Ok(name) = std::env::var(PLANTED) else { return };
    let plant = PLANTS.iter().find(|plant| format!("{:?}", plant.bug) == name);
    planted::everywhere(plant.unwrap_or_else(|| panic!("{PLANTED}={name}: no such bug")).bug);
}

/// Runs one test of this program in a process of its own.
fn process(test: &str, variable: Option<(&str, &str)>) -> Result<Output, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env("RUST_BACKTRACE", "0").envs(variable);
    command.output().map_err(|error| error.to_string())
}

fn missed_in_a_process(plant: &Plant, test: &str) -> Result<String, String> {
    let without = process(test, None)?;
    let said = String::from_utf8_lossy(&without.stderr);
    if !without.status.success() || !String::from_utf8_lossy(&without.stdout).contains("1 passed") {
        return Err(format!("{test} does not hold without it: {said}"));
    }
    let with = process(test, Some((PLANTED, &format!("{:?}", plant.bug))))?;
    let said = String::from_utf8_lossy(&with.stderr);
    let why = said.lines().skip_while(|line| !line.contains("panicked at")).nth(1);
    match (with.status.success(), why) {
        (false, Some(why)) => Ok(format!("{test}: {why}")),
        _ => Err(format!("{test} does not show it: {said}")),
    }
}

/// Says in which process of its own the model runs with a bug: one that fails ends its process.
const MODEL: &str = "AQUEDUCT_PLANTED_MODEL";

fn missed_by_the_model(plant: &Plant) -> Result<String, String> {
    let run = process("the_model_of_the_link_holds", Some((MODEL, "1")))?;
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

#[test]
fn every_planted_bug_is_caught() {
    let only = std::env::var("AQUEDUCT_PLANTED").ok();
    let named =
        |plant: &&Plant| only.as_ref().is_none_or(|only| format!("{:?}", plant.bug).contains(only.as_str()));
    // Processes wait for what never comes: beside each other, and beside the others.
    let judged: Vec<(&Plant, Result<String, String>)> = std::thread::scope(|scope| {
        let (apart, here): (Vec<&Plant>, Vec<&Plant>) =
            PLANTS.iter().filter(named).partition(|plant| matches!(plant.catch, Catch::Process(_)));
        let apart: Vec<_> = apart.into_iter().map(|plant| (plant, scope.spawn(|| missed(plant)))).collect();
        let mut judged: Vec<_> = here.into_iter().map(|plant| (plant, missed(plant))).collect();
        judged.extend(apart.into_iter().map(|(plant, judging)| {
            (plant, judging.join().unwrap_or_else(|_| Err("its judge panicked".to_owned())))
        }));
        judged
    });
    let mut wrong = Vec::new();
    for (plant, judged) in judged {
        let name = format!("{:?}", plant.bug);
        match judged {
            Ok(how) => println!("{name}: {how}"),
            Err(why) => {
                println!("{name}: MISSED: {}", why.lines().next().unwrap_or_default());
                wrong.push(format!("{name}: {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_bug_there_is_is_planted_somewhere() {
    let source = std::fs::read_to_string(rules::root().join("engine/src/planted.rs")).unwrap();
    let kinds = source.split_once("pub enum Bug {").unwrap().1.split_once("\n}").unwrap().0;
    for bug in kinds.lines().filter_map(|line| line.trim().strip_suffix(',')) {
        assert!(PLANTS.iter().any(|plant| format!("{:?}", plant.bug) == bug), "nobody plants {bug}");
    }
}
