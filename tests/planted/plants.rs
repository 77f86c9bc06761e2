//! Each bug, the rule it breaks, and what catches it.

use super::sim::oracle::Check::{self, *};
use aqueduct_engine::planted::Bug;

/// What catches a bug.
#[derive(Clone, Copy, Debug)]
pub enum Catch {
    /// The simulation, by one of these checks.
    Simulation(&'static [Check]),
    /// The model of the link under every interleaving.
    Model,
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

/// All of them, by rule.
pub const PLANTS: &[Plant] = &[
    plant(1, Bug::TakesTwice, "a link takes a second time what it was sent before", &[Law]),
    plant(
        1,
        Bug::SettlesBeforeHandingOn,
        "a lease is settled before the outputs have its results",
        &[Lost, Law],
    ),
    plant(2, Bug::ForgetsTheMessages, "a batch does not keep its messages as they came", &[Letter]),
    plant(3, Bug::CountsNoBytes, "a link counts batches only", &[Bounds]),
    Plant {
        rule: 4,
        bug: Bug::ListensWithoutLooking,
        what: "whoever waits at a link listens and does not look again: a wake-up is lost",
        catch: Catch::Model,
    },
    plant(5, Bug::CountsEveryEnd, "a restart by a sibling or an operator counts against a batch", &[Fate]),
    plant(5, Bug::CondemnsNeighbours, "a whole batch is condemned with its culprit", &[Lost]),
    plant(6, Bug::JoinsAtTheEnd, "a sink without an offset begins at the log's end", &[Lost]),
    plant(7, Bug::KeepsTheEpoch, "a claim does not raise the epoch", &[Settles, Law, Lost]),
    plant(7, Bug::KeepsLetters, "a claim leaves the letters of what is judged again", &[Doubled]),
    plant(8, Bug::CommitsBeforeWriting, "the offset is committed before the rows", &[Lost, Law]),
    plant(
        8,
        Bug::RemovesTheFence,
        "an offset moves whoever owns the partition",
        &[Doubled, Lost, Order, Law],
    ),
    plant(
        8,
        Bug::TakesAPartForTheWhole,
        "it is enough that one partition of a transaction hits",
        &[Doubled, Order],
    ),
    plant(8, Bug::DoubtsNothing, "nothing is read again after an ambiguous commit", &[Settles]),
    plant(8, Bug::WritesAgain, "rows below the stored offset are written again", &[Law]),
    plant(9, Bug::RewindsNothing, "a lost claim is not claimed anew", &[Settles]),
    plant(10, Bug::HandsOutStale, "batches of a claim that is not the newest are handed out", &[Law]),
    plant(11, Bug::RunsAhead, "a best-effort sink records an offset before its value is durable", &[Cache]),
    plant(12, Bug::JudgesByTheClock, "the time of an event is held against the wall clock", &[Fate]),
    plant(12, Bug::RejectsAfterForwarding, "a batch advances before its rejects are durable", &[Lost]),
    plant(13, Bug::DecidesAtTheFirst, "a fate is decided by the first of the required sinks", &[Ledger]),
    plant(15, Bug::LetsTheLastWin, "of two values that wait for a key the last to come wins", &[Cache]),
    plant(15, Bug::GuardsNothing, "the guard lets an older value pass", &[Cache]),
    plant(20, Bug::LeavesTheLastBatch, "a sink that is drained leaves its last transaction", &[Drain]),
    plant(21, Bug::SeesNoStall, "nobody is ever stalled", &[Settles]),
    plant(22, Bug::TakesStandingForIdle, "idle is who stands still, whatever is left", &[Settles]),
    plant(23, Bug::OverlooksPanics, "a panic is taken for a stop", &[Settles]),
    plant(23, Bug::LosesDroppedLeases, "a lease dropped unsettled is gone", &[Lost, Settles]),
];
