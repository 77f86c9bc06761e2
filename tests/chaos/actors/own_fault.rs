//! An actor that fails by its own fault ends alone: it is started again, and what it held is delivered again.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::fault::Fault;
use super::inside::Inside;
use crate::harness::wait;
use aqueduct_engine::Outcome;
use std::time::{Duration, Instant};

/// One of every kind.
const ACTORS: &[&str] = &["ticks", "trades", "history", "cache"];
/// How long a fault may take to strike.
const STRIKE_MAX: Duration = Duration::from_secs(20);
/// Crashes count against the supervisor for so long; a round makes four of the five that it takes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(31);

pub fn panic_in_start(trial: &mut Trial<'_>) {
    // A start comes by itself only after an end.
    strike_each(trial, ACTORS, Fault::PanicInStart, true, "panic");
}

pub fn panic_in_handle(trial: &mut Trial<'_>) {
    strike_each(trial, ACTORS, Fault::PanicInHandle, false, "asked");
}

pub fn panic_in_drop(trial: &mut Trial<'_>) {
    strike_each(trial, ACTORS, Fault::PanicInDrop, true, "panic");
}

pub fn panic_while_holding_a_lock(trial: &mut Trial<'_>) {
    strike_each(trial, ACTORS, Fault::PanicHoldingLock, false, "holds a lock");
}

/// The arbiter is given up with whoever keeps it; its neighbours go on elsewhere. Given back, it finds itself replaced.
pub fn handler_that_never_yields(trial: &mut Trial<'_>) {
    strike_each(trial, &["trades"], Fault::NeverYields, false, "did not yield");
}

/// The arbiter given up is the source's: the group must first do without the member that it was.
pub fn neighbour_of_the_source_that_never_yields(trial: &mut Trial<'_>) {
    strike_each(trial, &["ticks", "history", "cache"], Fault::NeverYields, false, "did not yield");
}

/// Sends `fault` to each of `actors` in turn, while trades flow. Where a fault needs a start or an end to strike, an
/// operator's restart gives one.
fn strike_each(trial: &mut Trial<'_>, actors: &[&str], fault: Fault, needs_restart: bool, exit: &str) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let inside = Inside::start(&stage);
    stage.await_progress(1_000);
    for round in 0..trial.times(1, 5) {
        if round > 0 {
            std::thread::sleep(FORGOTTEN_AFTER);
        }
        for actor in actors {
            let (restarts, struck) = (inside.restarts(actor), inside.faults.struck());
            inside.faults.send(actor, fault);
            if needs_restart {
                futures::executor::block_on(inside.handle.restart_actor(actor)).expect("an order");
            }
            wait::until(&format!("{fault:?} to strike {actor}"), STRIKE_MAX, || {
                (inside.faults.struck() > struck).then_some(())
            });
            trial.fault();
            let sent = i64::try_from(load.sent()).expect("a count");
            let began = Instant::now();
            let said = inside.await_restart(actor, restarts);
            if !needs_restart {
                assert!(said.contains(exit), "{actor} ended: {said}");
            }
            // All that was there, so that every partition flows again.
            stage.await_progress(sent);
            trial.recovered(began.elapsed());
            inside.faults.let_go();
        }
    }
    // A best-effort cache that is down for longer than its link has room is passed over, by intent, and what it missed it
    // misses until those keys come again.
    stage.await_cache_follows(&load);
    let sent = load.stop();
    stage.await_progress(i64::try_from(sent).expect("a count"));
    assert_drained(&inside.drain());
    stage.judge_log(trial, Vec::new());
}

fn assert_drained(outcome: &Outcome) {
    assert_eq!(outcome.exit_code, 0, "{:?}", outcome.reasons);
    let unaccounted: i64 = outcome.ledger.iter().map(|row| row.unaccounted).sum();
    assert_eq!(unaccounted, 0, "records are unaccounted for");
}
