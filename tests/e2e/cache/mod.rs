//! A cache beside a table: brought back from it, and held against it.

mod probe;
mod rebuild;

use crate::harness::world::World;
use bb8_redis::redis::{Commands, Connection};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// A value of every type; `{further}` becomes further options of the cache.
const QUOTES: &str = r#"
topology: quotes-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  quotes:
    kind: normalizer
    from: ticks
    fields:
      ts:    { type: timestamp, path: /ts, unit: us }
      k:     { type: text, path: /k }
      price: { type: "decimal(18,8)", path: /p }
      ratio: { type: float64, path: /r }
      count: { type: int64, path: /n }
      live:  { type: bool, path: /l }
      note:  { type: text, path: /note, optional: true }
    event_time: ts
  history: { kind: timescale_writer, from: quotes, table: market.quotes }
  cache:   { kind: redis_cache, from: quotes, key: "{prefix}{k}", value: [ts, price, ratio, count, live, note], order_by: ts{further} }
"#;

/// 2024-08-08T12:00Z, microseconds since 1970.
const START_US: i64 = 1_723_118_400_000_000;
const DAY_US: i64 = 86_400_000_000;

struct Quotes {
    world: World,
    file: PathBuf,
    redis: Connection,
}

impl Quotes {
    fn new(further: &str) -> Self {
        Self::within(World::shared(), further)
    }

    fn within(world: World, further: &str) -> Self {
        let file = world.write_topology(&QUOTES.replace("{further}", further));
        world.migrate(&file);
        let redis = world.redis();
        Self { world, file, redis }
    }

    /// Rows as the writer would have left them: key, microseconds after the start, count.
    fn insert(&self, rows: &[(&str, i64, i64)]) {
        const INSERT: &str = "INSERT INTO market.quotes (ts, k, price, ratio, count, live) \
                              VALUES ('epoch'::timestamptz + $1::text::interval, $2, 1.5, 0.5, $3, true)";
        let sql = self.world.sql();
        for (key, at_us, count) in rows {
            sql.rows(INSERT, &[&format!("{} microseconds", START_US + at_us), key, count]);
        }
    }

    fn rebuild(&self, flags: &[&str]) -> Value {
        let arguments =
            [&["cache", "rebuild", self.file.to_str().unwrap(), "--format", "json"], flags].concat();
        let output = self.world.run(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer[0].clone()
    }

    fn hash(&mut self, key: &str) -> BTreeMap<String, String> {
        self.redis.hgetall(format!("{}{key}", self.world.prefix)).unwrap()
    }

    fn count(&mut self, key: &str) -> Option<i64> {
        self.redis.hget(format!("{}{key}", self.world.prefix), "count").unwrap()
    }
}
