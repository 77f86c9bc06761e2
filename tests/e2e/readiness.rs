//! `/readyz` tells the truth: of a part that is away though nothing flows, of its return, and of health.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_stack::Part;
use serde_json::Value;
use std::time::{Duration, Instant};

/// What is promised ([`aqueduct_engine::limits::READINESS_TELLS_WITHIN`]), and as much again for a busy machine.
const TELLS_WITHIN: Duration = Duration::from_secs(10);
const BOUND: Duration = Duration::from_secs(60);

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

/// How a part is away.
#[derive(Clone, Copy, Debug)]
enum Away {
    /// Its sockets stay open, and nobody answers.
    Paused,
    /// It answers, and takes no writes.
    ReadOnly,
    Gone,
}

impl Away {
    fn begin(self, world: &World, part: Part) {
        match (self, part) {
            (Away::Paused, part) => world.stack().pause(part).expect("pause"),
            (Away::Gone, part) => world.stack().kill(part).expect("kill"),
            (Away::ReadOnly, Part::Redis) => replicate(world, ["127.0.0.1", "1"]),
            (Away::ReadOnly, _) => {
                let sql = world.sql();
                sql.batch("ALTER SYSTEM SET default_transaction_read_only = on");
                sql.batch("SELECT pg_reload_conf()");
            }
        }
    }

    fn end(self, world: &World, part: Part) {
        match (self, part) {
            (Away::Paused, part) => world.stack().resume(part).expect("resume"),
            (Away::Gone, part) => world.stack().start(part).expect("start"),
            (Away::ReadOnly, Part::Redis) => replicate(world, ["NO", "ONE"]),
            (Away::ReadOnly, _) => {
                let sql = world.sql();
                sql.batch("SET default_transaction_read_only = off");
                sql.batch("ALTER SYSTEM RESET default_transaction_read_only");
                sql.batch("SELECT pg_reload_conf()");
            }
        }
    }
}

fn replicate(world: &World, of: [&str; 2]) {
    let answer = bb8_redis::redis::cmd("REPLICAOF").arg(&of).query::<String>(&mut world.redis());
    assert_eq!(answer.expect("an answer"), "OK");
}

/// Each part, how it is away, and the actor that is named for it.
const FAULTS: [(Part, Away, &str); 8] = [
    (Part::Timescale, Away::Paused, "history"),
    (Part::Timescale, Away::ReadOnly, "history"),
    (Part::Timescale, Away::Gone, "history"),
    (Part::Redis, Away::Paused, "cache"),
    (Part::Redis, Away::ReadOnly, "cache"),
    (Part::Redis, Away::Gone, "cache"),
    (Part::Kafka, Away::Paused, "ticks"),
    (Part::Kafka, Away::Gone, "ticks"),
];

/// connect#4655: `/ready` true with brokers down. Here each part, in each way of being away, while nothing flows.
#[test]
fn a_part_that_is_away_is_named_within_seconds_and_so_is_its_return() {
    let world = World::private();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "silent", &[]);
    let sql = world.sql();
    world.send((1..=1_000).map(trade));
    oracle::await_drained(&world, &sql, 1_000, BOUND);
    node.await_ready(200, BOUND);
    for (part, away, actor) in FAULTS {
        let began = Instant::now();
        away.begin(&world, part);
        let named = await_named(&node, actor);
        let noticed = began.elapsed();
        assert_eq!(named["state"], "waiting", "{part} {away:?}: {named}");
        assert!(named["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{named}");
        assert!(named["since_us"].as_i64().is_some_and(|since| since > 0), "{named}");
        away.end(&world, part);
        let ended = Instant::now();
        node.await_ready(200, TELLS_WITHIN);
        println!("{part} {away:?}: named after {noticed:?}, ready again after {:?}", ended.elapsed());
    }
    let actors = node.json("/api/actors");
    let of =
        |name: &str| actors.as_array().expect("an array").iter().find(|actor| actor["name"] == name).cloned();
    let history = of("history").expect("the writer");
    let (contact, write) = (history["last_contact_us"].as_i64(), history["last_write_us"].as_i64());
    assert!(write.is_some() && contact > write, "it was asked since it last wrote: {history}");
    for actor in ["ticks", "history", "cache"] {
        assert_eq!(of(actor).expect("an actor")["restarts"], 0, "nobody was restarted for it");
    }
    world.send((1_001..=2_000).map(trade));
    let sql = world.sql();
    oracle::await_drained(&world, &sql, 2_000, BOUND);
    oracle::assert_exactly_once(&world, &sql, 2_000);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

/// Bursts and pauses on a node with nothing wrong: whoever asks at whatever moment is told so.
#[test]
fn a_healthy_node_is_ready_at_every_moment() {
    const ASK_EVERY: Duration = Duration::from_millis(50);
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "healthy", &[]);
    node.await_ready(200, BOUND);
    std::thread::scope(|scope| {
        let bursts = scope.spawn(|| {
            for burst in 0..4 {
                world.send((burst * 25_000 + 1..=(burst + 1) * 25_000).map(trade));
                std::thread::sleep(Duration::from_secs(2));
            }
        });
        while !bursts.is_finished() {
            let (status, body) = node.get("/readyz").expect("an answer");
            assert_eq!(status, 200, "{body}");
            std::thread::sleep(ASK_EVERY);
        }
    });
    oracle::await_drained(&world, &world.sql(), 100_000, BOUND);
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
    world.send((1..=20_000).map(trade));
    oracle::await_drained(&world, &sql, 20_000, BOUND);
    std::thread::scope(|scope| {
        scope.spawn(|| world.send((20_001..=SENT).map(trade)));
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
