//! `aqueduct cache rebuild`: what Redis has lost comes back as it was, what it has is never lowered.

use super::{BOUND, DAY_US, QUOTES, Quotes, START_US};
use crate::harness::node::Node;
use crate::harness::wait;
use crate::harness::world::World;
use bb8_redis::redis::Commands;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn a_key_comes_back_as_it_was() {
    let mut quotes = Quotes::new("");
    let node = Node::start(&quotes.world, &quotes.file, "live", &[]);
    let feed = quotes.world.feed();
    for (key, note) in [("A", json!("a \"note\"")), ("B", Value::Null)] {
        let value = json!({
            "ts": START_US + 123_456, "k": key, "p": "-12.50000001", "r": 0.1, "n": -7, "l": false, "note": note,
        });
        feed.send(Some(key.as_bytes()), Some(value.to_string().as_bytes()), Some(START_US / 1000)).unwrap();
    }
    feed.flush().unwrap();
    wait::until("the live cache", BOUND, || {
        (quotes.hash("A").len() + quotes.hash("B").len() == 13).then_some(())
    });
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    let without_order = |mut hash: BTreeMap<String, String>| (hash.remove("_at").unwrap(), hash);
    let live = ["A", "B"].map(|key| without_order(quotes.hash(key)));
    for key in ["A", "B"] {
        let _: () = quotes.redis.del(format!("{}{key}", quotes.world.prefix)).unwrap();
    }
    let done = quotes.rebuild(&[]);
    assert_eq!(
        (&done["written"], &done["cache"], &done["table"]),
        (&json!(2), &json!("cache"), &json!("market.quotes"))
    );
    for (key, (order, hash)) in ["A", "B"].into_iter().zip(live) {
        let (rebuilt, values) = without_order(quotes.hash(key));
        assert_eq!(values, hash);
        assert_eq!(rebuilt[..20], order[..20], "the same time");
        assert!(rebuilt <= order, "what came from Kafka is the newer of two of one time");
    }
}

#[test]
fn what_redis_has_is_never_lowered_and_gaps_of_time_are_leapt_over() {
    let mut quotes = Quotes::new("");
    quotes.insert(&[
        ("A", 0, 1),
        ("A", 5, 2),
        ("B", -40 * DAY_US, 3),
        ("C", -400 * DAY_US, 4),
        ("C", -401 * DAY_US, 5),
    ]);
    let would = quotes.rebuild(&["--dry-run"]);
    assert_eq!((&would["written"], &would["dry_run"]), (&json!(4), &json!(true)), "{would}");
    assert_eq!(quotes.count("A"), None, "a dry run writes nothing");
    // The newest of each key in each window is read: C has two.
    let done = quotes.rebuild(&[]);
    assert_eq!(
        (&done["rows"], &done["written"], &done["as_new"]),
        (&json!(4), &json!(3), &json!(1)),
        "{done}"
    );
    assert_eq!(["A", "B", "C"].map(|key| quotes.count(key)), [Some(2), Some(3), Some(4)]);
    quotes.world.sql().batch("DELETE FROM market.quotes WHERE count = 2");
    let again = quotes.rebuild(&[]);
    assert_eq!(again["written"], 0, "{again}");
    assert_eq!(quotes.count("A"), Some(2), "the table is older than the cache");
}

#[test]
fn a_cut_rebuild_goes_on_where_it_was_cut() {
    let mut quotes = Quotes::new("");
    quotes.insert(&[("A", 0, 1), ("B", -10 * DAY_US, 2), ("C", -20 * DAY_US, 3)]);
    let done = quotes.rebuild(&["--before", "2024-08-01T00:00:00Z", "--since", "2024-07-25T00:00:00Z"]);
    assert_eq!(done["written"], 1, "{done}");
    assert_eq!(["A", "B", "C"].map(|key| quotes.count(key)), [None, Some(2), None]);
}

#[test]
fn what_has_expired_stays_away_and_the_rest_ends_in_its_time() {
    let mut quotes = Quotes::new(", ttl: 10d");
    let now_us = jiff::Timestamp::now().as_microsecond() - START_US;
    quotes.insert(&[("OLD", now_us - 11 * DAY_US, 1), ("NEW", now_us - DAY_US, 2)]);
    let done = quotes.rebuild(&[]);
    assert_eq!(done["written"], 1, "{done}");
    assert_eq!([quotes.count("OLD"), quotes.count("NEW")], [None, Some(2)]);
    let left_s: i64 = quotes.redis.ttl(format!("{}NEW", quotes.world.prefix)).unwrap();
    let nine_days = 9 * 86_400;
    assert!((nine_days - 600..=nine_days).contains(&left_s), "{left_s} s are left");
}

#[test]
fn a_key_of_another_type_is_counted_and_ends_with_an_error() {
    let mut quotes = Quotes::new("");
    quotes.insert(&[("A", 0, 1), ("B", 0, 2)]);
    let _: () = quotes.redis.set(format!("{}A", quotes.world.prefix), "text").unwrap();
    let output = quotes.world.run(&["cache", "rebuild", quotes.file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("1 keys written") && text.contains("1 refused"), "{text}");
    assert_eq!(quotes.count("B"), Some(2));
}

#[test]
fn a_cache_without_a_table_beside_it_is_refused() {
    let world = World::shared();
    let text = QUOTES.replace("{further}", "").replace(
        "{ kind: timescale_writer, from: quotes, table: market.quotes }",
        "{ kind: kafka_sink, from: quotes, topic: out }",
    );
    let file = world.write_topology(&text);
    let output = world.run(&["cache", "rebuild", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(
        said.contains("actor `cache`") && said.contains("no timescale_writer takes the rows of `quotes`"),
        "{said}"
    );
    let output = world.run(&["cache", "rebuild", file.to_str().unwrap(), "--cache", "other"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no redis_cache named `other`"), "{said}");
}
