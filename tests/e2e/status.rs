//! `aqueduct status`: the report of one node, as a page and as data, and the exit code that says whether it is well.

use crate::harness::console;
use crate::harness::node::Node;
use crate::harness::oracle::await_drained;
use crate::harness::topologies::{START_MS, TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{Sql, World};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);
const TOKEN: &str = "status-token";

/// Where the report of a test run is kept, for whoever publishes it.
fn keep(name: &str, content: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report");
    std::fs::create_dir_all(&folder).expect("a folder for the report");
    std::fs::write(folder.join(name), content).expect("the report is kept");
}

/// A drill as an operator runs it, its verdict kept where this topology's page and status look.
fn drill_and_record(world: &World, file: &Path, sql: &Sql) {
    let arguments = ["drill", "backfill", "--trades", "4000", "--live-rate", "100", "--p99-ms", "20000"];
    let recorded = ["--record", console::path(file)];
    let drilled = console::json(world, &[&arguments[..], &recorded[..]].concat());
    assert_eq!(drilled["passed"], true, "{drilled:#}");
    let kept = sql.rows("SELECT drill, passed, (report ->> 'rows_lost')::bigint FROM aqueduct.drills", &[]);
    let [row] = &kept[..] else { panic!("{} drills are kept", kept.len()) };
    assert_eq!((row.get::<_, &str>(0), row.get::<_, bool>(1), row.get::<_, i64>(2)), ("backfill", true, 0));
}

#[test]
fn a_node_is_reported_while_it_is_well_while_it_is_not_and_when_it_is_gone() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    drill_and_record(&world, &file, &sql);
    let token = [("AQUEDUCT_ADMIN_TOKEN", TOKEN)];
    let node = Node::start_with(&world, &file, "reported", &[], &token);
    world.send((1..=500).map(trade));
    world.send([(
        "K00".to_owned(),
        r#"{"id":501,"k":"K00","ts":1723118400000,"p":"-1","q":"1"}"#.to_owned(),
        START_MS,
    )]);
    await_drained(&world, &sql, 501, BOUND);
    node.await_ready(200, BOUND);
    let url = format!("http://{}", node.admin);
    let report = wait::until("a report without lag", BOUND, || {
        let report = console::json(&world, &["status", "--node", &url]);
        (report["lag"][0]["records"] == 0 && report["ingest"]["in_flight"] == 0).then_some(report)
    });
    let ingest = &report["ingest"];
    let fates =
        ["read", "written", "dead_lettered", "unaccounted"].map(|fate| ingest[fate].as_i64().unwrap());
    assert_eq!(fates, [501, 500, 1, 0], "{report:#}");
    assert_eq!(report["dead_letters"]["trades"]["price_positive"], 1);
    assert_eq!((&report["health"]["ready"], &report["lag"][0]["source"]), (&json!(true), &json!("ticks")));
    assert_eq!(report["caches"][0]["actor"], "cache");
    assert_eq!(
        (&report["drills"][0]["drill"], &report["drills"][0]["passed"]),
        (&json!("backfill"), &json!(true))
    );
    let gaps = report["known_gaps"].as_array().unwrap();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap["decide_by"].is_string()), "{gaps:?}");
    let page = console::command(&world, 0, &["status", "--node", &url]);
    let page = String::from_utf8(page.stdout).unwrap();
    for expected in [
        "**Ready.**",
        "| 501 | 500 | 1 |",
        "| trades | price\\_positive | 1 |",
        "| backfill | held |",
        "## Known gaps",
    ] {
        assert!(page.contains(expected), "`{expected}` is not in:\n{page}");
    }
    keep("status.json", &format!("{report:#}\n"));
    keep("status.md", &page);
    let (status, body) = node.post("/api/actors/history/stop", TOKEN, BOUND).unwrap();
    assert_eq!(status, 202, "{body}");
    node.await_ready(503, BOUND);
    let page = console::command(&world, 1, &["status", "--node", &url]);
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("**Not ready.**") && page.contains("| history | stopped |"), "{page}");
    node.kill();
    let gone = console::command(&world, 69, &["status", "--node", &url]);
    assert!(console::errors(&gone).contains(&url), "{}", console::errors(&gone));
}
