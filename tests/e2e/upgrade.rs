//! Nodes are replaced one at a time, go for good, and meet a database that a newer version has migrated.
//!
//! Both sides of an upgrade are one build here, since there is no other to be had: what is shown is that nodes replaced under
//! load lose and double nothing. What really differs between versions, the form of what is stored, is met by itself: a
//! database is made newer by hand, in a way that a node can live with and in one that it cannot.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{PARTITIONS, World};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(60);
/// What a member's session lasts, as the product asks for it, and a heartbeat and the division of partitions after it.
const HANDOVER_MAX: Duration = Duration::from_secs(10 + 3 + 7);

/// Sends batches of trades until told to stop; how many there were.
fn send_until(world: &World, stop: &AtomicBool) -> u64 {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        world.send((sent + 1..=sent + 500).map(trade));
        sent += 500;
        std::thread::sleep(Duration::from_millis(100));
    }
    sent
}

/// Partitions that a node tells a lag of: those it has.
fn partitions(node: &Node) -> BTreeSet<u32> {
    let (_, page) = node.get("/metrics").unwrap_or_default();
    let series = page.lines().filter(|line| line.starts_with("aqueduct_lag_records{"));
    let partition = |line: &str| line.split("partition=\"").nth(1)?.split('"').next()?.parse().ok();
    series.filter_map(partition).collect()
}

/// Two nodes, each with some of the partitions, and all of them together.
fn pair(world: &World, file: &Path) -> [Node; 2] {
    let nodes = ["node-0", "node-1"].map(|name| Node::start(world, file, name, &[]));
    wait::until("both have partitions, each its own", BOUND, || {
        let [one, other] = [partitions(&nodes[0]), partitions(&nodes[1])];
        let apart = one.is_disjoint(&other) && !one.is_empty() && !other.is_empty();
        (apart && one.len() + other.len() == PARTITIONS as usize).then_some(())
    });
    nodes
}

#[test]
fn nodes_replaced_one_at_a_time_under_load_lose_and_double_nothing() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let [mut one, mut other] = pair(&world, &file);
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send_until(&world, &stop));
        // From the last to the first, as a StatefulSet does it; the next one goes once this one is back and ready.
        for (node, name) in [(&mut other, "node-1"), (&mut one, "node-0")] {
            node.terminate();
            assert_eq!(node.exit_status(BOUND).code(), Some(0), "{}", node.log());
            *node = Node::start(&world, &file, name, &[]);
            node.await_ready(200, BOUND);
            wait::until("the replaced node has partitions again", BOUND, || {
                (!partitions(node).is_empty()).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        sending.join().expect("everything is sent")
    });
    let sql = world.sql();
    oracle::await_drained(&world, &sql, sent, BOUND);
    for node in [one, other] {
        assert_eq!(node.metric("aqueduct_unaccounted_records"), Some(0.0));
        node.terminate();
        assert_eq!(node.exit_code(BOUND), 0);
    }
    oracle::assert_exactly_once(&world, &sql, sent);
    oracle::await_newest_in_cache(&world, sent);
}

#[test]
fn a_node_that_goes_for_good_hands_its_partitions_over_when_its_session_ends() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let [stays, goes] = pair(&world, &file);
    world.send((1..=400).map(trade));
    let sql = world.sql();
    oracle::await_drained(&world, &sql, 400, BOUND);
    goes.terminate();
    assert_eq!(goes.exit_code(BOUND), 0);
    let gone = Instant::now();
    world.send((401..=800).map(trade));
    oracle::await_drained(&world, &sql, 800, HANDOVER_MAX);
    eprintln!("handed over {:.1} s after the node was gone", gone.elapsed().as_secs_f64());
    wait::until("the lag of every partition", BOUND, || {
        (partitions(&stays).len() == PARTITIONS as usize).then_some(())
    });
    stays.terminate();
    assert_eq!(stays.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, 800);
}

#[test]
fn a_newer_database_is_lived_with_until_it_says_that_it_cannot_be() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "older", &[]);
    let sql = world.sql();
    world.send((1..=200).map(trade));
    oracle::await_drained(&world, &sql, 200, BOUND);
    let record = "INSERT INTO aqueduct.migrations (\"set\", version, name, checksum, transactional, applied_by, duration_ms) \
                  VALUES ('engine', %s, %L, 'x', true, 'a newer version', 1)";
    sql.batch("ALTER TABLE aqueduct.offsets ADD COLUMN later text");
    sql.batch(&sql.format(record, &["98", "0098_later.sql"]));
    world.send((201..=400).map(trade));
    oracle::await_drained(&world, &sql, 400, BOUND);

    let breaking = sql.format(record, &["99", "0099_other_offsets_breaking.sql"]);
    sql.batch(&format!(
        "BEGIN; LOCK TABLE aqueduct.migrations; {breaking}; UPDATE aqueduct.offsets SET epoch = epoch + 1; COMMIT"
    ));
    world.send((401..=600).map(trade));
    let reason = node.await_ready(503, BOUND);
    wait::until("the node says why", BOUND, || {
        let (_, reason) = node.get("/readyz")?;
        (reason.contains("0099_other_offsets_breaking.sql") && reason.contains("upgrade this node"))
            .then_some(())
    });
    assert_eq!(
        sql.integer("SELECT count(*) FROM market.trades"),
        400,
        "nothing is written any more: {reason}"
    );
    let path = file.to_str().expect("a plain path");
    for arguments in
        [&["migrate", "up", path][..], &["migrate", "verify", path], &["check", path, "--connect"]]
    {
        let output = world.run(arguments);
        let said =
            String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
        assert!(!output.status.success(), "{arguments:?}: {said}");
        assert!(
            said.contains("0099_other_offsets_breaking.sql") && said.contains("upgrade it"),
            "{arguments:?}: {said}"
        );
    }

    // What an upgrade of the node would do away with.
    sql.batch("DELETE FROM aqueduct.migrations WHERE version = 99");
    oracle::await_drained(&world, &sql, 600, BOUND);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, 600);
}

#[test]
fn state_of_a_strange_format_is_refused_and_not_passed_over() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let sql = world.sql();
    world.send((1..=200).map(trade));
    let node = Node::start(&world, &file, "first", &[]);
    oracle::await_drained(&world, &sql, 200, BOUND);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    sql.batch("UPDATE aqueduct.offsets SET snapshot = '\\xee01' WHERE sink = 'history' AND partition = 0");
    world.send((201..=400).map(trade));
    let node = Node::start(&world, &file, "first", &[]);
    wait::until("the node says why", BOUND, || {
        let (_, reason) = node.get("/readyz")?;
        reason.contains("`history` has state of format 238").then_some(())
    });
    sql.batch("UPDATE aqueduct.offsets SET snapshot = NULL");
    oracle::await_drained(&world, &sql, 400, BOUND);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, 400);
}

#[test]
fn the_binary_knows_its_own_migrations() {
    let files = aqueduct_config::migrations::all();
    let numbers = files.iter().filter_map(|file| file.name.split('_').next()?.parse::<i32>().ok());
    let newest = numbers.max().expect("a migration");
    let known = aqueduct_actors::timescale::offsets::LEVEL;
    assert_eq!(known, newest, "a migration was added: raise LEVEL in actors/src/timescale/offsets/level.rs");
}
