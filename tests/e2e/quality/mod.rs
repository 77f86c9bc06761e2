//! The quality gate on the real parts: what it counts on recorded data is exactly what is wrong there, a fault reaches
//! Redis in time, and a verdict ends with whoever would have to renew it.

mod halting;
mod recorded;

use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use bb8_redis::redis::{Commands, Connection};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BOUND: Duration = Duration::from_secs(90);

/// The source and its rows; what follows reads from `trades`.
const TRADES: &str = r#"
topology: gated-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" }, redis: { url: "${REDIS_URL}" } }
actors:
  raw: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: raw
    fields:
      ts:       { type: timestamp, path: /ts, unit: ms }
      venue:    { type: text, path: /venue }
      market:   { type: text, path: /market }
      symbol:   { type: text, path: /symbol }
      trade_id: { type: int64, path: /id }
      price:    { type: "decimal(18,8)", path: /price }
      bid:      { type: float64, path: /bid, default: 0 }
      ask:      { type: float64, path: /ask, default: 1 }
      side:     { type: text, path: /side, optional: true }
  history: { kind: timescale_writer, from: trades, table: market.trades }
"#;

const CACHE: &str = r#"
  gate_cache: { kind: redis_cache, from: gate, key: "{prefix}{market}:{symbol}", value: [verdict, at, score, reason], order_by: at, ttl: 3s, policy: best_effort }
"#;

/// One trade as it is sent.
#[derive(Clone)]
struct Trade {
    /// The key of its record.
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
            r#"{{"venue":"binance","market":"{}","symbol":"{}","id":{},"ts":{},"price":"{}"{quote}{side}}}"#,
            self.market,
            self.symbol,
            self.id,
            self.event_ms,
            self.said_price()
        );
        (self.key.clone(), value, self.record_ms)
    }

    fn said_price(&self) -> String {
        format!("{:.8}", self.price)
    }

    fn pair(&self) -> (&str, &str) {
        (&self.market, &self.symbol)
    }
}

fn violations(gate: &Value, rule: &str) -> u64 {
    gate["violations"][rule].as_u64().unwrap_or(0)
}

fn gate_of(node: &Node, name: &str) -> Value {
    let all = node.json("/api/quality");
    let gates = all["gates"].as_array().expect("gates");
    gates.iter().find(|gate| gate["gate"] == name).cloned().unwrap_or_default()
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
        // Never the same twice running.
        price: 100.0 + (id % 7) as f64 / 100.0,
        crossed: false,
        side: true,
    }
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
