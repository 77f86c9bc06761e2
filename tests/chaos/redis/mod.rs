//! What happens to the cache. Rows go on to the table meanwhile: the branch to the cache is best-effort.

mod away;
mod heal;
mod replica;
mod watch;

use super::scenario::Scenario;
use super::stage::{BOUND, Stage, connect};
use super::trial::Kit;
use crate::harness::wait;
use aqueduct_stack::{Lifetime, Options, Part, Stack, progress};
use bb8_redis::redis::Commands;
use std::time::{Duration, Instant};

pub const SCENARIOS: &[Scenario] = &[
    Scenario::short("redis.stopped", away::stopped),
    Scenario::short("redis.killed", away::killed),
    Scenario::short("redis.black_holed", away::black_holed),
    Scenario::short("redis.failed_over_readonly", replica::failed_over_readonly),
    Scenario::short("redis.loading", replica::loading),
    Scenario::short("redis.out_of_memory", away::out_of_memory),
    Scenario::short("redis.flushall_then_cache_rebuild", heal::flushall_then_cache_rebuild),
    Scenario::short("redis.replay_of_old_batches_lowers_nothing", heal::replay_of_old_batches_lowers_nothing),
];

/// One broker, one database, a cache and its replica.
const WITH_REPLICA: Kit = Kit { name: "with a replica", up: with_replica };

fn with_replica() -> Stack {
    let mut options = Options::from_env("chaos", Lifetime::Private).unwrap_or_else(|error| panic!("{error}"));
    options.parts.push(Part::Replica);
    Stack::up(&options, &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

/// How long from now until the cache has caught up with the rows there are now.
fn time_to_catch_up(stage: &Stage) -> Duration {
    let began = Instant::now();
    let row = &stage.world.sql().rows("SELECT k, id FROM market.trades ORDER BY id DESC LIMIT 1", &[])[0];
    let (key, newest): (String, i64) = (row.get(0), row.get(1));
    let key = format!("{}{key}", stage.world.prefix);
    let mut redis = connect(&stage.redis_url);
    wait::until("the cache to catch up", BOUND, || {
        let id: Option<i64> = redis.hget(&key, "id").ok()?;
        id.filter(|id| *id >= newest)
    });
    began.elapsed()
}
