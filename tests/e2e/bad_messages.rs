//! Messages that break naive consumers: each is in the dead letter with its bytes, or is read as documented; its
//! neighbours are written; the actor lives.

use crate::harness::node::Node;
use crate::harness::topologies::{START_MS, TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use std::collections::BTreeMap;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// What must become of a message.
enum Fate {
    Written,
    Filtered,
    Dead,
}

/// A trade with one member replaced.
fn with(id: u64, member: &str, value: &str) -> Vec<u8> {
    let mut members: BTreeMap<&str, String> = BTreeMap::from([
        ("id", id.to_string()),
        ("k", "\"BAD\"".into()),
        ("ts", START_MS.to_string()),
        ("p", "\"1.5\"".into()),
        ("q", "\"1\"".into()),
    ]);
    members.insert(member, value.into());
    let body: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", body.join(",")).into_bytes()
}

/// Name, key, value, fate.
type Message = (&'static str, Option<&'static str>, Option<Vec<u8>>, Fate);

fn messages() -> Vec<Message> {
    use Fate::{Dead, Filtered, Written};
    let key = Some("BAD");
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let large =
        format!(r#"{{"id":901,"k":"BAD","ts":{START_MS},"p":"1","q":"1","pad":"{}"}}"#, "x".repeat(10 << 20));
    let mut bom = vec![0xef, 0xbb, 0xbf];
    bom.extend(with(902, "q", "\"2\""));
    vec![
        ("truncated", key, Some(br#"{"id":1,"k":"BAD""#.to_vec()), Dead),
        ("not UTF-8", key, Some(b"{\"id\":1,\"k\":\"\xff\xfe\"}".to_vec()), Dead),
        ("a byte order mark", key, Some(bom), Written),
        ("NUL in a text", key, Some(with(1, "k", r#""a\u0000b""#)), Dead),
        ("a lone surrogate", key, Some(with(1, "k", r#""\ud800""#)), Dead),
        ("10,000 levels", key, Some(nested(10_000)), Dead),
        (
            "10,000 levels inside",
            key,
            Some(with(1, "x", &String::from_utf8(nested(10_000)).expect("ASCII"))),
            Dead,
        ),
        ("duplicate keys, the last counts", key, Some(with(903, "q\":\"0\",\"q", "\"7\"")), Written),
        ("NaN", key, Some(with(1, "p", "NaN")), Dead),
        ("1e400", key, Some(with(1, "p", "1e400")), Dead),
        ("an id beyond 2^63", key, Some(with(1, "id", "9223372036854775808")), Dead),
        ("a decimal of 18 digits", key, Some(with(904, "p", "\"1234567890.12345678\"")), Written),
        ("a decimal with too many", key, Some(with(1, "p", "\"1.123456789\"")), Dead),
        ("a year beyond reason", key, Some(with(1, "ts", "99999999999999")), Dead),
        ("a time before 1990", key, Some(with(1, "ts", "1")), Dead),
        ("a negative price", key, Some(with(1, "p", "\"-1\"")), Dead),
        ("a missing field", key, Some(br#"{"id":1}"#.to_vec()), Dead),
        ("another shape", key, Some(b"[1,2,3]".to_vec()), Dead),
        ("a bare text", key, Some(b"\"hello\"".to_vec()), Dead),
        ("garbage behind", key, Some([with(1, "q", "\"1\""), b" x".to_vec()].concat()), Dead),
        ("empty", key, Some(Vec::new()), Dead),
        ("a tombstone", key, None, Filtered),
        ("no key", None, Some(with(905, "q", "\"3\"")), Written),
        ("10 MB", key, Some(large.into_bytes()), Written),
    ]
}

#[test]
fn each_is_rejected_with_its_bytes_or_read_and_its_neighbours_are_written() {
    let world = World::shared();
    world.stack().delete_topic(&world.topic).expect("delete the topic");
    let large = [("max.message.bytes", "16777216")];
    world
        .stack()
        .create_topic(&world.topic, crate::harness::world::PARTITIONS, &large)
        .expect("a topic for large messages");
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let feed = world.feed();
    let (mut written, mut filtered, mut dead) = (0, 0, Vec::new());
    for (index, (_, key, value, fate)) in messages().into_iter().enumerate() {
        let (neighbour_key, neighbour, time) = trade(index as u64 + 1);
        feed.send(Some(b"BAD"), Some(neighbour.as_bytes()), Some(time)).expect("send");
        assert!(!neighbour_key.is_empty());
        feed.send(key.map(str::as_bytes), value.as_deref(), Some(START_MS)).expect("send");
        written += 1;
        match fate {
            Fate::Written => written += 1,
            Fate::Filtered => filtered += 1,
            Fate::Dead => dead.push(value.expect("only a value is rejected")),
        }
    }
    feed.flush().expect("flush");

    let node = Node::start(&world, &file, "bad", &[]);
    let all = written + filtered + dead.len() as i64;
    wait::until("every message decided", BOUND, || {
        (node.ledger("read") == all && node.ledger("in_flight") == 0).then_some(())
    });
    let sql = world.sql();
    let letters = sql.rows(
        "SELECT payload, reason, detail, actor, topic, class FROM aqueduct.dead_letter ORDER BY id",
        &[],
    );
    let mut kept: Vec<Vec<u8>> = letters.iter().map(|row| row.get(0)).collect();
    for row in &letters {
        let (reason, detail, actor, topic): (String, String, String, String) =
            (row.get(1), row.get(2), row.get(3), row.get(4));
        assert!(!reason.is_empty() && !detail.is_empty(), "a letter says why");
        assert_eq!((actor.as_str(), topic), ("trades", world.topic.clone()));
    }
    kept.sort();
    dead.sort();
    assert_eq!(kept.len(), dead.len(), "as many letters as bad messages");
    assert!(kept == dead, "letters keep the bytes as they came");
    assert_eq!(node.ledger("written"), written);
    assert_eq!(node.ledger("filtered"), filtered);
    assert_eq!(node.ledger("dead_lettered"), dead.len() as i64);
    assert_eq!(node.ledger("unaccounted"), 0);
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades"), written);
    let exact: String = sql.rows("SELECT p::text FROM market.trades WHERE id = 904", &[])[0].get(0);
    assert_eq!(exact, "1234567890.12345678");
    let last: String = sql.rows("SELECT q::text FROM market.trades WHERE id = 903", &[])[0].get(0);
    assert_eq!(last, "7.00000000", "of duplicate keys the last counts");
    let actors = node.json("/api/actors");
    let fell = |actor: &serde_json::Value| ["backoff", "failed"].iter().any(|state| actor["state"] == *state);
    assert!(!actors.as_array().expect("a list").iter().any(fell), "an actor fell: {actors}");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

#[test]
fn nothing_but_poison_is_all_in_the_dead_letter() {
    const SENT: i64 = 20_000;
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let feed = world.feed();
    for id in 0..SENT {
        feed.send(Some(id.to_string().as_bytes()), Some(b"poison {"), Some(START_MS)).expect("send");
    }
    feed.flush().expect("flush");
    let node = Node::start(&world, &file, "poison", &["--until-idle", "1s"]);
    assert_eq!(node.exit_code(BOUND), 0);
    let sql = world.sql();
    let distinct = "SELECT count(DISTINCT (partition, \"offset\")) FROM aqueduct.dead_letter";
    assert_eq!(sql.integer(distinct), SENT);
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.dead_letter"), SENT);
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades"), 0);
}
