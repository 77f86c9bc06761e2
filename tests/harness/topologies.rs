//! Topologies the tests share.

/// Flat trades with an id, exact decimals, and a cache: `{"id","k","ts","p","q"}`, `ts` in milliseconds.
pub const TRADES: &str = r#"
topology: trades-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:  { type: timestamp, path: /ts, unit: ms }
      id:  { type: int64, path: /id }
      k:   { type: text, path: /k, max_bytes: 64 }
      p:   { type: "decimal(18,8)", path: /p }
      q:   { type: "decimal(18,8)", path: /q }
    require: { price_positive: p > 0 }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 4000, interval: 30ms }, transactions: 3 }
  cache:   { kind: redis_cache, from: trades, key: "{prefix}{k}", value: [ts, id, p], order_by: ts, policy: best_effort }
"#;

/// 2024-08-08T12:00Z, milliseconds since 1970.
pub const START_MS: i64 = 1_723_118_400_000;

/// How many keys the trades of [`trade`] have.
pub const KEYS: u64 = 50;

/// The `id`th trade: key, value, time. Every key's trades are a millisecond apart at least, so the newest is one.
pub fn trade(id: u64) -> (String, String, i64) {
    let key = format!("K{:02}", id % KEYS);
    let time = START_MS + id as i64;
    let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time},"p":"{}.25","q":"1.5"}}"#, id % 1000 + 1);
    (key, value, time)
}
