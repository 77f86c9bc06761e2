//! From a fault to `halt`, whichever rule sees it; and that no verdict outlives whoever would have to renew it.

use super::{BOUND, CACHE, TRADES, Trade, feed_until, field, gate_of, now};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::Part;
use bb8_redis::redis::{Commands, Connection};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const STALE_AFTER: Duration = Duration::from_secs(2);
const TTL: Duration = Duration::from_secs(3);

const GATE: &str = r#"
  gate:
    kind: quality_gate
    from: trades
    by: [market, symbol]
    every: 250ms
    window: 2s
    rows_min: 5
    rules:
      stale_after: 2s
      gap: trade_id
      repeat: trade_id
      out_of_order: 30%
      late: { after: 2s, share: 5% }
      price_band: 20%
      crossed: { bid: bid, ask: ask }
      frozen: { field: price, rows: 5 }
      clock_skew: 1s
      nulls: { side: 10% }
    overrides:
      - { name: loose, when: 'symbol.startsWith("LOOSE")', rules: { price_band: 90%, stale_after: 1m } }
"#;

/// What the example's policy makes of a key: its first word, and whether it lets anything pass.
fn policy(world: &World, key: &str) -> (String, bool) {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/topologies/risk-gate/policy.py");
    let url = world.stack().redis_url();
    let output = Command::new("python3").arg(script).args([&*url, key, "3"]).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    (said.split(':').next().unwrap_or_default().to_owned(), output.status.success())
}

/// The log, which has an object a line; the last may not be whole yet.
fn lines(log: &str) -> Vec<Value> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    whole.lines().map(object).collect()
}

/// The rules whose faults are in what is sent, each with its symbol's.
const FAULTS: [(&str, fn(&mut Trade)); 9] = [
    ("gap", |trade| trade.id *= 2),
    ("repeat", |trade| trade.id = 1),
    ("out_of_order", |trade| trade.event_ms -= 1_500),
    ("late", |trade| trade.event_ms -= 4_000),
    ("price_band", |trade| trade.price *= 1.5),
    ("crossed", |trade| trade.crossed = true),
    ("frozen", |trade| trade.price = 100.0),
    ("clock_skew", |trade| trade.event_ms += 1_300),
    ("nulls", |trade| trade.side = false),
];

/// Each symbol has one fault from the same moment on; how long each took to halt, by its rule's word.
fn halts_after(world: &World, redis: &mut Connection, next: &mut i64) -> BTreeMap<&'static str, Duration> {
    let feed = world.feed();
    let send = |symbol: &str, id: i64, spoil: fn(&mut Trade)| {
        let mut trade = now(symbol, id);
        spoil(&mut trade);
        let (key, value, time) = trade.record();
        feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
    };
    let key = |rule: &str| format!("{}spot:{rule}", world.prefix);
    wait::until("every symbol to trade", BOUND, || {
        FAULTS.iter().for_each(|(rule, _)| send(rule, *next, |_| {}));
        ["GOOD", "LOOSE"].into_iter().for_each(|symbol| send(symbol, *next, |_| {}));
        *next += 1;
        // As many as a band wants to know.
        let is_trade = |rule: &str| field(redis, &key(rule), "verdict").as_deref() == Some("trade");
        (*next > 30 && FAULTS.map(|(rule, _)| rule).into_iter().chain(["GOOD", "LOOSE"]).all(is_trade))
            .then_some(())
    });
    let spoilt = Instant::now();
    let mut took: BTreeMap<&'static str, Duration> = BTreeMap::new();
    wait::until("every fault to halt its symbol", BOUND, || {
        FAULTS.iter().for_each(|(rule, spoil)| send(rule, *next, *spoil));
        send("GOOD", *next, |_| {});
        send("LOOSE", *next, |trade| trade.price *= 1.5);
        *next += 1;
        for (rule, _) in FAULTS.iter().filter(|(rule, _)| !took.contains_key(rule)).collect::<Vec<_>>() {
            let reason = field(redis, &key(rule), "reason").unwrap_or_default();
            let halts = field(redis, &key(rule), "verdict").as_deref() == Some("halt");
            if halts {
                assert!(reason.starts_with(&format!("{rule}:")), "{rule} halts for {reason}");
                took.insert(*rule, spoilt.elapsed());
            }
        }
        (took.len() == FAULTS.len()).then_some(())
    });
    for symbol in ["GOOD", "LOOSE"] {
        assert_ne!(field(redis, &key(symbol), "verdict").as_deref(), Some("halt"), "{symbol}");
    }
    took
}

#[test]
fn a_verdict_ends_with_its_cause_with_its_redis_and_with_its_engine() {
    let world = World::private();
    let file = world.write_topology(&format!("{TRADES}{GATE}{CACHE}"));
    world.migrate(&file);
    let node = Node::start(&world, &file, "gated", &["--log-format", "json"]);
    let mut redis = world.redis();
    let key = |symbol: &str| format!("{}spot:{symbol}", world.prefix);
    let (good, silent) = (key("GOOD"), key("SILENT"));
    assert_eq!(policy(&world, &good), ("none".to_owned(), false), "nobody speaks of it yet");
    let mut next = 1;
    let both = |redis: &mut Connection| {
        [&good, &silent]
            .iter()
            .all(|key| field(redis, key, "verdict").as_deref() == Some("trade"))
            .then_some(())
    };
    feed_until(&world, &["GOOD", "SILENT"], &mut next, "both to trade", || both(&mut redis));
    assert_eq!(policy(&world, &good), ("full".to_owned(), true));

    // A fault is a halt in time: one falls silent, the other goes on.
    let fell_silent = Instant::now();
    feed_until(&world, &["GOOD"], &mut next, "the silent one to halt", || {
        (field(&mut redis, &silent, "verdict").as_deref() == Some("halt")).then_some(())
    });
    let took = fell_silent.elapsed();
    assert!(took <= STALE_AFTER + Duration::from_secs(1), "{took:?} from the last trade to halt");
    assert_eq!(field(&mut redis, &good, "verdict").as_deref(), Some("trade"));
    assert_eq!(policy(&world, &silent), ("none".to_owned(), false));

    // So do faults in what is sent, whichever rule sees them; who has other limits trades on.
    let took = halts_after(&world, &mut redis, &mut next);
    let late: Vec<_> =
        took.iter().filter(|(_, took)| **took > STALE_AFTER + Duration::from_secs(1)).collect();
    assert!(late.is_empty(), "from fault to halt: {late:?}");
    let gate = gate_of(&node, "gate");
    let loose = |key: &&Value| key["key"]["symbol"] == "LOOSE";
    let loose = gate["keys"].as_array().expect("keys").iter().find(loose).cloned().unwrap_or_default();
    assert_eq!(loose["override"], "loose", "{gate:#}");

    // Redis dies under the gate: what is read is written, and nobody restarts.
    drop(redis);
    world.stack().stop(Part::Redis).expect("stop Redis");
    assert_eq!(policy(&world, &good), ("none".to_owned(), false), "no answer is an answer");
    let sql = world.sql();
    let rows = || sql.integer("SELECT count(*) FROM market.trades");
    let before = rows();
    world.send((0..20_000).map(|id| now("MANY", id).record()));
    wait::until("the trades in the database", BOUND, || (rows() >= before + 20_000).then_some(()));
    let actors = node.json("/api/actors");
    let restarts = |actor: &Value| actor["restarts"].as_i64().expect("a count");
    assert_eq!(actors.as_array().expect("actors").iter().map(restarts).sum::<i64>(), 0);
    assert!(gate_of(&node, "gate")["keys_total"].as_u64() >= Some(3), "it judges on");
    world.stack().start(Part::Redis).expect("start Redis");
    let mut redis = world.redis();
    feed_until(&world, &["GOOD"], &mut next, "a verdict again", || {
        (field(&mut redis, &good, "verdict").as_deref() == Some("trade")).then_some(())
    });
    wait::until("the log to tell of the wait", BOUND, || {
        let lines = lines(&node.log());
        let of = |event: &str| {
            lines.iter().find(|line| line["event"] == event && line["actor"] == "gate_cache").cloned()
        };
        let (waiting, _) = (of("waiting")?, of("waited")?);
        assert_eq!(waiting["class"], "transient", "{waiting}");
        let reading = lines.iter().find(|line| line["event"] == "reading").expect("a source reads");
        assert_eq!(reading["topic"], *world.topic, "{reading}");
        assert!(reading["actor"] == "raw" && reading["partition"].is_number(), "{reading}");
        Some(())
    });

    // The engine dies: every key is gone within its time to live.
    node.kill();
    let died = Instant::now();
    wait::until("every key to be gone", TTL + Duration::from_millis(500), || {
        let keys: Vec<String> = redis.keys(format!("{}*", world.prefix)).expect("keys");
        keys.is_empty().then_some(())
    });
    assert!(died.elapsed() <= TTL + Duration::from_millis(500), "{:?}", died.elapsed());
    assert_eq!(policy(&world, &good), ("none".to_owned(), false));
}
