//! `/readyz` tells the truth: of a part that falls silent while nothing flows, and of its return.

use super::node::Node;
use super::oracle;
use super::topologies::{TRADES, trade};
use super::wait;
use super::world::World;
use aqueduct_stack::Part;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What is promised ([`aqueduct_engine::limits::READINESS_TELLS_WITHIN`]), and as much again for a busy machine.
const TELLS_WITHIN: Duration = Duration::from_secs(10);
const BOUND: Duration = Duration::from_secs(60);

fn send(world: &World, from: u64, to: u64) {
    let feed = world.feed();
    for id in from..=to {
        let (key, value, time) = trade(id);
        feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
    }
    feed.flush().expect("flush");
}

/// The entry of `actor` in an answer of `/readyz`.
fn entry(body: &str, actor: &str) -> Option<Value> {
    let answer: Value = serde_json::from_str(body).expect("JSON");
    let entries = answer["not_ready"].as_array().expect("an array");
    entries.iter().find(|entry| entry["actor"] == actor).cloned()
}

/// The first answer that names `actor` as not ready.
fn await_named(node: &Node, actor: &str) -> Value {
    wait::until(&format!("/readyz names {actor}"), TELLS_WITHIN, || {
        let (status, body) = node.get("/readyz")?;
        entry(&body, actor).filter(|_| status == 503)
    })
}

/// A part that is stopped, not ended: its sockets stay open, and nobody answers.
#[test]
fn a_part_that_falls_silent_is_named_within_seconds_and_so_is_its_return() {
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "silent", &[]);
    let sql = world.sql();
    send(&world, 1, 1_000);
    oracle::await_drained(&world, &sql, 1_000, BOUND);
    node.await_ready(200, BOUND);
    let mut told = Vec::new();
    for (part, actor) in [(Part::Timescale, "history"), (Part::Redis, "cache"), (Part::Kafka, "ticks")] {
        let silent = Instant::now();
        world.stack().pause(part).expect("pause");
        let named = await_named(&node, actor);
        let noticed = silent.elapsed();
        assert_eq!(named["state"], "waiting", "{named}");
        assert!(named["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{named}");
        assert!(named["since_us"].as_i64().is_some_and(|since| since > 0), "{named}");
        let back = Instant::now();
        world.stack().resume(part).expect("resume");
        node.await_ready(200, TELLS_WITHIN);
        told.push(format!("{part:?}: named after {noticed:?}, ready again after {:?}", back.elapsed()));
    }
    println!("{}", told.join("\n"));
    let actors = node.json("/api/actors");
    let of =
        |name: &str| actors.as_array().expect("an array").iter().find(|actor| actor["name"] == name).cloned();
    let history = of("history").expect("the writer");
    let (contact, write) = (history["last_contact_us"].as_i64(), history["last_write_us"].as_i64());
    assert!(write.is_some() && contact > write, "it was asked since it last wrote: {history}");
    assert_eq!(history["restarts"], 0, "nobody was restarted for it");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

/// Under load a silent database shows although the writer is still in the middle of its COPY.
#[test]
fn a_database_that_falls_silent_under_load_is_named_within_seconds() {
    const SENT: u64 = 200_000;
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "loaded", &[]);
    let sql = world.sql();
    send(&world, 1, 20_000);
    oracle::await_drained(&world, &sql, 20_000, BOUND);
    std::thread::scope(|scope| {
        scope.spawn(|| send(&world, 20_001, SENT));
        wait::until("rows arrive", BOUND, || {
            (sql.integer("SELECT count(*) FROM market.trades") > 30_000).then_some(())
        });
        world.stack().pause(Part::Timescale).expect("pause");
        let named = await_named(&node, "history");
        assert!(["stalled", "waiting"].contains(&named["state"].as_str().expect("a word")), "{named}");
        world.stack().resume(Part::Timescale).expect("resume");
    });
    oracle::await_drained(&world, &sql, SENT, BOUND);
    node.await_ready(200, TELLS_WITHIN);
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    oracle::assert_exactly_once(&world, &sql, SENT);
}
