//! What seeds have found, each as the shortest run that shows it: who hangs, what a failover forgets, what nobody gives
//! back. Calm but for what is done on purpose, so each is one run for ever, whatever becomes of the seeds.

use super::schedule::{Act, End, Schedule};
use super::sweep::Run;
use super::workload::{Fate, Sent, Shape, Workload};
use aqueduct_actors::stand_in::{Crash, Handover, Trouble};
use std::time::Duration;

const SHAPE: Shape = Shape {
    strategy: "one_for_one",
    clones: 1,
    history: (1, 5),
    copy: None,
    cache_required: false,
    link: (4, 4000),
};

/// Records of partition 0, each sent at so many milliseconds.
fn sent<const N: usize>(moments: [(u64, Fate); N]) -> Vec<Sent> {
    let record = |(id, (at, fate)): (usize, (u64, Fate))| Sent::new(id as i64 + 1, 0, at, fate, 0, "ann");
    moments.into_iter().enumerate().map(record).collect()
}

fn holds(shape: &Shape, records: Vec<Sent>, schedule: Schedule) {
    let run = Run { seed: 1, workload: Workload::with(shape, 1, records), schedule };
    if let Some(failure) = run.failure() {
        panic!("{failure}");
    }
}

fn away(actor: &'static str, from_ms: u64, seconds: u64) -> (u64, Act) {
    (from_ms, Act::Trouble { actor, what: Trouble::Away, lasting: Duration::from_secs(seconds) })
}

fn freeze(at_ms: u64, actor: &'static str) -> (u64, Act) {
    (at_ms, Act::Crash { node: 0, actor, how: Crash::Freeze })
}

#[test]
fn a_letter_that_a_failover_lost_is_written_again() {
    // The letter is durable; the offset moves over its record after the failover, and no offset was lost by it.
    let acts = vec![away("history", 0, 6), (500, Act::BackUp), (3000, Act::FailOver)];
    let records = sent([(1000, Fate::Rejected("trades", "event_time")), (1000, Fate::Written)]);
    holds(&SHAPE, records, Schedule::script(acts, End::Drain));
}

#[test]
fn an_offset_of_a_cache_that_a_failover_lost_is_told_again() {
    // The writer's offset is as it was: nothing else betrays that the database went back.
    for cache_required in [true, false] {
        let acts = vec![(2200, Act::BackUp), (4000, Act::FailOver)];
        let records = sent([(1500, Fate::Written), (1700, Fate::Written)]);
        holds(&Shape { cache_required, ..SHAPE }, records, Schedule::script(acts, End::Drain));
    }
}

#[test]
fn a_source_that_hangs_is_neither_idle_nor_left_alone() {
    for end in [End::Drain, End::DrainWhenIdle] {
        let records = sent([(100, Fate::Written), (5000, Fate::Written)]);
        holds(&SHAPE, records, Schedule::script(vec![freeze(2000, "ticks")], end));
    }
}

#[test]
fn who_hangs_while_it_is_held_up_is_found_when_nothing_holds_it_up_any_more() {
    for actor in ["ticks", "trades"] {
        let records = sent([(0, Fate::Written); 40].map(|(_, fate)| (100, fate)));
        let spread = records.into_iter().enumerate().map(|(index, sent)| {
            let at_ms = 100 + 20 * index as u64;
            Sent::new(sent.id, 0, at_ms, sent.fate, 0, sent.who)
        });
        let acts = vec![away("history", 0, 12), freeze(4000, actor)];
        holds(&SHAPE, spread.collect(), Schedule::script(acts, End::Drain));
    }
}

#[test]
fn a_cache_that_hangs_with_nothing_to_do_is_found_all_the_same() {
    // It has written everything, and hangs before it has told how far it has come.
    let shape = Shape { cache_required: true, ..SHAPE };
    let records = sent([(1500, Fate::Written), (1700, Fate::Written)]);
    holds(&shape, records, Schedule::script(vec![freeze(2000, "last")], End::Drain));
}

#[test]
fn what_an_earlier_life_of_a_source_had_claimed_is_given_back() {
    // It crashes as its partition goes to another node, so nobody was told to let go of what is in flight.
    let acts = vec![
        away("history", 0, 6),
        (2000, Act::HandOver { partition: None, to: 1, how: Handover::Sudden }),
        (2000, Act::Crash { node: 0, actor: "ticks", how: Crash::Error }),
    ];
    let schedule = Schedule { nodes: 2, ..Schedule::script(acts, End::Drain) };
    holds(&SHAPE, sent([(1000, Fate::Written)]), schedule);
}
