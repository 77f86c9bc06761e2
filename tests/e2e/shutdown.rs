//! How a node ends: what it says of each partition, with what code, and what it does when nothing answers.

use crate::harness::node::{Node, free_address};
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{Sql, World};
use aqueduct_stack::Part;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// The report in a log of JSON lines: the sentence, and the report itself.
fn drain_report(log: &str) -> (String, Value) {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut reports = lines.filter(|line| line.to_string().contains("drain report"));
    let line = reports.next().unwrap_or_else(|| panic!("no drain report in:\n{log}"));
    let fields = line.get("fields").unwrap_or(&line);
    let report = fields["report"].as_str().expect("the report as JSON");
    (fields["message"].as_str().expect("a sentence").to_owned(), serde_json::from_str(report).expect("JSON"))
}

fn stored(sql: &Sql) -> Vec<(i32, i64)> {
    let rows = sql.rows(
        "SELECT partition, next_offset FROM aqueduct.offsets WHERE sink = 'history' ORDER BY partition",
        &[],
    );
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

const JSON_LOG: [&str; 2] = ["--log-format", "json"];

#[test]
fn a_drain_that_finished_says_what_was_settled_of_each_partition() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "drained", &JSON_LOG);
    let sql = world.sql();
    world.send((1..=1_000).map(trade));
    oracle::await_drained(&world, &sql, 1_000, BOUND);
    node.terminate();
    let log = node.ended(BOUND, 0);
    let (sentence, report) = drain_report(&log);
    assert!(sentence.contains("finished after") && sentence.contains("nothing to replay"), "{sentence}");
    assert_eq!(report["finished"], true, "{report}");
    let mut next = Vec::new();
    let mut settled = 0;
    for partition in report["partitions"].as_array().expect("an array") {
        settled += partition["settled"].as_i64().expect("a count");
        next.push((
            partition["partition"].as_i64().expect("a number") as i32,
            partition["replay_from"].as_i64().unwrap_or_else(|| panic!("an offset: {report}")),
        ));
    }
    next.sort_unstable();
    assert_eq!((settled, next), (1_000, stored(&sql)), "what it says is what is stored");
}

/// Whoever takes over need not wait until the group misses the member.
#[test]
fn a_node_that_has_ended_has_left_its_group() {
    let world = World::shared();
    let topic = r#"topic: "{topic}""#;
    assert!(TRADES.contains(topic), "the topology's source is written so");
    let file = world.write_topology(&TRADES.replace(topic, &format!("{topic}, membership: dynamic")));
    world.migrate(&file);
    let group = format!("trades-{}", world.topic);
    let mut client = world.stack().kafka_client().expect("a client");
    let asks: BaseConsumer = client.set("group.id", format!("{group}-asks")).create().expect("a client");
    let members = || {
        let groups = asks.fetch_group_list(Some(&group), BOUND).expect("the broker's answer");
        groups.groups().iter().map(|group| group.members().len()).sum::<usize>()
    };
    for _ in 0..5 {
        let node = Node::start(&world, &file, "leaving", &[]);
        node.await_ready(200, BOUND);
        assert_eq!(members(), 1);
        node.terminate();
        node.ended(BOUND, 0);
        assert_eq!(members(), 0);
    }
}

/// The database fell silent, and then rows came.
#[test]
fn a_drain_that_cannot_finish_ends_with_74_and_says_what_is_replayed() {
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "late", &JSON_LOG);
    let sql = world.sql();
    world.send((1..=1_000).map(trade));
    oracle::await_drained(&world, &sql, 1_000, BOUND);
    world.stack().pause(Part::Timescale).expect("pause");
    world.send((1_001..=3_000).map(trade));
    wait::until("records in flight", BOUND, || (node.ledger("in_flight") == 2_000).then_some(()));
    node.terminate();
    let log = node.ended(BOUND, 74);
    world.stack().resume(Part::Timescale).expect("resume");
    let (sentence, report) = drain_report(&log);
    assert!(sentence.contains("cut after") && sentence.contains("will be replayed"), "{sentence}");
    assert_eq!(report["finished"], false, "{report}");
    let partitions = report["partitions"].as_array().expect("an array");
    let sum = |member: &str| -> i64 {
        partitions.iter().map(|partition| partition[member].as_i64().expect("a count")).sum()
    };
    assert_eq!((sum("settled"), sum("in_flight")), (1_000, 2_000), "{report}");
    for (partition, next) in stored(&sql) {
        let said = partitions.iter().find(|said| said["partition"] == partition).expect("each partition");
        assert_eq!(said["replay_from"], next, "{report}");
    }
    let node = Node::start(&world, &file, "late", &[]);
    oracle::await_drained(&world, &sql, 3_000, BOUND);
    oracle::assert_exactly_once(&world, &sql, 3_000);
    drop(node);
}

/// A node whose database falls silent in the middle of its rows, which is no outage yet when it is told to end.
fn held_up(world: &World, name: &str, deadline: &str) -> Node {
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(world, &file, name, &[JSON_LOG[0], JSON_LOG[1], "--drain-deadline", deadline]);
    node.await_ready(200, BOUND);
    let sql = world.sql();
    // The rest follows at once, so that rows are on their way however fast the first ones went, and before the writer has
    // been idle for long enough to miss the database.
    let feed = world.feed();
    let send = |numbers: RangeInclusive<u64>| {
        for (key, value, time) in numbers.map(trade) {
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
        }
        feed.flush().expect("flush");
    };
    send(1..=HELD_UP / 2);
    wait::until("rows", BOUND, || (sql.integer("SELECT count(*) FROM market.trades") > 0).then_some(()));
    world.stack().pause(Part::Timescale).expect("pause");
    send(HELD_UP / 2 + 1..=HELD_UP);
    wait::until("history to be stalled", BOUND, || {
        let (_, body) = node.get("/readyz")?;
        body.contains("\"stalled\"").then_some(())
    });
    node.terminate();
    node
}

const HELD_UP: u64 = 100_000;

/// What was cut is there in the end, once.
fn heals(world: &World) {
    world.stack().resume(Part::Timescale).expect("resume");
    let node = Node::start(world, &world.folder().join("topology.yaml"), "healing", &[]);
    let sql = world.sql();
    oracle::await_drained(world, &sql, HELD_UP, BOUND);
    oracle::assert_exactly_once(world, &sql, HELD_UP);
    drop(node);
}

#[test]
fn a_drain_past_its_deadline_ends_with_74() {
    let world = World::private();
    let node = held_up(&world, "late", "2s");
    let (sentence, report) = drain_report(&node.ended(Duration::from_secs(20), 74));
    assert!(
        report["reason"].as_str().expect("a reason").contains("the drain deadline passed before"),
        "{report}"
    );
    assert!(report["seconds"].as_f64().expect("seconds") >= 2.0, "{report}");
    assert!(sentence.contains("will be replayed, next offset"), "{sentence}");
    heals(&world);
}

/// Whoever cannot wait for the deadline says it twice.
#[test]
fn a_second_sigterm_ends_at_once() {
    let world = World::private();
    let node = held_up(&world, "twice", "300s");
    wait::until("the drain", BOUND, || node.get("/readyz").filter(|(_, body)| body.contains("draining")));
    node.terminate();
    let (_, report) = drain_report(&node.ended(Duration::from_secs(10), 74));
    assert_eq!(report["reason"], "SIGTERM while draining", "{report}");
    heals(&world);
}

/// Started where nothing answers: it waits, says for what, and goes when told to.
#[test]
fn sigterm_while_everything_is_away_ends_it_in_order() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    let (kafka, database, cache) = (free_address(), free_address(), free_address());
    let environment = [
        ("KAFKA_BOOTSTRAP", kafka.to_string()),
        ("TIMESCALE_URL", format!("postgres://nobody@{database}/nothing")),
        ("REDIS_URL", format!("redis://{cache}")),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, &**value)).collect();
    let node = Node::start_with(&world, &file, "alone", &JSON_LOG, &environment);
    wait::until("the address that does not answer to be told", BOUND, || {
        let (status, body) = node.get("/readyz")?;
        (status == 503 && body.contains(&cache.to_string())).then_some(())
    });
    assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200));
    node.terminate();
    let (sentence, report) = drain_report(&node.ended(Duration::from_secs(15), 0));
    assert_eq!(
        (&report["finished"], &report["partitions"]),
        (&true.into(), &Value::Array(Vec::new())),
        "{sentence}"
    );
}
