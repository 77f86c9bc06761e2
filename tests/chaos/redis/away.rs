//! A server that is gone, silent, or full.

use super::super::stage::{BOUND, Stage, connect};
use super::super::trial::Trial;
use super::watch::Watch;
use super::{WITH_REPLICA, time_to_catch_up};
use crate::harness::node::Node;
use crate::harness::wait;
use aqueduct_stack::Part;
use bb8_redis::redis::{self, Connection};
use std::time::Duration;

/// How long rows may take to come while the cache is away; far less than any timeout of the cache.
const UNHURT_MAX: Duration = Duration::from_secs(3);

/// In order: what it has is saved, and there again afterwards.
pub fn stopped(trial: &mut Trial<'_>) {
    let stop = |stage: &Stage| stage.world.stack().stop(Part::Redis).expect("stop Redis");
    let start = |stage: &Stage| stage.world.stack().start(Part::Redis).expect("start Redis");
    let times = trial.times(2, 20);
    outages(trial, times, Data::Kept, stop, start);
}

/// It comes back with what it last saved, or with nothing.
pub fn killed(trial: &mut Trial<'_>) {
    let kill = |stage: &Stage| stage.world.stack().kill(Part::Redis).expect("kill Redis");
    let start = |stage: &Stage| stage.world.stack().start(Part::Redis).expect("start Redis");
    let times = trial.times(2, 20);
    outages(trial, times, Data::Lost, kill, start);
}

/// Its connections stay open, and nothing comes.
pub fn black_holed(trial: &mut Trial<'_>) {
    let pause = |stage: &Stage| stage.world.stack().pause(Part::Redis).expect("pause Redis");
    let resume = |stage: &Stage| stage.world.stack().resume(Part::Redis).expect("resume Redis");
    // It takes a timeout to know of it.
    let times = trial.times(1, 20);
    outages(trial, times, Data::Kept, pause, resume);
}

/// It refuses to grow.
pub fn out_of_memory(trial: &mut Trial<'_>) {
    let limit = |stage: &Stage, bytes: u64| {
        let mut redis = connect(&stage.redis_url);
        set(&mut redis, "maxmemory-policy", "noeviction");
        set(&mut redis, "maxmemory", &bytes.to_string());
    };
    let times = trial.times(2, 20);
    outages(trial, times, Data::Kept, |stage| limit(stage, 1), |stage| limit(stage, 0));
}

/// What an outage does to what the server has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Kept,
    Lost,
}

/// `CONFIG SET`.
pub fn set(redis: &mut Connection, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(name).arg(value);
    command.exec(redis).expect("CONFIG SET");
}

/// Begins and ends an outage so many times. Rows flow on through it, no key goes back, and all comes right by itself.
fn outages(trial: &mut Trial<'_>, times: u32, data: Data, begin: impl Fn(&Stage), end: impl Fn(&Stage)) {
    let stage = Stage::set(trial, WITH_REPLICA);
    let load = stage.load(2_000);
    let node = stage.node("cached");
    stage.await_progress(1_000);
    let watch = (data == Data::Kept).then(|| Watch::start(&stage, &stage.redis_url));
    for _ in 0..times {
        begin(&stage);
        trial.fault();
        await_waiting(&node, "");
        let unhurt = stage.time_to_progress();
        assert!(unhurt < UNHURT_MAX, "rows waited {unhurt:?} for a cache that is away");
        std::thread::sleep(trial.seconds(1, 20));
        end(&stage);
        trial.recovered(time_to_catch_up(&stage));
    }
    if let Some(watch) = watch {
        trial.note(format!("no key went back in {} looks at each", watch.end()));
    }
    stage.judge(trial, load, vec![node]);
}

/// Waits until the cache is said to wait, for a reason that names `what`; gives the reason.
pub fn await_waiting(node: &Node, what: &str) -> String {
    wait::until(&format!("the cache to wait {what}"), BOUND, || {
        let (_, body) = node.get("/api/actors")?;
        let actors: serde_json::Value = serde_json::from_str(&body).ok()?;
        let cache = actors.as_array()?.iter().find(|actor| actor["name"] == "cache")?;
        let why = cache["reason"].as_str().filter(|_| cache["state"] == "waiting")?;
        (!why.is_empty() && why.contains(what)).then(|| why.to_owned())
    })
}
