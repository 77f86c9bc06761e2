//! An actor that fails by its own fault ends alone: it is started again, and what it held is delivered again.

use super::super::process::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::fault::Fault;
use super::inside::Inside;
use crate::e2e::wait;
use aqueduct_engine::Outcome;
use std::time::{Duration, Instant};

/// Every kind of the topology that decides the fate of records, and the one that does not.
const ACTORS: [&str; 4] = ["ticks", "trades", "history", "cache"];
/// How long a fault may take to strike.
const STRIKE_MAX: Duration = Duration::from_secs(20);
/// Crashes count against the supervisor for so long; a round makes four of the five that it takes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(31);

pub fn panic_in_start(trial: &mut Trial<'_>) {
    // A start comes by itself only after an end.
    strike_each(trial, Fault::PanicInStart, true, "panic");
}

pub fn panic_in_handle(trial: &mut Trial<'_>) {
    strike_each(trial, Fault::PanicInHandle, false, "asked");
}

pub fn panic_in_drop(trial: &mut Trial<'_>) {
    strike_each(trial, Fault::PanicInDrop, true, "panic");
}

pub fn panic_while_holding_a_lock(trial: &mut Trial<'_>) {
    strike_each(trial, Fault::PanicHoldingLock, false, "holds a lock");
}

/// The arbiter is given up with whoever keeps it; its neighbours go on elsewhere. Given back, it finds itself replaced.
pub fn handler_that_never_yields(trial: &mut Trial<'_>) {
    strike_each(trial, Fault::NeverYields, false, "did not yield");
}

/// Sends `fault` to each actor in turn, while trades flow. Where a fault needs a start or an end to strike, an operator's restart gives one.
fn strike_each(trial: &mut Trial<'_>, fault: Fault, needs_restart: bool, exit: &str) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let inside = Inside::start(&stage);
    stage.await_progress(1_000);
    for round in 0..trial.times(1, 5) {
        if round > 0 {
            std::thread::sleep(FORGOTTEN_AFTER);
        }
        for actor in ACTORS {
            let (restarts, struck) = (inside.restarts(actor), inside.faults.struck());
            inside.faults.send(actor, fault);
            if needs_restart {
                futures::executor::block_on(inside.handle.restart_actor(actor)).expect("an order");
            }
            wait::until(&format!("{fault:?} to strike {actor}"), STRIKE_MAX, || {
                (inside.faults.struck() > struck).then_some(())
            });
            trial.fault();
            let began = Instant::now();
            let said = inside.await_restart(actor, restarts);
            if !needs_restart {
                assert!(said.contains(exit), "{actor} ended: {said}");
            }
            stage.time_to_progress();
            trial.recovered(began.elapsed());
            inside.faults.let_go();
        }
    }
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
