//! A server that is gone, silent, or full.

use super::super::process::PLAIN;
use super::super::stage::{BOUND, Stage, connect};
use super::super::trial::Trial;
use super::time_to_catch_up;
use super::watch::Watch;
use crate::e2e::node::Node;
use crate::e2e::wait;
use aqueduct_stack::Part;
use bb8_redis::redis::{self, Connection};
use std::time::Duration;

/// How long rows may take to come while the cache is away; far less than any timeout of the cache.
const UNHURT_MAX: Duration = Duration::from_secs(3);

/// Stopped in order and killed by turns; after a kill it comes back empty.
pub fn stopped(trial: &mut Trial<'_>) {
    let times = trial.times(2, 20);
    outages(
        trial,
        times,
        |stage, outage| {
            let stack = stage.world.stack();
            if outage % 2 == 0 { stack.stop(Part::Redis) } else { stack.kill(Part::Redis) }
                .expect("end Redis");
        },
        |stage| stage.world.stack().start(Part::Redis).expect("start Redis"),
    );
}

/// Its connections stay open, and nothing comes.
pub fn black_holed(trial: &mut Trial<'_>) {
    // It takes a timeout to know of it.
    let times = trial.times(1, 20);
    outages(
        trial,
        times,
        |stage, _| stage.world.stack().pause(Part::Redis).expect("pause Redis"),
        |stage| stage.world.stack().resume(Part::Redis).expect("resume Redis"),
    );
}

/// It refuses to grow.
pub fn out_of_memory(trial: &mut Trial<'_>) {
    let limit = |stage: &Stage, bytes: u64| {
        let mut redis = connect(&stage.redis_url);
        set(&mut redis, "maxmemory-policy", "noeviction");
        set(&mut redis, "maxmemory", &bytes.to_string());
    };
    let times = trial.times(2, 20);
    outages(trial, times, move |stage, _| limit(stage, 1), move |stage| limit(stage, 0));
}

fn set(redis: &mut Connection, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value);
    command.exec(redis).expect("CONFIG SET");
}

/// Begins and ends an outage so many times. Rows flow on through it; keys never go back; all comes right by itself.
fn outages(trial: &mut Trial<'_>, times: u32, begin: impl Fn(&Stage, u32), end: impl Fn(&Stage)) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(2_000);
    let node = stage.node("cached");
    stage.await_progress(1_000);
    let watch = Watch::start(&stage, &stage.redis_url);
    for outage in 0..times {
        begin(&stage, outage);
        trial.fault();
        await_waiting(&node);
        let unhurt = stage.time_to_progress();
        assert!(unhurt < UNHURT_MAX, "rows waited {unhurt:?} for a cache that is away");
        std::thread::sleep(trial.seconds(1, 20));
        end(&stage);
        trial.recovered(time_to_catch_up(&stage));
    }
    let looks = watch.end();
    trial.note(format!("no key went back in {looks} looks at each"));
    stage.judge(trial, load, vec![node]);
}

/// Waits until the cache is said to wait, with a reason.
fn await_waiting(node: &Node) {
    wait::until("the cache to be known as away", BOUND, || {
        let (_, body) = node.get("/api/actors")?;
        let actors: serde_json::Value = serde_json::from_str(&body).ok()?;
        let cache = actors.as_array()?.iter().find(|actor| actor["name"] == "cache")?.clone();
        (cache["state"] == "waiting" && cache["reason"].as_str().is_some_and(|why| !why.is_empty()))
            .then_some(())
    });
}
