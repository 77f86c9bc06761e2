//! Each bug, the rule it breaks, and what catches it.

use super::sim::oracle::Check::{self, *};
use super::sim::schedule::{Act, End, Schedule};
use super::sim::sweep::Run;
use super::sim::{cases, sweep};
use aqueduct_actors::kafka::slot::lowest_free;
use aqueduct_actors::stand_in::{Crash, Handover, Trouble};
use aqueduct_engine::limits::DELIVERIES_MAX;
use aqueduct_engine::link::{Bounds, Crash as LinkCrash, Link};
use aqueduct_engine::planted::Bug;
use aqueduct_engine::testing::raw_batch;
use futures::FutureExt;
use std::time::Duration;

/// What catches a bug.
#[derive(Clone, Copy, Debug)]
pub enum Catch {
    /// The simulation, by one of these checks.
    Simulation(&'static [Check]),
    /// The simulation under a script, by one of these checks.
    Script(fn() -> Schedule, &'static [Check]),
    /// A run made for it, by one of these checks.
    Case(fn() -> Run, &'static [Check]),
    /// The model of the link under every interleaving.
    Model,
    /// A test of this program that holds without it, in a process of its own.
    Process(&'static str),
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

const fn case(rule: u32, bug: Bug, what: &'static str, case: fn() -> Run, checks: &'static [Check]) -> Plant {
    Plant { rule, bug, what, catch: Catch::Case(case, checks) }
}

const fn lines(rule: u32, bug: Bug, what: &'static str, name: &'static str, lines: fn()) -> Plant {
    Plant { rule, bug, what, catch: Catch::Lines(name, lines) }
}

const fn process(rule: u32, bug: Bug, what: &'static str, test: &'static str) -> Plant {
    Plant { rule, bug, what, catch: Catch::Process(test) }
}

/// The last of the crashes that make a batch a suspect fells its source, too, and the batch is tried once more first.
fn a_verdict_on_a_batch_that_is_dropped() {
    let link = Link::new(Bounds { batches: 4, bytes: 1 << 20 });
    let (sender, mut receiver) = (link.sender(), link.receiver());
    let batch = |epoch: i64| {
        let mut batch = raw_batch(0, 7, &["deadly"]);
        batch.origin.epoch = epoch;
        batch
    };
    let mut crash = || {
        drop(receiver.try_lease().unwrap());
        let crash = link.receiver_crashed("boom");
        receiver = link.receiver();
        crash
    };
    sender.try_push(batch(1)).unwrap();
    (0..DELIVERIES_MAX).for_each(|_| assert!(crash().counts()));
    assert!(matches!(crash(), LinkCrash::Condemned { .. }));
    link.receiver().try_lease().unwrap().discard();
    receiver = link.receiver();
    sender.try_push(batch(2)).unwrap();
    drop(receiver.try_lease().unwrap());
    assert!(!link.receiver_crashed("boom").counts(), "it fells its source again, and so for ever");
}

fn the_lowest_name_of_a_node_that_is_free() {
    let taken = [0, 1, 3];
    let lease = async |number: u32| Ok(!taken.contains(&number));
    let found = lowest_free(256, lease).now_or_never().unwrap().unwrap();
    assert_eq!(found, Some(2), "whoever starts again would not find the name it had");
}

/// Runs are compared, so that chance in any of them shows.
fn one_seed_is_one_run() {
    for seed in 0..40 {
        let trace = || sweep::Run::of(seed).play().trace;
        assert_eq!(trace(), trace(), "seed {seed}");
    }
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
    lines(
        1,
        Bug::TakesTwice,
        "a link takes a second time what it was sent before",
        "a_batch_sent_again",
        a_batch_sent_again,
    ),
    case(
        1,
        Bug::SettlesBeforeHandingOn,
        "a lease is settled before the outputs have taken its results",
        || cases::an_actor_is_restarted_while_it_holds_batches("trades"),
        &[Lost, Ledger, Settles],
    ),
    under(
        2,
        Bug::ForgetsTheMessages,
        "a batch does not keep its messages as they came",
        Schedule::calm,
        &[Letter],
    ),
    under(3, Bug::CountsNoBytes, "a link counts batches only", the_table_is_away, &[Bounds]),
    Plant {
        rule: 4,
        bug: Bug::ListensWithoutLooking,
        what: "whoever waits at a link listens and does not look again: a wake-up is lost",
        catch: Catch::Model,
    },
    case(
        5,
        Bug::CountsEveryEnd,
        "a restart that was not the actor's own fault counts against what it held",
        || cases::an_actor_is_restarted_while_it_holds_batches("trades"),
        &[Fate, Lost],
    ),
    plant(5, Bug::CondemnsNeighbours, "a whole batch is condemned with its culprit", &[Lost]),
    lines(
        5,
        Bug::ForgetsVerdicts,
        "that a record was condemned is forgotten when its batch is dropped",
        "a_verdict_on_a_batch_that_is_dropped",
        a_verdict_on_a_batch_that_is_dropped,
    ),
    under(6, Bug::JoinsAtTheEnd, "a sink without an offset begins at the log's end", late_start, &[Lost]),
    plant(7, Bug::KeepsTheEpoch, "a claim does not raise the epoch", &[Settles, Law, Lost]),
    case(
        7,
        Bug::KeepsLetters,
        "a claim leaves the letters of what is judged again",
        cases::a_condemned_record_is_spared_by_the_next_process,
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
    plant(
        8,
        Bug::DoubtsNothing,
        "nothing is read again after a commit without an answer",
        &[Settles, Law, Doubled],
    ),
    plant(
        8,
        Bug::WritesAPartitionTwiceAtOnce,
        "two transactions of one partition are in flight at once",
        &[Lost, Law],
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
    case(
        12,
        Bug::LooksForNoLetters,
        "an offset moves over a rejected record whether its letter is still there or not",
        cases::a_letter_is_lost_in_a_failover,
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
    lines(
        16,
        Bug::TakesAnySlot,
        "a member takes any name of its node that is free",
        "the_lowest_name_of_a_node_that_is_free",
        the_lowest_name_of_a_node_that_is_free,
    ),
    process(
        16,
        Bug::RejoinsUnderItsName,
        "a member whose name another one has taken joins again",
        "kafka::a_member_whose_name_was_taken_leaves",
    ),
    process(
        17,
        Bug::AnswersNoRevocation,
        "a revocation is never answered",
        "kafka::a_second_node_is_given_its_share",
    ),
    process(
        18,
        Bug::TakesFromTheConsumersQueue,
        "messages are taken many at a time from the consumer's own queue",
        "kafka::what_was_sent_is_read",
    ),
    plant(
        19,
        Bug::StaysBeforeTheMarkers,
        "the end of a log that is no message's moves no offset",
        &[Settles],
    ),
    under(
        20,
        Bug::LeavesTheLastBatch,
        "a sink that is drained leaves its last transaction",
        rolled,
        &[Drain],
    ),
    under(21, Bug::SeesNoStall, "nobody is ever stalled", frozen, &[Settles]),
    case(
        21,
        Bug::HearsNoSilence,
        "whoever falls silent with nothing waiting for it is left alone",
        cases::a_cache_hangs_with_nothing_to_do,
        &[Settles],
    ),
    case(
        22,
        Bug::KeepsWhatOthersRead,
        "what a source had claimed that another node reads by now is never given back",
        cases::a_partition_goes_while_its_source_is_down,
        &[Settles],
    ),
    under(
        22,
        Bug::TakesStandingForIdle,
        "idle is who stands still, whatever is left",
        the_table_is_away,
        &[Settles],
    ),
    case(
        23,
        Bug::OverlooksPanics,
        "a panic is taken for a stop",
        || cases::a_record_kills_its_reader("one_for_one"),
        &[Settles],
    ),
    under(
        23,
        Bug::LosesDroppedLeases,
        "a lease dropped unsettled is gone",
        crashed_while_the_table_is_away,
        &[Lost, Settles],
    ),
    lines(
        24,
        Bug::LeavesOrderToChance,
        "which of two links is asked first is left to chance",
        "one_seed_is_one_run",
        one_seed_is_one_run,
    ),
];
