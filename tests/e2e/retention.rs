//! Retention: what is past it is dropped, with evidence, by one node of all; what is held or young is not; and the audit
//! tells. One node is killed, one session cut, on the real TimescaleDB.

use crate::harness::node::Node;
use crate::harness::topologies::TRADES;
use crate::harness::wait::until;
use crate::harness::world::{Sql, World};
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(90);

/// [`TRADES`] with rows kept for ten days, and a schedule.
fn kept(every: &str) -> String {
    let table = "table: market.trades";
    assert!(TRADES.contains(table));
    let kept = TRADES.replace(table, &format!("{table}, retention: 10d, chunk_interval: 1d"));
    format!("{kept}  keeper: {{ kind: schedule, every: {every}, run: retention }}\n")
}

/// Ten rows in the chunk of each of these days, so many days ago; day 10 is past in part only, so not past.
fn fill(sql: &Sql, days: &[i32]) {
    for day in days {
        let statement = "INSERT INTO market.trades (ts, id, k, p, q) \
             SELECT date_trunc('day', now()) - $1::int4 * interval '1 day' + n * interval '1 minute', n, 'K', 1, 1 \
             FROM generate_series(1::int8, 10) AS n";
        sql.rows(statement, &[day]);
    }
}

fn chunks(sql: &Sql) -> i64 {
    sql.integer("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'trades'")
}

fn drops(sql: &Sql) -> i64 {
    sql.integer("SELECT count(*) FROM aqueduct.retention_log")
}

fn days_left(sql: &Sql) -> Vec<i32> {
    let days = "SELECT DISTINCT (date_trunc('day', now())::date - ts::date) FROM market.trades ORDER BY 1";
    sql.rows(days, &[]).iter().map(|row| row.get(0)).collect()
}

fn audit(world: &World, file: &Path, format: &str) -> (Option<i32>, String) {
    let output: Output =
        world.aqueduct().args(["audit", "retention", "--format", format]).arg(file).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// What a node shows of its schedule.
fn schedule(node: &Node) -> Value {
    node.schedule("keeper")
}

fn owns(node: &Node) -> bool {
    schedule(node)["owner"] == true
}

fn await_run(node: &Node, passed: bool) -> String {
    until("a run of the schedule", BOUND, || {
        let last = schedule(node)["last"].clone();
        (last["passed"] == passed).then(|| last["message"].as_str().expect("a message").to_owned())
    })
}

#[test]
fn what_is_past_goes_with_evidence_and_what_is_held_or_young_stays() {
    let world = World::shared();
    let (file, sql) = world.prepare(&kept("1h"));
    fill(&sql, &[30, 20, 15, 11, 10, 9, 0]);
    let held = "SELECT aqueduct.hold('market.trades', 'inquiry 7', now() - interval '21 days', now() - interval '19 days')";
    let hold: i64 = sql.integer(held);
    let (code, said) = audit(&world, &file, "json");
    let report: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, report["breach"].as_bool()), (Some(1), Some(true)), "{said}");
    let past = &report["tables"][0]["past"];
    // Whether the youngest of them is late depends on the time of day.
    assert_eq!((past["chunks"].as_i64(), past["held"].as_i64()), (Some(4), Some(1)), "{said}");
    assert!(past["late"].as_i64() >= Some(2), "{said}");

    let node = Node::start(&world, &file, "one", &[]);
    let message = await_run(&node, true);
    assert_eq!(
        message,
        "dropped 3 chunks, 30 rows of market.trades, 1 chunks of market.trades are past their retention and held"
    );
    assert_eq!(days_left(&sql), [0, 9, 10, 20]);
    let logged = sql.rows(
        "SELECT who = session_user, node, rows, cardinality(chunks), bytes > 0, retention = interval '10 days', \
         to_time <= now() - interval '10 days' FROM aqueduct.retention_log ORDER BY id",
        &[],
    );
    assert_eq!(logged.len(), 3);
    for row in &logged {
        let seen: (bool, &str, i64, i32, bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5), row.get(6));
        assert_eq!(seen, (true, "one", 10, 1, true, true, true));
    }
    node.await_ready(200, BOUND);
    assert_eq!(node.metric("aqueduct_schedule_owner"), Some(1.0));
    assert_eq!(node.metric("aqueduct_retention_dropped_rows_total"), Some(30.0));
    let (code, said) = audit(&world, &file, "text");
    assert_eq!(code, Some(0), "{said}");
    for part in ["no breach", "inquiry 7", "1 past their retention (1 held, 0 late)", "dropped by schedule"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Evidence is evidence, for whoever owns it too.
    for change in [
        "DELETE FROM aqueduct.retention_log",
        "UPDATE aqueduct.retention_log SET rows = 0",
        "TRUNCATE aqueduct.retention_log",
        "DELETE FROM aqueduct.legal_holds",
        "UPDATE aqueduct.legal_holds SET reason = 'none'",
    ] {
        let refused = sql.try_batch(change).expect_err(change);
        assert_eq!(refused.code().map(|code| code.code()), Some("42501"), "{change}");
    }
    sql.rows("SELECT aqueduct.release_hold($1, 'inquiry closed')", &[&hold]);
    assert!(sql.try_rows("SELECT aqueduct.release_hold($1, 'again')", &[&hold]).is_err(), "released once");
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    // An hour has not passed, so the next node does not run it again: asked for by hand, it goes.
    let dropped =
        "SELECT * FROM aqueduct.drop_past('t', 'hand', 'market', 'trades', interval '10 days', now())";
    assert_eq!(sql.rows(dropped, &[]).len(), 1);
    assert_eq!(sql.rows(dropped, &[]).len(), 0);
    assert_eq!((days_left(&sql), drops(&sql)), (vec![0, 9, 10], 4));
    // A clock that is ahead drops nothing by itself.
    let ahead = "SELECT * FROM aqueduct.drop_past('t', 'hand', 'market', 'trades', interval '10 days', now() + interval '1 year')";
    assert_eq!(sql.rows(ahead, &[]).len(), 0);
    let (code, said) = audit(&world, &file, "csv");
    assert_eq!((code, said.lines().count()), (Some(0), 2), "{said}");
    assert!(
        said.lines().nth(1).unwrap().starts_with("market.trades,hypertable,history,864000,,86400,86400,3,"),
        "{said}"
    );
    // Chunks came and went; the schema is what the migrations made.
    let verified = world.run(&["migrate", "verify", file.to_str().expect("a plain path")]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

#[test]
fn of_two_nodes_one_is_at_work_and_the_other_takes_over() {
    let world = World::shared();
    let (file, sql) = world.prepare(&kept("1s"));
    let (one, two) = (Node::start(&world, &file, "one", &[]), Node::start(&world, &file, "two", &[]));
    one.await_ready(200, BOUND);
    two.await_ready(200, BOUND);
    let first = until("one owner", BOUND, || match (owns(&one), owns(&two)) {
        (true, true) => panic!("two are at work"),
        (false, false) => None,
        (first, _) => Some(first),
    });
    fill(&sql, &[30, 20]);
    until("both chunks to go", BOUND, || (drops(&sql) == 2).then_some(()));
    let by = "SELECT count(DISTINCT node) FROM aqueduct.retention_log";
    assert_eq!(sql.integer(by), 1);
    let (owner, other) = if first { (one, two) } else { (two, one) };
    owner.kill();
    until("the other to take over", BOUND, || owns(&other).then_some(()));
    fill(&sql, &[40]);
    until("the other to drop", BOUND, || (drops(&sql) == 3).then_some(()));
    assert_eq!((sql.integer(by), chunks(&sql)), (2, 0));
    // Cut in the middle of a drop: somebody reads the chunk, so the drop waits for its lock.
    let hold = sql.integer("SELECT aqueduct.hold('market.trades', 'the drop shall wait')");
    fill(&sql, &[50]);
    let reader = world.sql();
    reader.batch("BEGIN; SELECT count(*) FROM market.trades");
    sql.rows("SELECT aqueduct.release_hold($1, 'now')", &[&hold]);
    let before = drops(&sql);
    let waiting = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE wait_event_type = 'Lock' AND query LIKE '%drop_past%' AND datname = current_database()";
    until("the drop to wait, and to be cut", BOUND, || (sql.integer(waiting) > 0).then_some(()));
    assert_eq!((drops(&sql), chunks(&sql)), (before, 1), "neither the drop nor its line");
    reader.batch("ROLLBACK");
    until("the drop to be made", BOUND, || (drops(&sql) == before + 1).then_some(()));
    assert_eq!(chunks(&sql), 0);
    until("the owner to be back", BOUND, || owns(&other).then_some(()));
}

#[test]
fn who_may_not_drop_fails_the_run_and_is_told_and_the_node_stays_ready() {
    let world = World::shared();
    let (file, sql) = world.prepare(&kept("2s"));
    fill(&sql, &[30]);
    let name = format!("keeper_{}", world.topic.trim_start_matches("t-").replace('-', "_"));
    sql.batch(&sql.format("CREATE ROLE %1$I LOGIN PASSWORD 'pass' IN ROLE aqueduct_writer", &[&name]));
    let (scheme, rest) = world.database_url().split_once("://").expect("an address");
    let url = format!("{scheme}://{name}:pass@{}", rest.split_once('@').expect("a user").1);
    let node = Node::start_with(&world, &file, "least", &[], &[("TIMESCALE_URL", url.as_str())]);
    let message = await_run(&node, false);
    assert!(message.contains("GRANT aqueduct_retention"), "{message}");
    node.await_ready(200, BOUND);
    assert_eq!((node.metric("aqueduct_schedule_failed"), drops(&sql)), (Some(1.0), 0));
    let checked =
        world.aqueduct().args(["check", "--connect"]).arg(&file).env("TIMESCALE_URL", &url).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("may not drop what is past its retention"), "{said}");
    sql.batch(&sql.format("GRANT aqueduct_retention TO %1$I", &[&name]));
    assert_eq!(await_run(&node, true), "dropped 1 chunks, 10 rows of market.trades");
    // Who drops can neither forge evidence nor release a hold.
    let mine = Sql::connect(&url);
    for refused in [
        "INSERT INTO aqueduct.retention_log (topology, node, schema_name, table_name, from_time, to_time, retention, \
         chunks, rows, bytes) VALUES ('t', 'n', 's', 't', now(), now() + interval '1 day', '1 day', '{c}', 0, 0)",
        "DELETE FROM aqueduct.retention_log",
        "SELECT aqueduct.hold('market.trades', 'mine')",
        "SELECT aqueduct.release_hold(1, 'mine')",
        "SELECT drop_chunks('market.trades', older_than => now())",
    ] {
        let error = mine.try_batch(refused).expect_err(refused);
        assert_eq!(error.code().map(|code| code.code()), Some("42501"), "{refused}");
    }
    // A table that has no chunks is refused by name.
    let plain = sql.try_batch(
        "CREATE TABLE market.plain (ts timestamptz); \
         SELECT aqueduct.drop_past('t', 'n', 'market', 'plain', interval '1 day', now())",
    );
    let error = plain.expect_err("a plain table");
    drop(mine);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    sql.batch(&sql.format("DROP OWNED BY %1$I CASCADE; DROP ROLE %1$I", &[&name]));
    assert_eq!(error.code().map(|code| code.code()), Some("42809"));
}
