//! Runs made on purpose, each the shortest that shows one thing: who hangs, what a failover forgets, what nobody gives
//! back. Calm but for what is done, so each is one run for ever, whatever becomes of the seeds that first showed it.

use super::schedule::{Act, End, Schedule};
use super::sweep::Run;
use super::workload::{Fate, Sent, Shape, Workload};
use aqueduct_actors::stand_in::{Crash, Handover, Trouble};
use std::time::Duration;

const SHAPE: Shape = Shape {
    strategy: "one_for_one",
    clones: 1,
    history: (1, 5),
    transactions: 1,
    copy: None,
    cache_required: false,
    link: (4, 4000),
};

/// Records of partition 0, each sent at so many milliseconds.
fn sent<const N: usize>(moments: [(u64, Fate); N]) -> Vec<Sent> {
    let record = |(id, (at, fate)): (usize, (u64, Fate))| Sent::new(id as i64 + 1, 0, at, fate, 0, "ann");
    moments.into_iter().enumerate().map(record).collect()
}

/// Those records through a topology of that shape, and nothing left to chance but how long an answer takes.
fn run(shape: &Shape, records: Vec<Sent>, schedule: Schedule) -> Run {
    Run { seed: 1, workload: Workload::with(shape, 1, records), schedule }
}

fn script(acts: Vec<(u64, Act)>) -> Schedule {
    Schedule::script(acts, End::Drain)
}

fn away(actor: &'static str, from_ms: u64, seconds: u64) -> (u64, Act) {
    (from_ms, Act::Trouble { actor, what: Trouble::Away, lasting: Duration::from_secs(seconds) })
}

fn freeze(at_ms: u64, actor: &'static str) -> (u64, Act) {
    (at_ms, Act::Crash { node: 0, actor, how: Crash::Freeze })
}

/// More than the links hold, one after the other.
fn many() -> Vec<Sent> {
    (0..40).map(|index| Sent::new(index + 1, 0, 100 + 20 * index as u64, Fate::Written, 0, "ann")).collect()
}

/// The letter is durable; the offset moves over its record after a failover that lost no offset.
pub fn a_letter_is_lost_in_a_failover() -> Run {
    let acts = vec![away("history", 0, 6), (500, Act::BackUp), (3000, Act::FailOver)];
    run(&SHAPE, sent([(1000, Fate::Rejected("trades", "event_time")), (1000, Fate::Written)]), script(acts))
}

/// The cache has told how far it has come; the writer's offset is as it was, so nothing else betrays the failover.
pub fn an_offset_of_a_cache_is_lost_in_a_failover(cache_required: bool) -> Run {
    let acts = vec![(2200, Act::BackUp), (4000, Act::FailOver)];
    let records = sent([(1500, Fate::Written), (1700, Fate::Written)]);
    run(&Shape { cache_required, ..SHAPE }, records, script(acts))
}

/// What it said last is that it has read everything.
pub fn a_source_hangs(end: End) -> Run {
    let records = sent([(100, Fate::Written), (5000, Fate::Written)]);
    run(&SHAPE, records, Schedule::script(vec![freeze(2000, "ticks")], end))
}

/// What it said last is that an output is full.
pub fn an_actor_hangs_while_it_is_held_up(actor: &'static str) -> Run {
    run(&SHAPE, many(), script(vec![away("history", 0, 12), freeze(4000, actor)]))
}

/// It has written everything, and hangs before it has told how far it has come.
pub fn a_cache_hangs_with_nothing_to_do() -> Run {
    let records = sent([(1500, Fate::Written), (1700, Fate::Written)]);
    run(&Shape { cache_required: true, ..SHAPE }, records, script(vec![freeze(2000, "last")]))
}

/// A source crashes as its partition goes to another node, so nobody is told to let go of what is in flight.
pub fn a_partition_goes_while_its_source_is_down() -> Run {
    let acts = vec![
        away("history", 0, 6),
        (2000, Act::HandOver { partition: None, to: 1, how: Handover::Sudden }),
        (2000, Act::Crash { node: 0, actor: "ticks", how: Crash::Error }),
    ];
    run(&SHAPE, sent([(1000, Fate::Written)]), Schedule { nodes: 2, ..script(acts) })
}

/// An actor is started anew again and again, by its operator, while it holds what it cannot hand on.
pub fn an_actor_is_restarted_while_it_holds_batches(actor: &'static str) -> Run {
    let restarts = (0..4).map(|round| (2000 + 500 * round, Act::Restart { node: 0, actor, times: 6 }));
    run(&SHAPE, many(), script(std::iter::once(away("history", 0, 8)).chain(restarts).collect()))
}

/// A record kills its reader, which another process does without; the letter of the first is judged anew.
pub fn a_condemned_record_is_spared_by_the_next_process() -> Run {
    let acts = vec![away("history", 0, 15), (10_000, Act::Kill { node: 0, down: Duration::ZERO })];
    run(&SHAPE, sent([(100, Fate::Deadly("trades")), (100, Fate::Written)]), script(acts))
}

/// A record kills its reader, whose fall fells the source under that strategy.
pub fn a_record_kills_its_reader(strategy: &'static str) -> Run {
    let records = sent([(100, Fate::Written), (100, Fate::Deadly("trades")), (2000, Fate::Written)]);
    run(&Shape { strategy, ..SHAPE }, records, script(Vec::new()))
}
