//! Complaints about nodes at work, on the real parts.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{PARTITIONS, World};
use std::collections::BTreeMap;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);
const TOKEN: &str = "regression-token";

/// What a scrape says of the lag, by partition.
fn lag(node: &Node) -> BTreeMap<i32, i64> {
    let (_, page) = node.get("/metrics").unwrap_or_default();
    let series = page.lines().filter(|line| line.starts_with("aqueduct_lag_records{"));
    let partition = |line: &str| -> Option<(i32, i64)> {
        let partition = line.split("partition=\"").nth(1)?.split('"').next()?.parse().ok()?;
        Some((partition, line.rsplit(' ').next()?.parse::<f64>().ok()? as i64))
    };
    series.filter_map(partition).collect()
}

fn await_lag(node: &Node, what: &str, holds: impl Fn(&BTreeMap<i32, i64>) -> bool) {
    wait::until(what, BOUND, || holds(&lag(node)).then_some(()));
}

/// vector#22006, connect#3410 and #4648 (after a rebalance some partitions are assigned and never read again);
/// vector#21134 (their lag stays wrong until a restart).
#[test]
fn a_partition_that_comes_back_is_read_again() {
    let world = World::shared();
    let dynamic = TRADES.replace("topic: \"{topic}\" }", "topic: \"{topic}\", membership: dynamic }");
    assert_ne!(dynamic, TRADES);
    let file = world.write_topology(&dynamic);
    world.migrate(&file);
    let stays = Node::start(&world, &file, "stays", &[]);
    let sql = world.sql();
    world.send((1..=400).map(trade));
    oracle::await_drained(&world, &sql, 400, BOUND);
    await_lag(&stays, "the lag of every partition", |lag| lag.len() == PARTITIONS as usize);
    let comes_and_goes = Node::start(&world, &file, "comes-and-goes", &[]);
    wait::until("both have partitions, each its own", BOUND, || {
        let (here, there) = (lag(&stays), lag(&comes_and_goes));
        let apart = here.keys().all(|partition| !there.contains_key(partition));
        (apart && !there.is_empty() && here.len() + there.len() == PARTITIONS as usize).then_some(())
    });
    world.send((401..=800).map(trade));
    oracle::await_drained(&world, &sql, 800, BOUND);
    comes_and_goes.terminate();
    assert_eq!(comes_and_goes.exit_code(BOUND), 0);
    world.send((801..=1_200).map(trade));
    oracle::await_drained(&world, &sql, 1_200, BOUND);
    await_lag(&stays, "the lag of every partition, gone again", |lag| {
        lag.len() == PARTITIONS as usize && lag.values().all(|records| *records == 0)
    });
    stays.terminate();
    assert_eq!(stays.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, 1_200);
}

/// telegraf#2679: what is buffered when the configuration is read again is dropped.
#[test]
fn a_reload_writes_what_is_buffered() {
    const SENT: u64 = 300;
    let world = World::shared();
    // But for the first record, nothing is written by itself for as long as the test takes.
    let buffering = TRADES.replace("interval: 30ms", "interval: 10m");
    let file = world.write_topology(&buffering);
    world.migrate(&file);
    let node = Node::start_with(&world, &file, "buffers", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    let sql = world.sql();
    let written = || sql.integer("SELECT count(*) FROM market.trades");
    world.send([trade(1)]);
    wait::until("the first record is written", BOUND, || (written() == 1).then_some(()));
    world.send((2..=SENT).map(trade));
    wait::until("everything is read, and buffered", BOUND, || {
        (node.ledger("read") == SENT as i64).then_some(())
    });
    assert_eq!(written(), 1, "the rows are in the writer's hands");
    world.write_topology(&buffering.replace("rows: 4000", "rows: 2000").replace("p > 0", "p >= 0"));
    let (status, body) = node.post("/api/reload", TOKEN, BOUND).expect("an answer");
    assert_eq!(status, 200, "{body}");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
}

/// kafka-lag-exporter#36: with no consumer left, the lag is not told any more, just when it matters.
#[test]
fn lag_is_told_while_nobody_consumes() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start_with(&world, &file, "lags", &[], &[("AQUEDUCT_ADMIN_TOKEN", TOKEN)]);
    let sql = world.sql();
    world.send((1..=100).map(trade));
    oracle::await_drained(&world, &sql, 100, BOUND);
    let order = |actor: &str, order: &str| {
        let (status, body) =
            node.post(&format!("/api/actors/{actor}/{order}"), TOKEN, BOUND).expect("an answer");
        assert!(status < 300, "{order} {actor}: {status} {body}");
    };
    let total = |lag: &BTreeMap<i32, i64>| lag.values().sum::<i64>();
    await_lag(&node, "no lag", |lag| total(lag) == 0 && lag.len() == PARTITIONS as usize);
    order("history", "stop");
    world.send((101..=600).map(trade));
    await_lag(&node, "the lag of a writer that is down", |lag| total(lag) == 500);
    order("ticks", "stop");
    await_lag(&node, "the lag of a source that is down", |lag| total(lag) == 500);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(total(&lag(&node)), 500, "it is still told");
    order("ticks", "start");
    order("history", "start");
    oracle::await_drained(&world, &sql, 600, BOUND);
    await_lag(&node, "no lag again", |lag| total(lag) == 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, 600);
}
