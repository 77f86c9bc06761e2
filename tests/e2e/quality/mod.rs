//! The quality gate on the real parts: what it counts on recorded data is exactly what is wrong there, a fault reaches
//! Redis in time, and a verdict ends with whoever would have to renew it.

use super::recorded::{recorded, unzipped};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::Part;
use bb8_redis::redis::{Commands, Connection};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const BOUND: Duration = Duration::from_secs(90);
const STALE_AFTER: Duration = Duration::from_secs(2);
const TTL: Duration = Duration::from_secs(3);

const GATED: &str = r#"
topology: gated-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" }, redis: { url: "${REDIS_URL}" } }
actors:
  raw: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: raw
    fields:
      ts:       { type: timestamp, path: /ts, unit: ms }
      market:   { type: text, path: /market }
      symbol:   { type: text, path: /symbol }
      trade_id: { type: int64, path: /id }
      price:    { type: "decimal(18,8)", path: /price }
      bid:      { type: float64, path: /bid, default: 0 }
      ask:      { type: float64, path: /ask, default: 1 }
      side:     { type: text, path: /side, optional: true }
  history: { kind: timescale_writer, from: trades, table: market.trades }
  gate:
    kind: quality_gate
    from: trades
    by: [market, symbol]
    every: 250ms
    window: 2s
    rules:
      stale_after: 2s
      gap: trade_id
      repeat: trade_id
      out_of_order: 100%
      late: { after: 2s, share: 100% }
      price_band: 20%
      crossed: { bid: bid, ask: ask }
      clock_skew: 1260ms
      nulls: { side: 100% }
  gate_cache: { kind: redis_cache, from: gate, key: "{prefix}{market}:{symbol}", value: [verdict, at, score, reason], order_by: at, ttl: 3s, policy: best_effort }
"#;

/// One trade as it is sent.
#[derive(Clone)]
struct Trade {
    key: String,
    market: String,
    symbol: String,
    id: i64,
    event_ms: i64,
    record_ms: i64,
    price: f64,
    crossed: bool,
    side: bool,
}

impl Trade {
    fn record(&self) -> (String, String, i64) {
        let quote = if self.crossed { r#","bid":5,"ask":5"# } else { "" };
        let side = if self.side { r#","side":"buy""# } else { "" };
        let value = format!(
            r#"{{"market":"{}","symbol":"{}","id":{},"ts":{},"price":"{:.8}"{quote}{side}}}"#,
            self.market, self.symbol, self.id, self.event_ms, self.price
        );
        (self.key.clone(), value, self.record_ms)
    }
}

/// The recorded trades, in the order they were received, with the recorder's clock as the record's time; `None` (and a
/// note) where they are absent.
fn recorded_trades() -> Option<Vec<Trade>> {
    let file = recorded("binance_trades_20240808_09.csv.gz")?;
    let mut trades = Vec::new();
    for record in csv::Reader::from_reader(unzipped(&file)).deserialize() {
        let record: BTreeMap<String, String> = record.expect("a line");
        let number = |name: &str| record[name].parse::<i64>().expect("a number");
        trades.push(Trade {
            key: format!("{}/{}", record["market"], record["symbol"]),
            market: record["market"].clone(),
            symbol: record["symbol"].clone(),
            id: number("trade_id"),
            event_ms: number("trade_ms"),
            record_ms: number("recv_ns").div_euclid(1_000_000),
            price: record["price"].parse().expect("a price"),
            crossed: false,
            side: true,
        });
    }
    Some(trades)
}

/// Plants faults of every kind, each so often.
fn spoil(trades: Vec<Trade>) -> Vec<Trade> {
    let mut spoilt = Vec::with_capacity(trades.len());
    for (index, mut trade) in trades.into_iter().enumerate() {
        match index % 1_000 {
            // Left out: the next of its key shows a gap.
            100 => continue,
            300 => trade.price *= 1.5,
            400 => trade.crossed = true,
            500 => trade.side = false,
            // Ten seconds on its way.
            600 => trade.record_ms = trade.event_ms + 10_000,
            // Half a second behind the trade before it; within a pair, no recorded trade is.
            700 => trade.event_ms -= 500,
            // Sent twice.
            200 => spoilt.push(trade.clone()),
            _ => {}
        }
        spoilt.push(trade);
    }
    spoilt
}

/// What each rule has to find, by plain counting.
fn expected(trades: &[Trade]) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut newest: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for trade in trades {
        let mut count = |rule, broken: bool| *counts.entry(rule).or_default() += u64::from(broken);
        if let Some((id, event_ms)) = newest.get(trade.key.as_str()) {
            count("gap", trade.id > id + 1);
            count("repeat", trade.id <= *id);
            count("out_of_order", trade.event_ms < *event_ms);
        }
        let known = seen.entry(&trade.key).or_default();
        // No recorded price is a tenth away from those around it, so exactly the planted ones are out of their band.
        count("price_band", *known >= 8 && is_spoilt(trade));
        *known += 1;
        count("crossed", trade.crossed);
        count("nulls", !trade.side);
        count("late", trade.record_ms - trade.event_ms > 2_000);
        count("clock_skew", trade.event_ms - trade.record_ms >= 1_260);
        let entry = newest.entry(&trade.key).or_insert((trade.id, trade.event_ms));
        *entry = (entry.0.max(trade.id), entry.1.max(trade.event_ms));
    }
    counts
}

/// The recorded prices lie between 61,000 and 62,000, or between 2,600 and 2,700.
fn is_spoilt(trade: &Trade) -> bool {
    !((61_000.0..62_000.0).contains(&trade.price) || (2_600.0..2_700.0).contains(&trade.price))
}

fn gate_of(node: &Node) -> Value {
    node.json("/api/quality")["gates"][0].clone()
}

#[test]
fn on_recorded_trades_every_rule_counts_exactly_what_is_wrong() {
    let Some(trades) = recorded_trades() else { return };
    let trades = spoil(trades);
    let counts = expected(&trades);
    assert!(counts.values().all(|count| *count > 5), "{counts:?}");
    let world = World::shared();
    // So slow a beat that nothing is passed over for it, and `required`: this gate sees everything.
    let topology = GATED.replace("    every: 250ms\n", "    every: 250ms\n    policy: required\n");
    let file = world.write_topology(&topology);
    world.migrate(&file);
    let sent = trades.len() as i64;
    world.send(trades.iter().map(Trade::record));
    let node = Node::start(&world, &file, "gated", &[]);
    let sql = world.sql();
    wait::until("every trade in the database", BOUND, || {
        (sql.integer("SELECT count(*) FROM market.trades") == sent).then_some(())
    });
    let gate = wait::until("the figures of the gate", Duration::from_secs(5), || {
        let gate = gate_of(&node);
        let found = |rule: &str| gate["violations"][rule].as_u64().unwrap_or(0);
        counts.iter().all(|(rule, count)| found(rule) >= *count).then_some(gate)
    });
    for (rule, count) in &counts {
        assert_eq!(gate["violations"][*rule].as_u64(), Some(*count), "{rule} of {gate:#}");
    }
    assert_eq!(gate["keys_total"], 6);
    assert_eq!(gate["records_missed"], 0);
    assert_eq!(node.metric("aqueduct_quality_violations_total"), Some(counts.values().sum::<u64>() as f64));
    let evidence = gate["keys"][0]["evidence"].as_array().expect("rows").len();
    assert!((1..=5).contains(&evidence), "{evidence} rows of evidence");
    let all_in_ledger = node.json("/api/ledger");
    let own = all_in_ledger.as_array().expect("lines").iter().any(|line| line["source"] == "gate");
    assert!(own, "what the gate gives has lines of its own: {all_in_ledger}");
    assert_eq!(node.ledger("unaccounted"), 0);

    // Midnight: one market falls silent, the others go on.
    let (quiet, going_on): (Vec<&Trade>, Vec<&Trade>) =
        trades.iter().filter(|trade| !is_spoilt(trade)).partition(|trade| trade.market == "usdm");
    assert!(!quiet.is_empty());
    let mut redis = world.redis();
    let begun = Instant::now();
    let last: BTreeMap<&str, &Trade> = going_on.iter().map(|trade| (trade.key.as_str(), *trade)).collect();
    for round in 1..=16_i64 {
        // Recorded by a clock that is right.
        let next = |trade: &&Trade| Trade {
            id: trade.id + round,
            record_ms: trade.event_ms,
            crossed: false,
            side: true,
            ..(*trade).clone()
        };
        world.send(last.values().map(|trade| next(trade).record()));
        std::thread::sleep(Duration::from_millis(250));
    }
    assert!(begun.elapsed() >= STALE_AFTER);
    for (market, symbol, word) in
        [("usdm", "BTCUSDT", "halt"), ("spot", "BTCUSDT", "trade"), ("cm", "ETHUSD_PERP", "trade")]
    {
        let key = format!("{}{market}:{symbol}", world.prefix);
        wait::until(&format!("{key} at {word}"), Duration::from_secs(1), || {
            (field(&mut redis, &key, "verdict").as_deref() == Some(word)).then_some(())
        });
    }
    let shown = world.run(&["offsets", "show", file.to_str().expect("a plain path")]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("verdicts of a gate"));
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0, "a gate holds up no drain");
}

fn field(redis: &mut Connection, key: &str, name: &str) -> Option<String> {
    redis.hget(key, name).expect("a hash")
}

/// A trade of this moment.
fn now(symbol: &str, id: i64) -> Trade {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    Trade {
        key: symbol.to_owned(),
        market: "spot".to_owned(),
        symbol: symbol.to_owned(),
        id,
        event_ms: now_ms,
        record_ms: now_ms,
        price: 100.0,
        crossed: false,
        side: true,
    }
}

/// What the example's policy makes of a key: its first word, and whether it lets anything pass.
fn policy(world: &World, key: &str) -> (String, bool) {
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/topologies/risk-gate/policy.py");
    let url = world.stack().redis_url();
    let output = Command::new("python3").arg(script).args([&*url, key, "3"]).output().expect("python3");
    let said = String::from_utf8_lossy(&output.stdout);
    (said.split(':').next().unwrap_or_default().to_owned(), output.status.success())
}

/// Sends trades of `symbols` until `done` says something; ids go on from `next`.
fn feed_until<T>(
    world: &World,
    symbols: &[&str],
    next: &mut i64,
    what: &str,
    mut done: impl FnMut() -> Option<T>,
) -> T {
    let feed = world.feed();
    wait::until(what, BOUND, || {
        for symbol in symbols {
            let (key, value, time) = now(symbol, *next).record();
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
        }
        feed.flush().expect("flush");
        *next += 1;
        done()
    })
}

#[test]
fn a_verdict_ends_with_its_cause_with_its_redis_and_with_its_engine() {
    let world = World::private();
    let file = world.write_topology(GATED);
    world.migrate(&file);
    let node = Node::start(&world, &file, "gated", &[]);
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
    assert!(gate_of(&node)["keys_total"].as_u64() >= Some(3), "it judges on");
    world.stack().start(Part::Redis).expect("start Redis");
    let mut redis = world.redis();
    feed_until(&world, &["GOOD"], &mut next, "a verdict again", || {
        (field(&mut redis, &good, "verdict").as_deref() == Some("trade")).then_some(())
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

const TOKEN: &str = "quality-token";

/// No table: Kafka keeps the offsets.
const UNGATED: &str = r#"
topology: ungated-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, redis: { url: "${REDIS_URL}" } }
actors:
  raw: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: raw
    fields:
      ts:       { type: timestamp, path: /ts, unit: ms }
      symbol:   { type: text, path: /symbol }
      trade_id: { type: int64, path: /id }
  last: { kind: redis_cache, from: trades, key: "{prefix}last:{symbol}", value: [trade_id], order_by: ts }
"#;

#[test]
fn a_gate_comes_and_goes_by_reload_and_speaks_where_kafka_keeps_the_offsets() {
    let world = World::shared();
    let gate = "  gate: { kind: quality_gate, from: trades, by: [symbol], every: 250ms, rules: { stale_after: 2s, gap: trade_id } }
  gate_cache: { kind: redis_cache, from: gate, key: \"{prefix}gate:{symbol}\", value: [verdict, at, reason], order_by: at, ttl: 2s, policy: best_effort }
";
    let file = world.write_topology(UNGATED);
    let node = Node::start_with(&world, &file, "ungated", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    let mut redis = world.redis();
    let (last, verdict) = (format!("{}last:A", world.prefix), format!("{}gate:A", world.prefix));
    let mut next = 1;
    feed_until(&world, &["A"], &mut next, "a value", || field(&mut redis, &last, "trade_id"));
    assert_eq!(node.json("/api/quality")["gates"].as_array().expect("gates").len(), 0);
    let reload = |text: &str| {
        world.write_topology(text);
        let (status, body) = node.post("/api/reload", TOKEN, Duration::from_secs(60)).expect("an answer");
        assert_eq!(status, 200, "{body}");
    };
    reload(&format!("{UNGATED}{gate}"));
    feed_until(&world, &["A"], &mut next, "a verdict", || {
        (field(&mut redis, &verdict, "verdict").as_deref() == Some("trade")).then_some(())
    });
    // Another rule: the gate begins cautiously, and speaks by the new one.
    reload(&format!("{UNGATED}{}", gate.replace("stale_after: 2s, gap: trade_id", "stale_after: 1ms")));
    feed_until(&world, &["A"], &mut next, "a verdict by the new rule", || {
        field(&mut redis, &verdict, "reason").filter(|reason| reason.starts_with("stale_after"))
    });
    reload(UNGATED);
    wait::until("the verdict to be gone", Duration::from_secs(4), || {
        field(&mut redis, &verdict, "verdict").is_none().then_some(())
    });
    let sent = next;
    feed_until(&world, &["A"], &mut next, "the cache to go on", || {
        let id = field(&mut redis, &last, "trade_id")?.parse::<i64>().expect("a number");
        (id >= sent).then_some(())
    });
    assert_eq!(node.ledger("unaccounted"), 0);
    let actors = node.json("/api/actors");
    for name in ["raw", "last"] {
        let of_name = |actor: &&Value| actor["name"] == name;
        let found = actors.as_array().expect("actors").iter().find(of_name).expect("the actor");
        assert_eq!(
            found["restarts"], 0,
            "a gate concerns neither what is read nor what is written beside it"
        );
    }
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}
