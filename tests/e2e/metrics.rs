//! The metrics page of a node: what it promises to a scraper, whatever its servers do.

use crate::harness::node::Node;
use crate::harness::oracle;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use aqueduct_engine::telemetry::names;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(60);
/// What is promised is a tenth of it; the machine that tests is a busy one.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Families of a page by their type.
fn families(page: &str) -> BTreeMap<&str, &str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').expect("a name and a type")).collect()
}

/// The names of the labels of a series' line.
fn labels(line: &str) -> BTreeSet<&str> {
    let Some((_, labels)) = line.split_once('{') else { return BTreeSet::new() };
    let names = labels.split("=\"").filter_map(|before| before.rsplit([',', '{', '"']).next());
    let count = labels.matches("=\"").count();
    names.take(count).collect()
}

#[test]
fn every_family_is_documented_with_its_type_and_its_labels() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let node = Node::start(&world, &file, "documented", &[]);
    world.send((1..=1_000).map(trade));
    oracle::await_drained(&world, &world.sql(), 1_000, BOUND);
    let expected = [
        names::LAG_RECORDS,
        names::LAG_SAMPLE_AGE_SECONDS,
        names::END_TO_END_SECONDS,
        names::FLUSH_SECONDS,
        names::ROWS_TOTAL,
        names::EDGE_BLOCKED_SECONDS_TOTAL,
        names::POOL_CONNECTIONS,
        names::CHUNKS,
        names::TABLE_BYTES,
        names::KAFKA_GROUP_ASSIGNED_PARTITIONS,
        names::CACHE_WRITES_TOTAL,
        names::CACHE_SERVER_KEYS,
        names::BUILD_INFO,
        names::PROCESS_OPEN_FDS,
        names::BOTTLENECK,
    ];
    let page = wait::until("every figure is told", BOUND, || {
        let (_, page) = node.get("/metrics")?;
        let there = expected.iter().all(|metric| families(&page).contains_key(metric.name));
        there.then_some(page)
    });
    for (name, word) in families(&page) {
        let metric = names::ALL.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not documented"));
        assert_eq!(metric.kind.as_str(), word, "{name}");
        let known: BTreeSet<&str> = metric.labels().chain(["le"]).collect();
        let lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        for line in lines {
            assert!(labels(line).is_subset(&known), "{line}: labels beyond {known:?}");
        }
    }
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
    }
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

/// Takes connections and never answers; keeps them open until it is dropped.
fn black_hole() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

#[test]
fn the_page_is_answered_at_once_while_every_server_is_a_black_hole() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    let holes = [black_hole(), black_hole(), black_hole()];
    let [kafka, timescale, redis] = holes.each_ref().map(|hole| hole.local_addr().expect("an address"));
    let (kafka, timescale, redis) =
        (kafka.to_string(), format!("postgres://u:p@{timescale}/d"), format!("redis://{redis}/"));
    let environment = [
        ("KAFKA_BOOTSTRAP", kafka.as_str()),
        ("TIMESCALE_URL", timescale.as_str()),
        ("REDIS_URL", redis.as_str()),
    ];
    let node = Node::start_with(&world, &file, "alone", &[], &environment);
    wait::until("the page", BOUND, || node.get("/metrics"));
    let until = Instant::now() + Duration::from_secs(8);
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        let began = Instant::now();
        let answer = ask(&node);
        slowest = slowest.max(began.elapsed());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(answer.contains("aqueduct_actor_state"), "{answer}");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("the slowest answer took {slowest:?}");
    assert!(slowest < ANSWER_MAX, "{slowest:?}");
    drop(node);
}

fn ask(node: &Node) -> String {
    let mut stream = TcpStream::connect(node.admin).expect("connect");
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", node.admin)
        .expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
