//! A quality gate with its verdicts, and a cache whose Redis is its own: it can be short of memory without anybody else.

use super::super::stage::{RATE, Stage};
use super::Play;
use crate::harness::topologies::TRADES;
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::Part;
use bb8_redis::redis::{self, Commands, Connection};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the engine may take to look at a cache.
const SEEN_MAX: Duration = Duration::from_secs(60);
/// More than the flow has, so that none is forgotten.
const KEYS_MAX: u64 = 60;

pub fn gated() -> String {
    let gate = "  gate: { kind: quality_gate, from: trades, by: [k], every: 1s, policy: required, keys_max: {keys_max}, rules: { stale_after: 8s } }
  verdicts: { kind: redis_cache, from: gate, key: \"{prefix}gate:{k}\", value: [verdict, at, score, reason], order_by: at, ttl: 10s, policy: best_effort }
";
    format!("{TRADES}{}", gate.replace("{keys_max}", &KEYS_MAX.to_string()))
}

/// The stack's second Redis follows nobody any more.
pub fn alone(world: &World) {
    let address = world.stack().address(Part::Replica).expect("it was asked for");
    let client = redis::Client::open(address).expect("a Redis address");
    let mut connection = client.get_connection().expect("connect to Redis");
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").exec(&mut connection).expect("it is its own master");
}

fn connect(stage: &Stage) -> Connection {
    let client = redis::Client::open(stage.redis_url()).expect("a Redis address");
    client.get_connection().expect("connect to Redis")
}

pub fn gates(play: &Play<'_>) {
    std::thread::scope(|scope| {
        scope.spawn(|| drifts(play));
        scope.spawn(|| {
            misses(play);
            evicts(play);
        });
        scope.spawn(|| judges(play));
    });
}

/// A key that holds something else takes no value, and readers find none there.
fn drifts(play: &Play<'_>) {
    let stage = play.stage;
    let key = format!("{}K07", stage.world.prefix);
    let inject = || {
        let mut redis = connect(stage);
        let () = redis.set(&key, "text").expect("set it");
    };
    let end = || {
        let () = connect(stage).del(&key).expect("delete it");
    };
    let alerts = ["AqueductCacheIncomplete", "AqueductCacheDrifted"];
    play.strikes("somebody writes a text where a cache keeps its values", &alerts, inject, end);
}

/// Readers count for themselves, and ask for what is not there.
fn misses(play: &Play<'_>) {
    let stage = play.stage;
    let reads = format!("aqueduct:reads:trades-{}:cache", stage.world.topic);
    let count = |outcome: &str, reads_of_it: u64| {
        let () = connect(stage).hincr(&reads, outcome, reads_of_it).expect("count");
    };
    // What was read before the first look says nothing.
    count("hit", 1);
    wait::until("readers' counts to be looked at", SEEN_MAX, || {
        let (_, page) = stage.with_node(|node| node.get("/metrics"))?;
        page.lines()
            .any(|line| line.starts_with("aqueduct_cache_reads_total{") && line.contains("\"readers\""))
            .then_some(())
    });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let inject = || {
            // The share is that of the last minute.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    count("miss", 100);
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
        };
        let end = || {
            over.store(true, Ordering::Relaxed);
            count("hit", 1_000_000);
        };
        play.strikes("readers ask for keys that nobody writes", &["AqueductCacheMisses"], inject, end);
    });
}

/// The server may use less memory than it does, and throws out what has a time to live.
fn evicts(play: &Play<'_>) {
    const BALLAST_KEYS: usize = 2_000;
    const SHORT_BYTES: u64 = 400_000;
    let stage = play.stage;
    let mut redis = connect(stage);
    let mut ballast = redis::pipe();
    for number in 0..BALLAST_KEYS {
        ballast.set_ex(format!("ballast:{number}"), "x".repeat(1_000), 3_600).ignore();
    }
    let () = ballast.query(&mut redis).expect("ballast");
    let info: String = redis::cmd("INFO").arg("memory").query(&mut redis).expect("what it says of itself");
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("its memory");
    let used: u64 = used.trim().parse().expect("a number");
    let mut set = |name: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut redis).expect("set it");
    };
    set("maxmemory-policy", "volatile-random");
    let limit = (used - SHORT_BYTES).to_string();
    let set = std::cell::RefCell::new(set);
    let (inject, end) = (|| set.borrow_mut()("maxmemory", &limit), || set.borrow_mut()("maxmemory", "0"));
    play.strikes("Redis may use less memory than it does", &["AqueductCacheEvicts"], inject, end);
}

/// What the gate itself says, or does not.
fn judges(play: &Play<'_>) {
    let stage = play.stage;
    let (inject, end) = (|| stage.flow.rate(0), || stage.flow.rate(RATE));
    let alerts = ["AqueductQualityLow", "AqueductGateHalted"];
    play.strikes("the sender falls silent, under a gate", &alerts, inject, end);
    let inject = || stage.order("/api/actors/gate/stop");
    let end = || stage.order("/api/actors/gate/start");
    play.strikes("an operator stops a gate", &["AqueductGateSilent"], inject, end);
    // Last, for those that do not come again are halted from then on.
    let (inject, end) = (|| stage.flow.keys(KEYS_MAX + 20), || stage.flow.keys_as_ever());
    play.strikes("more keys than a gate may know", &["AqueductGateIncomplete"], inject, end);
}
