//! Each bug, the rule it breaks, and what catches it.

use super::sim::oracle::Check::{self, *};
use super::sim::schedule::{Act, End, Schedule};
use aqueduct_actors::stand_in::{Crash, Handover, Trouble};
use aqueduct_engine::link::{Bounds, Link};
use aqueduct_engine::planted::Bug;
use aqueduct_engine::testing::raw_batch;
use std::time::Duration;

/// What catches a bug.
#[derive(Clone, Copy, Debug)]
pub enum Catch {
    /// The simulation, by one of these checks.
    Simulation(&'static [Check]),
    /// The simulation under a script, by one of these checks.
    Script(fn() -> Schedule, &'static [Check]),
    /// The model of the link under every interleaving.
    Model,
    /// A few lines that hold without it.
    Lines(&'static str, fn()),
}

/// A bug and what catches it.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// The number of the rule it breaks.
    pub rule: u32,
    pub bug: Bug,
    /// What it does wrong, for the table.
    pub what: &'static str,
    pub catch: Catch,
}

const fn plant(rule: u32, bug: Bug, what: &'static str, checks: &'static [Check]) -> Plant {
    Plant { rule, bug, what, catch: Catch::Simulation(checks) }
}

/// A bug that shows under what is done on purpose, and seldom otherwise.
const fn under(
    rule: u32,
    bug: Bug,
    what: &'static str,
    script: fn() -> Schedule,
    checks: &'static [Check],
) -> Plant {
    Plant { rule, bug, what, catch: Catch::Script(script, checks) }
}

fn a_batch_sent_again() {
    let link = Link::new(Bounds { batches: 4, bytes: 1 << 20 });
    let (sender, mut receiver) = (link.sender(), link.receiver());
    for _ in 0..2 {
        sender.try_push(raw_batch(0, 5, &["a", "b"])).unwrap();
    }
    receiver.try_lease().unwrap().settle();
    assert!(receiver.try_lease().is_none(), "it came twice");
}

fn trouble(actor: &'static str, seconds: u64) -> (u64, Act) {
    (0, Act::Trouble { actor, what: Trouble::Away, lasting: Duration::from_secs(seconds) })
}

fn kill(at: u64, down: Duration) -> (u64, Act) {
    (at, Act::Kill { node: 0, down })
}

fn script(acts: Vec<(u64, Act)>) -> Schedule {
    Schedule::script(acts, End::Drain)
}

fn late_start() -> Schedule {
    script(vec![kill(0, Duration::from_secs(3))])
}

fn killed_while(actor: &'static str) -> Schedule {
    script(vec![trouble(actor, 15), kill(14_000, Duration::ZERO)])
}

fn killed_while_the_table_is_away() -> Schedule {
    killed_while("history")
}

fn killed_while_the_cache_is_away() -> Schedule {
    killed_while("last")
}

fn killed_while_the_letters_are_away() -> Schedule {
    killed_while("dead_letter")
}

fn usurped() -> Schedule {
    script(vec![(1000, Act::Usurp { partition: Some(0) })])
}

fn given_anew_while_the_table_is_away() -> Schedule {
    let given = Act::HandOver { partition: None, to: 0, how: Handover::Sudden };
    script(vec![trouble("history", 6), (3000, given)])
}

fn crashed_while_the_table_is_away() -> Schedule {
    let crash = Act::Crash { node: 0, actor: "history", how: Crash::Error };
    script(vec![trouble("history", 6), (3000, crash)])
}

fn the_table_is_away() -> Schedule {
    Schedule::script(vec![trouble("history", 30)], End::DrainWhenIdle)
}

fn frozen() -> Schedule {
    script(vec![(2000, Act::Crash { node: 0, actor: "history", how: Crash::Freeze })])
}

fn rolled() -> Schedule {
    script(vec![(8, Act::Roll { node: 0 }), (1000, Act::Roll { node: 0 }), (4000, Act::Roll { node: 0 })])
}

/// All of them, by rule.
pub const PLANTS: &[Plant] = &[
    Plant {
        rule: 1,
        bug: Bug::TakesTwice,
        what: "a link takes a second time what it was sent before",
        catch: Catch::Lines("a batch sent again", a_batch_sent_again),
    },
    plant(2, Bug::ForgetsTheMessages, "a batch does not keep its messages as they came", &[Letter]),
    under(3, Bug::CountsNoBytes, "a link counts batches only", the_table_is_away, &[Bounds]),
    Plant {
        rule: 4,
        bug: Bug::ListensWithoutLooking,
        what: "whoever waits at a link listens and does not look again: a wake-up is lost",
        catch: Catch::Model,
    },
    plant(5, Bug::CondemnsNeighbours, "a whole batch is condemned with its culprit", &[Lost]),
    under(6, Bug::JoinsAtTheEnd, "a sink without an offset begins at the log's end", late_start, &[Lost]),
    plant(7, Bug::KeepsTheEpoch, "a claim does not raise the epoch", &[Settles, Law, Lost]),
    under(
        7,
        Bug::KeepsLetters,
        "a claim leaves the letters of what is judged again",
        killed_while_the_table_is_away,
        &[Doubled],
    ),
    plant(8, Bug::CommitsBeforeWriting, "the offset is committed before the rows", &[Lost, Law]),
    plant(
        8,
        Bug::RemovesTheFence,
        "an offset moves whoever owns the partition",
        &[Doubled, Lost, Order, Law, Settles, Offset],
    ),
    under(
        8,
        Bug::TakesAPartForTheWhole,
        "it is enough that one partition of a transaction hits",
        usurped,
        &[Doubled, Order, Settles],
    ),
    plant(8, Bug::WritesAgain, "rows below the stored offset are written again", &[Law]),
    under(9, Bug::RewindsNothing, "a lost claim is not claimed anew", usurped, &[Settles]),
    under(
        10,
        Bug::HandsOutStale,
        "batches of a claim that is not the newest are handed out",
        given_anew_while_the_table_is_away,
        &[Law],
    ),
    under(
        11,
        Bug::RunsAhead,
        "a best-effort sink records an offset before its value is durable",
        killed_while_the_cache_is_away,
        &[Cache],
    ),
    plant(12, Bug::JudgesByTheClock, "the time of an event is held against the wall clock", &[Fate]),
    under(
        12,
        Bug::RejectsAfterForwarding,
        "a batch advances before its rejects are durable",
        killed_while_the_letters_are_away,
        &[Lost],
    ),
    under(
        13,
        Bug::DecidesAtTheFirst,
        "a fate is decided by the first of the required sinks",
        Schedule::calm,
        &[Ledger],
    ),
    plant(15, Bug::LetsTheLastWin, "of two values that wait for a key the last to come wins", &[Cache]),
    plant(15, Bug::GuardsNothing, "the guard lets an older value pass", &[Cache]),
    under(
        20,
        Bug::LeavesTheLastBatch,
        "a sink that is drained leaves its last transaction",
        rolled,
        &[Drain],
    ),
    under(21, Bug::SeesNoStall, "nobody is ever stalled", frozen, &[Settles]),
    under(
        22,
        Bug::TakesStandingForIdle,
        "idle is who stands still, whatever is left",
        the_table_is_away,
        &[Settles],
    ),
    under(
        23,
        Bug::LosesDroppedLeases,
        "a lease dropped unsettled is gone",
        crashed_while_the_table_is_away,
        &[Lost, Settles],
    ),
];
