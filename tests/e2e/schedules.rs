//! Schedules that roll up and export: every closed bucket once and right, late rows found, nothing dropped before it is read;
//! closed days exported by a process that is looked after.

use crate::harness::node::{Launch, Node};
use crate::harness::topologies::TRADES;
use crate::harness::wait::until;
use crate::harness::world::{Sql, World};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BOUND: Duration = Duration::from_secs(90);

const BARS: &str = "  bars:
    kind: schedule
    every: 1s
    run: rollup
    rollup:
      of: history
      into: market.bars
      bucket: 1s
      by: k
      columns: { open: first(p), high: max(p), low: min(p), close: last(p), volume: sum(q), mean: avg(p), trades: count() }
      lateness: 20s
";

/// Rows that are in the roll-up and not in what SQL makes of the table, or the other way round.
const DIFFERENT: &str = "
    WITH expected AS (
        SELECT date_trunc('second', ts) AS ts, k, (array_agg(p ORDER BY ts, p))[1] AS open, max(p) AS high, min(p) AS low,
               (array_agg(p ORDER BY ts DESC, p DESC))[1] AS close, sum(q)::numeric(38,8) AS volume,
               avg(p)::numeric(38,8) AS mean, count(*) AS trades
        FROM market.trades WHERE ts < $1::text::timestamptz GROUP BY 1, 2),
    actual AS (
        SELECT ts, k, open, high, low, close, volume, mean, trades FROM market.bars WHERE ts < $1::text::timestamptz)
    SELECT count(*) FROM ((TABLE expected EXCEPT ALL TABLE actual) UNION ALL (TABLE actual EXCEPT ALL TABLE expected)) AS d";

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A trade of so many milliseconds ago, made just now.
fn trade(id: i64, ago_ms: i64) -> (String, String, i64) {
    let (key, now) = (format!("K{}", id % 7), now_ms());
    let time = now - ago_ms;
    (
        key.clone(),
        format!(r#"{{"id":{id},"k":"{key}","ts":{time},"p":"{}.5","q":"0.25"}}"#, id * 37 % 101 + 1),
        now,
    )
}

/// The last run of the actor, once it is one with that verdict whose message is right.
fn await_run(node: &Node, actor: &str, passed: bool, is_right: impl Fn(&str) -> bool) -> String {
    until(&format!("a run of {actor}"), BOUND, || {
        let last = node.schedule(actor)["last"].clone();
        let message = last["message"].as_str().unwrap_or_default().to_owned();
        (last["passed"] == passed && is_right(&message)).then_some(message)
    })
}

fn done_to(sql: &Sql) -> Option<String> {
    sql.rows("SELECT max(done_to)::text FROM aqueduct.rollups", &[])[0].get(0)
}

#[test]
fn every_closed_bucket_is_right_whatever_comes_late_and_whoever_is_killed() {
    let world = World::shared();
    let (file, sql) = world.prepare(&format!("{TRADES}{BARS}"));
    let mut node = Some(Node::start(&world, &file, "one", &[]));
    for round in 0..10 {
        world.send((0..100).map(|n| trade(round * 100 + n, if n % 4 == 0 { n * 100 } else { n })));
        std::thread::sleep(Duration::from_millis(400));
        if round == 4 {
            node.take().expect("it runs").kill();
            node = Some(Node::start(&world, &file, "one", &[]));
        }
    }
    let node = node.expect("it runs");
    until("every row", BOUND, || (sql.integer("SELECT count(*) FROM market.trades") == 1_000).then_some(()));
    let newest: String =
        sql.rows("SELECT (max(ts) + interval '1 second')::text FROM market.trades", &[])[0].get(0);
    until("every bucket", BOUND, || {
        let done = sql.rows("SELECT max(done_to) >= $1::text::timestamptz FROM aqueduct.rollups", &[&newest]);
        done[0].get::<_, Option<bool>>(0).filter(|done| *done)
    });
    // What came late into a bucket that was made before is found by the run after it at the latest.
    until("nothing different", BOUND, || {
        let different: i64 = sql.rows(DIFFERENT, &[&newest])[0].get(0);
        (different == 0).then_some(())
    });
    assert!(sql.integer("SELECT count(*) FROM market.bars") > 7, "there are bars");
    world.send((0..50).map(|n| trade(2_000 + n, 8_000)));
    until("late rows", BOUND, || (sql.integer("SELECT count(*) FROM market.trades") == 1_050).then_some(()));
    until("bars with them", BOUND, || {
        let counted = "SELECT coalesce(sum(trades), 0)::int8 FROM market.bars";
        (sql.integer(counted) == 1_050).then_some(())
    });
    assert_eq!(sql.rows(DIFFERENT, &[&newest])[0].get::<_, i64>(0), 0);
    let message = await_run(&node, "bars", true, |message| {
        message.starts_with("rolled up market.trades into market.bars up to ")
    });
    assert!(!message.contains("not durable"), "{message}");
    assert!(node.metric("aqueduct_rollup_age_seconds").is_some_and(|age| age < BOUND.as_secs_f64()));
    let verified = world.run(&["migrate", "verify", file.to_str().expect("a plain path")]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

#[test]
fn retention_waits_for_the_roll_up_and_the_roll_up_outlives_the_rows() {
    let world = World::shared();
    let table = "table: market.trades";
    let kept = TRADES.replace(table, &format!("{table}, retention: 10d, chunk_interval: 1d"));
    let keeper = "  keeper: { kind: schedule, every: 1s, run: retention }\n";
    let (file, sql) = world.prepare(&format!("{kept}{BARS}{keeper}"));
    sql.batch(
        "INSERT INTO market.trades (ts, id, k, p, q) \
         SELECT date_trunc('day', now()) - d * interval '1 day' + n * interval '1 minute', n, 'K', n, 1 \
         FROM generate_series(1::int8, 10) AS n, unnest(ARRAY[30, 20, 5]) AS d; \
         ALTER TABLE market.bars RENAME TO away",
    );
    let node = Node::start(&world, &file, "one", &[]);
    await_run(&node, "bars", false, |message| message.contains("market.bars"));
    let waits = "2 chunks of market.trades are past their retention and wait for a roll-up";
    await_run(&node, "keeper", true, |message| message.contains(waits));
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades"), 30);
    assert_eq!(done_to(&sql), None);
    sql.batch("ALTER TABLE market.away RENAME TO bars");
    until("the chunks to go", BOUND, || {
        (sql.integer("SELECT count(*) FROM aqueduct.retention_log") == 2).then_some(())
    });
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades"), 10);
    assert_eq!(sql.integer("SELECT count(*) FROM market.bars"), 30, "a row a minute, of what is gone too");
    // Made anew from the beginning it reads what is there, and leaves what is made of the rest.
    sql.batch("UPDATE aqueduct.rollups SET done_to = NULL");
    until("it is made anew", BOUND, || done_to(&sql));
    let sums = "SELECT sum(trades)::int8 FROM market.bars";
    assert_eq!((sql.integer("SELECT count(*) FROM market.bars"), sql.integer(sums)), (30, 30));
    // A roll-up that the file has no more is waited for by nobody.
    sql.batch("INSERT INTO aqueduct.rollups (topology, schedule, source_schema, source_table, target, form, lateness, node) \
               SELECT topology, 'gone', source_schema, source_table, target, form, lateness, node FROM aqueduct.rollups");
    until("it is forgotten", BOUND, || {
        (sql.integer("SELECT count(*) FROM aqueduct.rollups") == 1).then_some(())
    });
}

/// [`TRADES`] with rows of the days before yesterday, exported into `out`.
fn exporting(world: &World, within: &str) -> (std::path::PathBuf, Sql) {
    let into = world.folder().join("out");
    let export = format!(
        "  files: {{ kind: schedule, every: 2s, run: export, export: {{ of: history, into: {}, partition_by: [day, k], \
         lateness: 1m, master: \"local[2]\", within: {within} }} }}\n",
        into.display()
    );
    let (file, sql) = world.prepare(&format!("{TRADES}{export}"));
    sql.batch(
        "GRANT USAGE ON SCHEMA market TO aqueduct_export; GRANT SELECT ON market.trades TO aqueduct_export; \
         INSERT INTO market.trades (ts, id, k, p, q) \
         SELECT date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - d * interval '1 day' + n * interval '1 minute', \
                n, 'K' || n % 2, n, 1 \
         FROM generate_series(1::int8, 10) AS n, generate_series(0, 3) AS d",
    );
    (file, sql)
}

fn launch(world: &World, file: &Path, environment: &[(&str, &str)]) -> Node {
    Node::launch(world, file, &Launch { name: "one", environment, ..Launch::default() })
}

#[test]
fn closed_days_are_exported_once_by_a_process_of_their_own() {
    crate::e2e::export::spark();
    let world = World::shared();
    let (file, sql) = exporting(&world, "5m");
    let node = launch(&world, &file, &[]);
    // From the record: an export takes longer than its beat, so the run after it begins at once, and is soon the last.
    let exported = until("a run that exported", BOUND, || {
        let runs = sql
            .rows("SELECT message FROM aqueduct.schedule_runs WHERE passed ORDER BY started_at LIMIT 1", &[]);
        runs.first().map(|run| run.get::<_, String>(0))
    });
    assert!(exported.starts_with("exported 30 rows in "), "days before this one: {exported}");
    await_run(&node, "files", true, |message| {
        message.starts_with("nothing to export: market.trades is exported up to ")
    });
    let manifest = std::fs::read_to_string(world.folder().join("out/_manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
    assert_eq!((manifest["rows"].as_i64(), manifest["partition_by"][1].as_str()), (Some(30), Some("k")));
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.exports WHERE state = 'published'"), 1);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

#[test]
fn where_spark_is_missing_or_the_time_is_up_the_verdict_says_so_and_the_node_stays_ready() {
    let world = World::shared();
    let (file, sql) = exporting(&world, "5m");
    let node = launch(&world, &file, &[("SPARK_HOME", "/nowhere")]);
    let message = await_run(&node, "files", false, |message| !message.is_empty());
    assert!(message.contains("SPARK_HOME is /nowhere, and no bin/spark-submit is there"), "{message}");
    node.await_ready(200, BOUND);
    assert_eq!(node.metric("aqueduct_schedule_failed"), Some(1.0));
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.exports"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);

    let world = World::shared();
    let (file, _) = exporting(&world, "100ms");
    let node = launch(&world, &file, &[]);
    let message = await_run(&node, "files", false, |message| !message.is_empty());
    assert!(message.contains("took longer than 100ms and was ended"), "{message}");
    node.await_ready(200, BOUND);
}
