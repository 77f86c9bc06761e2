//! The socket stays open and nobody answers: the connection must be given up in bounded time.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, STARTED_WITHIN, await_struck, await_waiting};
use crate::harness::wait;
use crate::harness::wire::{How, Moment, When};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a node may hold on to what is silent: its longest wait is for COMMIT, half of this.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(60);

/// Every session is lost, and who connects anew finds a server that takes the connection and says nothing.
pub fn in_connect(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = stage.wire();
    let load = stage.load(RATE);
    let node = stage.wired("unheard", &wire);
    stage.await_progress(FIRST);
    for _ in 0..trial.times(1, 10) {
        let before = wire.struck();
        wire.strike_each(Moment::Connect, When::Before, How::Silence, u32::MAX);
        wire.reset();
        trial.fault();
        await_struck(&wire, before + 1);
        let silent = Instant::now();
        await_waiting(&node, &["no answer"]);
        assert!(
            silent.elapsed() < GIVEN_UP_WITHIN / 2,
            "a silent connect held it for {:?}",
            silent.elapsed()
        );
        wire.clear();
        trial.recovered(stage.time_to_progress());
    }
    stage.judge(trial, load, vec![node]);
}

/// Nothing flows when the network falls silent: it shows before the next record comes.
pub fn while_idle(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = stage.wire();
    let load = stage.load(RATE);
    let node = stage.wired("idle", &wire);
    stage.await_progress(FIRST);
    for _ in 0..trial.times(1, 10) {
        load.pause();
        wait::until("everything is written", GIVEN_UP_WITHIN, || {
            (node.ledger("in_flight") == 0 && node.ledger("read") as u64 >= load.sent()).then_some(())
        });
        wire.silence();
        trial.fault();
        await_waiting(&node, &[]);
        wire.clear();
        load.go_on();
        trial.recovered(stage.time_to_progress());
    }
    stage.judge(trial, load, vec![node]);
}

/// Two nodes at once: the rows of one go nowhere, the COMMIT of the other has no answer, or has not arrived.
pub fn in_copy_and_commit(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wires = [stage.wire(), stage.wire()];
    let load = stage.load(RATE);
    let names = ["in-copy", "in-commit"];
    let nodes: Vec<_> = names.iter().zip(&wires).map(|(name, wire)| stage.wired(name, wire)).collect();
    wait::until("both nodes write", STARTED_WITHIN, || {
        let positions = positions(&stage);
        (positions.len() == 2 && positions.values().all(|sum| *sum > FIRST / 4)).then_some(())
    });
    for _ in 0..trial.times(1, 20) {
        let when = if trial.random.bool() { When::Before } else { When::After };
        let before = wires.each_ref().map(|wire| wire.struck());
        wires[0].strike(Moment::CopyData, when, How::Silence);
        wires[1].strike(Moment::Commit, when, How::Silence);
        for (wire, before) in wires.iter().zip(before) {
            await_struck(wire, before + 1);
            trial.fault();
        }
        for recovery in each_moves_on(&stage) {
            trial.recovered(recovery);
        }
    }
    stage.judge(trial, load, nodes);
    super::none_rejected(trial);
}

/// How far the partitions of each node are written.
fn positions(stage: &Stage) -> BTreeMap<String, i64> {
    const QUERY: &str = "SELECT node, sum(next_offset)::bigint FROM aqueduct.offsets WHERE topology = $1 \
                         AND sink = 'history' GROUP BY node";
    let rows = stage.world.sql().rows(QUERY, &[&stage.topology]);
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// How long from now until each of the nodes has written more.
fn each_moves_on(stage: &Stage) -> Vec<Duration> {
    let (began, before) = (Instant::now(), positions(stage));
    let mut took = BTreeMap::new();
    wait::until("every node writes again", GIVEN_UP_WITHIN, || {
        for (node, sum) in positions(stage) {
            if before.get(&node).is_some_and(|before| sum > *before) {
                took.entry(node).or_insert_with(|| began.elapsed());
            }
        }
        (took.len() == before.len()).then_some(())
    });
    took.into_values().collect()
}
