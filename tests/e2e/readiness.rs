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

/// A fault of a part, how it is made, and how it ends.
struct Fault {
    what: &'static str,
    actor: &'static str,
    begin: fn(&World),
    end: fn(&World),
}

fn pause(world: &World, part: Part) {
    world.stack().pause(part).expect("pause");
}

fn resume(world: &World, part: Part) {
    world.stack().resume(part).expect("resume");
}

fn kill(world: &World, part: Part) {
    world.stack().kill(part).expect("kill");
}

fn start(world: &World, part: Part) {
    world.stack().start(part).expect("start");
}

fn replicate(world: &World, of: [&str; 2]) {
    let answer = bb8_redis::redis::cmd("REPLICAOF").arg(&of).query::<String>(&mut world.redis());
    assert_eq!(answer.expect("an answer"), "OK");
}

/// Paused: its sockets stay open, and nobody answers.
const FAULTS: [Fault; 8] = [
    Fault {
        what: "database paused",
        actor: "history",
        begin: |world| pause(world, Part::Timescale),
        end: |world| resume(world, Part::Timescale),
    },
    Fault {
        what: "database read-only",
        actor: "history",
        begin: |world| {
            let sql = world.sql();
            sql.batch("ALTER SYSTEM SET default_transaction_read_only = on");
            sql.batch("SELECT pg_reload_conf()");
        },
        end: |world| {
            let sql = world.sql();
            sql.batch("SET default_transaction_read_only = off");
            sql.batch("ALTER SYSTEM RESET default_transaction_read_only");
            sql.batch("SELECT pg_reload_conf()");
        },
    },
    Fault {
        what: "database gone",
        actor: "history",
        begin: |world| kill(world, Part::Timescale),
        end: |world| start(world, Part::Timescale),
    },
    Fault {
        what: "redis paused",
        actor: "cache",
        begin: |world| pause(world, Part::Redis),
        end: |world| resume(world, Part::Redis),
    },
    Fault {
        what: "redis read-only",
        actor: "cache",
        begin: |world| replicate(world, ["127.0.0.1", "1"]),
        end: |world| replicate(world, ["NO", "ONE"]),
    },
    Fault {
        what: "redis gone",
        actor: "cache",
        begin: |world| kill(world, Part::Redis),
        end: |world| start(world, Part::Redis),
    },
    Fault {
        what: "kafka paused",
        actor: "ticks",
        begin: |world| pause(world, Part::Kafka),
        end: |world| resume(world, Part::Kafka),
    },
    Fault {
        what: "kafka gone",
        actor: "ticks",
        begin: |world| kill(world, Part::Kafka),
        end: |world| start(world, Part::Kafka),
    },
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
    for fault in FAULTS {
        let began = Instant::now();
        (fault.begin)(&world);
        let named = await_named(&node, fault.actor);
        let noticed = began.elapsed();
        assert_eq!(named["state"], "waiting", "{}: {named}", fault.what);
        assert!(named["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{named}");
        assert!(named["since_us"].as_i64().is_some_and(|since| since > 0), "{named}");
        (fault.end)(&world);
        let ended = Instant::now();
        node.await_ready(200, TELLS_WITHIN);
        println!("{}: named after {noticed:?}, ready again after {:?}", fault.what, ended.elapsed());
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
