//! The topic itself changes under a reader.

use super::super::kit::PLAIN;
use super::super::load::Load;
use super::super::stage::{BOUND, Stage, chaos_with};
use super::super::trial::Trial;
use super::{Admin, decide, partitions_at};
use crate::harness::wait;
use crate::harness::world::PARTITIONS;
use futures::executor::block_on;
use rdkafka::admin::NewPartitions;
use std::time::{Duration, Instant};

const TOLD_MAX: Duration = Duration::from_secs(20);
const GROWN: u32 = 2 * PARTITIONS;
const GROWN_AGAIN: u32 = 3 * PARTITIONS;

/// Partitions come while both sides run, and while no node does. What is sent to them before the group notices is read as
/// well, even where the file says `start: latest`: that is about what was there before the topology.
pub fn grown(trial: &mut Trial<'_>) {
    let stage = Stage::set_as(trial, PLAIN, &chaos_with("start: latest"));
    let nodes = vec![stage.node("one"), stage.node("two")];
    await_claims(&stage, PARTITIONS);
    let before = stage.load(500);
    stage.await_progress(500);
    grow(&stage, GROWN);
    let began = Instant::now();
    trial.fault();
    let mut sent = before.stop();
    let load = Load::start_from(stage.client(), &stage.world.topic, GROWN, 500, sent + 1);
    await_claims(&stage, GROWN);
    trial.recovered(began.elapsed());
    for node in nodes {
        node.terminate();
        assert_eq!(node.exit_code(BOUND), 0, "a node drains to its end");
    }
    grow(&stage, GROWN_AGAIN);
    trial.fault();
    sent += load.stop();
    let load = Load::start_from(stage.client(), &stage.world.topic, GROWN_AGAIN, 500, sent + 1);
    std::thread::sleep(Duration::from_secs(1));
    let began = Instant::now();
    let node = stage.node("three");
    await_claims(&stage, GROWN_AGAIN);
    trial.recovered(began.elapsed());
    stage.judge(trial, load, vec![node]);
}

fn grow(stage: &Stage, partitions: u32) {
    let more = NewPartitions::new(&stage.world.topic, partitions as usize);
    let made =
        block_on(Admin::of(stage).0.create_partitions([&more], &Admin::patience())).expect("an answer");
    made.into_iter().for_each(|topic| drop(topic.expect("partitions are made")));
}

fn await_claims(stage: &Stage, partitions: u32) {
    wait::until(&format!("{partitions} partitions claimed"), BOUND, || {
        (partitions_at(stage, "epoch").len() == partitions as usize).then_some(())
    });
}

/// A topic of the same name is another one: offsets of before mean nothing in it, and nothing is read until somebody
/// decides. After that all of it is.
pub fn deleted_and_recreated(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(3_000);
    let node = stage.node("reader");
    stage.await_progress(6_000);
    let sent = load.stop();
    stage.await_progress(sent as i64);
    let old = stage.log();
    let stack = stage.world.stack();
    stack.delete_topic(&stage.world.topic).expect("deleted");
    stack.create_topic(&stage.world.topic, PARTITIONS, &[]).expect("made anew");
    trial.fault();
    let load = Load::start_from(stage.client(), &stage.world.topic, PARTITIONS, 200, sent + 1);
    let told = wait::until("/readyz says what to decide", TOLD_MAX, || {
        node.get("/readyz").filter(|(status, body)| *status == 503 && body.contains("offsets reset"))
    });
    trial.note(told.1);
    std::thread::sleep(Duration::from_secs(1));
    let anew = stage.log().ids.len();
    assert!(anew > 0, "the new topic has records");
    let rows = stage.rows();
    assert_eq!(rows, Some(sent as i64), "nothing of the new topic is read before somebody decides");
    let starts = (0..PARTITIONS as i32).map(|partition| (partition, 0)).collect();
    decide(&stage, &starts, "--write-again");
    trial.recovered(stage.time_to_progress());
    load.stop();
    stage.judge_logs(trial, vec![node], &[old]);
}
