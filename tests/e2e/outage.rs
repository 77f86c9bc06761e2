//! Parts that go away at full input: a state, not a crash. Then everything arrives.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::world::{Sql, World};
use aqueduct_stack::Part;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(90);

/// How long a part stays away: `AQUEDUCT_TEST_OUTAGE_SECONDS`, else short enough for every run.
fn outage() -> Duration {
    let seconds = std::env::var("AQUEDUCT_TEST_OUTAGE_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(12))
}

fn restarts(node: &Node) -> i64 {
    let actors = node.json("/api/actors");
    let count = |actor: &serde_json::Value| actor["restarts"].as_i64().expect("a count");
    actors.as_array().expect("an array").iter().map(count).sum()
}

fn rows(sql: &Sql) -> i64 {
    sql.integer("SELECT count(*) FROM market.trades")
}

#[test]
fn postgres_away_is_waited_for() {
    const SENT: u64 = 300_000;
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "outage", &[]);
    node.await_ready(200, BOUND);
    world.send((1..=10_000).map(trade));
    oracle::await_drained(&world, &world.sql(), 10_000, BOUND);
    world.stack().stop(Part::Timescale).expect("stop PostgreSQL");
    world.send((10_001..=SENT).map(trade));
    let body = node.await_ready(503, BOUND);
    assert!(body.contains("history"), "the answer names the actor: {body}");
    std::thread::sleep(outage());
    assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200));
    assert_eq!(restarts(&node), 0, "an outage burns no restart");
    assert!(node.peak_memory_mib() < 512, "memory is bounded");
    world.stack().start(Part::Timescale).expect("start PostgreSQL");
    let sql = world.sql();
    oracle::await_drained(&world, &sql, SENT, BOUND);
    node.await_ready(200, BOUND);
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
    oracle::await_newest_in_cache(&world, SENT);
}

#[test]
fn kafka_away_is_waited_for() {
    const SENT: u64 = 60_000;
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "outage", &[]);
    world.send((1..=SENT / 2).map(trade));
    let sql = world.sql();
    oracle::await_drained(&world, &sql, SENT / 2, BOUND);
    world.stack().kill(Part::Kafka).expect("kill the broker");
    let body = node.await_ready(503, BOUND);
    assert!(body.contains("ticks"), "the answer names the actor: {body}");
    std::thread::sleep(outage());
    assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200));
    assert_eq!(restarts(&node), 0, "an outage burns no restart");
    world.stack().start(Part::Kafka).expect("start the broker");
    world.send((SENT / 2 + 1..=SENT).map(trade));
    oracle::await_drained(&world, &sql, SENT, BOUND);
    node.await_ready(200, BOUND);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
}

#[test]
fn redis_away_does_not_slow_the_database() {
    const SENT: u64 = 200_000;
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "outage", &[]);
    world.send((1..=5_000).map(trade));
    let sql = world.sql();
    oracle::await_drained(&world, &sql, 5_000, BOUND);
    world.stack().stop(Part::Redis).expect("stop Redis");
    world.send((5_001..=SENT).map(trade));
    oracle::await_drained(&world, &sql, SENT, BOUND);
    assert_eq!(rows(&sql), SENT as i64, "the database has everything while Redis is away");
    assert_eq!(restarts(&node), 0);
    world.stack().start(Part::Redis).expect("start Redis");
    oracle::await_newest_in_cache(&world, SENT);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
}

/// While the broker is away the client's session runs out, which leaves it without an id; what it wanted to commit before
/// is sent all the same when the broker is back, and refused as a stranger's who has our name. Nobody took it.
#[test]
fn a_commit_that_outlived_its_session_takes_nobodys_name() {
    const OUTAGES: u64 = 3;
    const EACH: u64 = 20_000;
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "outage", &[]);
    let sql = world.sql();
    for outage in 0..OUTAGES {
        world.send((outage * EACH + 1..=(outage + 1) * EACH).map(trade));
        oracle::await_drained(&world, &sql, (outage + 1) * EACH, BOUND);
        world.stack().kill(Part::Kafka).expect("kill the broker");
        std::thread::sleep(Duration::from_secs(10));
        world.stack().start(Part::Kafka).expect("start the broker");
    }
    world.send((OUTAGES * EACH + 1..=(OUTAGES + 1) * EACH).map(trade));
    oracle::await_drained(&world, &sql, (OUTAGES + 1) * EACH, BOUND);
    node.await_ready(200, BOUND);
    assert_eq!(restarts(&node), 0, "an outage burns no restart");
    assert!(node.log().contains("Consumer group session timed out"), "no session ran out: {}", node.log());
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, (OUTAGES + 1) * EACH);
}
