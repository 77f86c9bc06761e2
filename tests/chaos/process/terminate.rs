//! SIGTERM: the polite end.

use super::super::kit::PLAIN;
use super::super::stage::{BOUND, Stage};
use super::super::trial::Trial;
use crate::harness::node::{Node, free_address};
use aqueduct_stack::Part;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// A drain was cut: a manifest says what will be replayed.
const CUT: i32 = 74;
/// The default of a process that has not yet said what to do about it.
const SIGTERM: i32 = 15;

/// Each time it finishes what it has read and ends with 0, however much comes in.
pub fn under_load(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(5_000);
    let mut node = stage.node("drained");
    stage.await_progress(1_000);
    let mut longest = Duration::ZERO;
    for _ in 0..trial.times(3, 50) {
        std::thread::sleep(Duration::from_millis(trial.random.u64(0..500)));
        let asked = Instant::now();
        node.terminate();
        trial.fault();
        assert_eq!(node.exit_code(BOUND), 0, "a drain under load");
        longest = longest.max(asked.elapsed());
        let ended = Instant::now();
        node = stage.node("drained");
        stage.time_to_progress();
        trial.recovered(ended.elapsed());
    }
    trial.note(format!("the longest drain took {:.1} s", longest.as_secs_f64()));
    stage.judge(trial, load, vec![node]);
}

/// With the database silent a drain cannot end; the second signal cuts it, and the manifest says what is replayed.
pub fn twice(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(5_000);
    let mut node = stage.node("cut");
    for _ in 0..trial.times(1, 10) {
        stage.time_to_progress();
        stage.world.stack().pause(Part::Timescale).expect("pause the database");
        // So that something is on its way for certain.
        std::thread::sleep(Duration::from_millis(300));
        node.terminate();
        std::thread::sleep(Duration::from_millis(100));
        let asked = Instant::now();
        node.terminate();
        trial.fault();
        assert_eq!(node.exit_code(BOUND), CUT, "the second SIGTERM cuts the drain");
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(5), "the second SIGTERM took {took:?}");
        stage.world.stack().resume(Part::Timescale).expect("resume the database");
        let log = stage.world.folder().join("cut.log");
        assert_manifest(&stage, &std::fs::read_to_string(&log).expect("a log"));
        std::fs::remove_file(log).expect("the next manifest is another one");
        let began = Instant::now();
        node = stage.node("cut");
        stage.time_to_progress();
        trial.recovered(began.elapsed());
    }
    stage.judge(trial, load, vec![node]);
}

/// A line for each partition that was not finished; the next start reads from no later than there.
fn assert_manifest(stage: &Stage, log: &str) {
    let lines = log.lines().filter_map(|line| line.strip_prefix("will be replayed: "));
    let entries: Vec<serde_json::Value> =
        lines.map(|line| serde_json::from_str(line).expect("an entry of the manifest")).collect();
    assert!(!entries.is_empty(), "nothing is said to be replayed:\n{log}");
    let sql = stage.world.sql();
    for entry in entries {
        let partition = i32::try_from(entry["partition"].as_i64().expect("a partition")).expect("small");
        let from = entry["replay_from"].as_i64().expect("a claimed partition");
        const QUERY: &str = "SELECT next_offset FROM aqueduct.offsets \
                             WHERE topology = $1 AND sink = 'history' AND partition = $2";
        let next: i64 = sql.rows(QUERY, &[&stage.topology, &partition])[0].get(0);
        // A commit whose answer never came may have moved it on.
        assert!(from <= next, "partition {partition}: {from} is to be replayed, {next} is next");
    }
}

/// Nothing answers, at any moment of the start: it ends soon, and nothing is held against it.
pub fn at_start_with_everything_down(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(1_000);
    let [kafka, timescale, redis] = std::array::from_fn(|_| free_address().to_string());
    let (timescale, redis) = (format!("postgres://nobody@{timescale}/none"), format!("redis://{redis}/0"));
    let nowhere = [("KAFKA_BOOTSTRAP", &*kafka), ("TIMESCALE_URL", &*timescale), ("REDIS_URL", &*redis)];
    for start in 0..trial.times(4, 40) {
        let mut node = stage.node_with("early", &[], &nowhere);
        if start == 0 {
            node.await_ready(503, BOUND);
            assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200), "it lives and waits");
        } else {
            std::thread::sleep(Duration::from_millis(trial.random.u64(0..1_500)));
        }
        trial.fault();
        let asked = Instant::now();
        node.terminate();
        let status = node.exit_status(BOUND);
        assert!(
            status.code() == Some(0) || status.signal() == Some(SIGTERM),
            "nothing was read, so nothing was cut: {status}; log:\n{}",
            node.log()
        );
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(10), "the end took {took:?}; log:\n{}", node.log());
    }
    let node: Node = stage.node("early");
    let began = Instant::now();
    stage.time_to_progress();
    trial.recovered(began.elapsed());
    stage.judge(trial, load, vec![node]);
}
