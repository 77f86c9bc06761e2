//! Lines of the log as a machine reads them: what each says of whom, where and which records.

use crate::harness::node::Node;
use crate::harness::world::World;
use serde_json::Value;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// A cache that cannot place a row without its `side`, and holds nobody up for it.
const TOPOLOGY: &str = r#"
topology: logged-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" }, redis: { url: "${REDIS_URL}" } }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:    { type: timestamp, path: /t, unit: ms }
      price: { type: "decimal(18,8)", path: /p }
      side:  { type: text, path: /s, optional: true }
  history: { kind: timescale_writer, from: trades, table: market.logged }
  last: { kind: redis_cache, from: trades, key: "{prefix}{side}", value: [price], order_by: ts, policy: best_effort }
"#;

#[test]
fn a_line_says_which_actor_partition_and_records_it_is_about_and_what_class_the_fault_is() {
    let world = World::shared();
    let (file, sql) = world.prepare(TOPOLOGY);
    let time_ms = 1_723_161_300_000;
    world.send([("k".to_owned(), format!(r#"{{"t": {time_ms}, "p": "1.5"}}"#), time_ms)]);
    let node = Node::start(&world, &file, "logged", &["--log-format", "json", "--until-idle", "1s"]);
    let log = node.ended(BOUND, 0);
    assert_eq!(sql.integer("SELECT count(*) FROM market.logged"), 1);
    let objects = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> = objects
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        let has_all =
            ["timestamp", "level", "message", "event"].iter().all(|member| line[member].is_string());
        assert!(has_all, "{line}");
    }
    let of = |event: &str| {
        let found = lines.iter().find(|line| line["event"] == event);
        found.unwrap_or_else(|| panic!("no line `{event}` in {log}"))
    };
    let reading = of("reading");
    assert_eq!(
        (&reading["actor"], &reading["topic"]),
        (&"ticks".into(), &(*world.topic).into()),
        "{reading}"
    );
    let behind = of("cache_behind");
    assert_eq!((&behind["actor"], &behind["class"]), (&"last".into(), &"data".into()), "{behind}");
    assert_eq!(behind["topic"], *world.topic, "{behind}");
    assert!(behind["partition"].is_number(), "{behind}");
    assert_eq!((&behind["batch_first"], &behind["batch_next"]), (&0.into(), &1.into()), "{behind}");
}
