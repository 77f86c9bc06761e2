//! Ended, frozen, joined and fenced while trades flow: each record is in the table once.

use crate::harness::node::Node;
use crate::harness::topologies::{START_MS, TRADES, trade};
use crate::harness::world::{Sql, World};
use crate::harness::{oracle, wait};
use std::time::Duration;

const DRAIN_MAX: Duration = Duration::from_secs(90);

fn written(sql: &Sql) -> i64 {
    sql.integer("SELECT count(*) FROM market.trades")
}

#[test]
fn twenty_kills_lose_and_double_nothing() {
    const TRADES_SENT: u64 = 400_000;
    const KILLS: u32 = 20;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let chunk = TRADES_SENT / u64::from(KILLS);
    for kill in 0..u64::from(KILLS) {
        let node = Node::start(&world, &file, "crash", &[]);
        world.send((kill * chunk + 1..=(kill + 1) * chunk).map(trade));
        let sent = (kill + 1) * chunk;
        let goal = (written(&sql) + random.i64(1..=chunk as i64 / 2)).min(sent as i64);
        wait::until("some rows before the kill", DRAIN_MAX, || (written(&sql) >= goal).then_some(()));
        std::thread::sleep(Duration::from_millis(random.u64(0..80)));
        node.kill();
    }
    let node = Node::start(&world, &file, "crash", &["--until-idle", "1s"]);
    assert_eq!(node.exit_code(DRAIN_MAX), 0);
    oracle::assert_exactly_once(&world, &sql, TRADES_SENT);
    oracle::await_newest_in_cache(&world, TRADES_SENT);
}

#[test]
fn a_second_node_joins_and_leaves() {
    const SENT: u64 = 120_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let first = Node::start(&world, &file, "first", &[]);
    world.send((1..=SENT / 3).map(trade));
    wait::until("the first rows", DRAIN_MAX, || (written(&sql) > 0).then_some(()));
    let second = Node::start(&world, &file, "second", &[]);
    // Records go on flowing while the partitions move: the second node shows one in its ledger once it reads it.
    let mut sent = SENT / 3;
    wait::until("the second node to read", DRAIN_MAX, || {
        if sent < 2 * SENT / 3 {
            world.send((sent + 1..=sent + 100).map(trade));
            sent += 100;
        }
        second.get("/api/ledger").filter(|(status, body)| *status == 200 && body.contains("\"partition\""))
    });
    second.terminate();
    assert_eq!(second.exit_code(DRAIN_MAX), 0);
    world.send((sent + 1..=SENT).map(trade));
    oracle::await_drained(&world, &sql, SENT, DRAIN_MAX);
    assert_eq!(first.ledger("unaccounted"), 0);
    first.terminate();
    assert_eq!(first.exit_code(DRAIN_MAX), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
    oracle::await_newest_in_cache(&world, SENT);
}

#[test]
fn a_frozen_node_wakes_as_a_zombie_and_writes_nothing() {
    const SENT: u64 = 60_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let zombie = Node::start(&world, &file, "zombie", &[]);
    world.send((1..=SENT / 2).map(trade));
    wait::until("rows of the first node", DRAIN_MAX, || (written(&sql) > 0).then_some(()));
    zombie.stop();
    let heir = Node::start(&world, &file, "heir", &[]);
    world.send((SENT / 2 + 1..=SENT).map(trade));
    oracle::await_drained(&world, &sql, SENT, DRAIN_MAX);
    zombie.resume();
    heir.terminate();
    assert_eq!(heir.exit_code(DRAIN_MAX), 0);
    zombie.terminate();
    zombie.exit_code(DRAIN_MAX);
    oracle::assert_exactly_once(&world, &sql, SENT);
}

#[test]
fn a_writer_whose_epoch_was_raised_writes_no_row_under_the_old_one() {
    const SENT: u64 = 20_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let node = Node::start(&world, &file, "fenced", &[]);
    world.send((1..=SENT / 2).map(trade));
    oracle::await_drained(&world, &sql, SENT / 2, DRAIN_MAX);
    sql.batch("UPDATE aqueduct.offsets SET epoch = epoch + 1000, owner = gen_random_uuid()");
    let before = sql.integer("SELECT max(epoch) FROM aqueduct.offsets WHERE sink = 'history'");
    world.send((SENT / 2 + 1..=SENT).map(trade));
    oracle::await_drained(&world, &sql, SENT, DRAIN_MAX);
    let after = sql.integer("SELECT min(epoch) FROM aqueduct.offsets WHERE sink = 'history'");
    assert!(after > before, "the rows came under a claim made after the raised epoch: {after} > {before}");
    node.terminate();
    assert_eq!(node.exit_code(DRAIN_MAX), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
}

#[test]
fn sigterm_drains_and_the_ledger_adds_up() {
    const SENT: u64 = 30_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=SENT).map(trade));
    let feed = world.feed();
    feed.send(Some(b"K00"), Some(b"not json"), Some(START_MS)).expect("send");
    feed.flush().expect("flush");
    let node = Node::start(&world, &file, "drained", &[]);
    oracle::await_drained(&world, &sql, SENT + 1, DRAIN_MAX);
    assert_eq!(node.ledger("read"), SENT as i64 + 1);
    assert_eq!(node.ledger("written"), SENT as i64);
    assert_eq!(node.ledger("dead_lettered"), 1);
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(DRAIN_MAX), 0);
    oracle::assert_exactly_once(&world, &sql, SENT + 1);
}
