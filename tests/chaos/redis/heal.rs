//! What was lost is brought back; what is old lowers nothing.

use super::super::stage::{BOUND, Stage, connect};
use super::super::trial::Trial;
use super::watch::Watch;
use super::{WITH_REPLICA, time_to_catch_up};
use crate::harness::wait;
use bb8_redis::redis;
use serde_json::Value;
use std::time::Instant;

/// FLUSHALL while nothing comes that would fill the cache again, then while trades flow: `cache rebuild` brings every
/// key back, beside a node at work.
pub fn flushall_then_cache_rebuild(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, WITH_REPLICA);
    let load = stage.load(5_000);
    let node = stage.node("flushed");
    stage.await_progress(5_000);
    for round in 0..trial.times(2, 20) {
        let quiet = round % 2 == 0;
        if quiet {
            stage.await_progress(i64::try_from(load.paused()).expect("a count"));
            stage.await_fresh_cache();
        }
        let mut redis = connect(&stage.redis_url);
        redis::cmd("FLUSHALL").exec(&mut redis).expect("FLUSHALL");
        trial.fault();
        if quiet {
            let keys: u64 = redis::cmd("DBSIZE").query(&mut redis).expect("a number");
            assert_eq!(keys, 0, "nobody fills it by himself");
            let would = rebuild(&stage, &["--dry-run"]);
            assert_eq!((&would["written"], &would["as_new"]), (&64.into(), &0.into()), "{would}");
            let keys: u64 = redis::cmd("DBSIZE").query(&mut redis).expect("a number");
            assert_eq!(keys, 0, "a dry run writes nothing");
        }
        let watch = Watch::start(&stage, &stage.redis_url);
        let began = Instant::now();
        let done = rebuild(&stage, &[]);
        trial.recovered(began.elapsed());
        if quiet {
            assert_eq!(done["written"], 64, "{done}");
            let again = rebuild(&stage, &[]);
            assert_eq!((&again["written"], &again["as_new"]), (&0.into(), &64.into()), "{again}");
        }
        load.go_on();
        time_to_catch_up(&stage);
        watch.end();
    }
    stage.judge(trial, load, vec![node]);
}

/// `aqueduct cache rebuild`, and its answer about the one cache.
fn rebuild(stage: &Stage, flags: &[&str]) -> Value {
    let file = stage.file.to_str().expect("a plain path");
    let arguments = [&["cache", "rebuild", file, "--format", "json"], flags].concat();
    let output = stage.world.run(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    answer[0].clone()
}

/// The cache is given everything again, from the beginning of the log, while newer values stand.
pub fn replay_of_old_batches_lowers_nothing(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, WITH_REPLICA);
    let load = stage.load(5_000);
    let mut node = stage.node("replayed");
    stage.await_progress(10_000);
    for _ in 0..trial.times(2, 20) {
        stage.await_progress(i64::try_from(load.paused()).expect("a count"));
        node.terminate();
        assert_eq!(node.exit_code(BOUND), 0);
        const BACK: &str =
            "UPDATE aqueduct.offsets SET next_offset = 0 WHERE sink = 'cache' AND topology = $1 RETURNING 1";
        let partitions = stage.world.sql().rows(BACK, &[&stage.topology]).len();
        assert!(partitions > 0, "the cache has offsets of its own");
        trial.fault();
        let watch = Watch::start(&stage, &stage.redis_url);
        node = stage.node("replayed");
        let began = Instant::now();
        // What is older than what stands there is refused, key by key.
        let refused = wait::until("old values to be refused", BOUND, || {
            Some(node.metric("aqueduct_cache_stale_total")?).filter(|stale| *stale > 0.0)
        });
        load.go_on();
        time_to_catch_up(&stage);
        trial.recovered(began.elapsed());
        let looks = watch.end();
        trial.note(format!("{refused} old values refused, {looks} looks at each key"));
    }
    stage.judge(trial, load, vec![node]);
}
