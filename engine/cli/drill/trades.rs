//! What most drills write: trades with a number, into a table without a business key, so that a row twice would show.

use super::load::Record;

const TOPOLOGY: &str = r#"
topology: {name}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts: { type: timestamp, path: /ts, unit: us }
      id: { type: int64, path: /id }
      k:  { type: text, path: /k, max_bytes: 32 }
      p:  { type: "decimal(18,8)", path: /p }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.drill_trades }
"#;

/// The topology of that name; `{topic}` in it is for [`super::stage::Stage::prepare`].
pub(super) fn topology(name: &str) -> String {
    TOPOLOGY.replace("{name}", name)
}

/// Trade `id` at a time in microseconds since 1970.
pub(super) fn trade(id: u64, time_us: i64) -> Record {
    let key = format!("K{:02}", id % 50);
    let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time_us},"p":"{}.25"}}"#, id % 1000 + 1);
    Record { key, value, time_ms: time_us / 1000 }
}
