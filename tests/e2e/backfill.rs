//! Ranges of tables filled again: beside live writes, killed on the way, from files, by key, and refused where they must be.

use crate::harness::console::{command, errors, json, path, run_to_the_end};
use crate::harness::node::Node;
use crate::harness::oracle::assert_exactly_once;
use crate::harness::topologies::TRADES;
use crate::harness::wait;
use crate::harness::world::{Sql, World};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const BOUND: Duration = Duration::from_secs(120);
const HOUR_MS: i64 = 3_600_000;
const ROWS: &str = "SELECT count(*) FROM market.trades";
const DISTINCT: &str = "SELECT count(DISTINCT id) FROM market.trades";
const SUM: &str = "SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM market.trades AS t";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// The beginning of an hour that has passed.
fn passed_hour_ms() -> i64 {
    (now_ms() - 3 * HOUR_MS).div_euclid(HOUR_MS) * HOUR_MS
}

fn trade(id: u64, time_ms: i64) -> (String, String, i64) {
    let key = format!("K{:02}", id % 50);
    let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time_ms},"p":"{}.25","q":"1.5"}}"#, id % 1000 + 1);
    (key, value, time_ms)
}

/// Trades 1 to `count` of the hour that began at `from_ms`.
fn hour(from_ms: i64, count: u64) -> impl Iterator<Item = (String, String, i64)> {
    (1..=count).map(move |id| trade(id, from_ms + (id as i64 - 1) * HOUR_MS / count as i64))
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).expect("a time").to_string()
}

/// `backfill FILE` of the hour that began at `from_ms`.
fn told(file: &std::path::Path, from_ms: i64, more: &[&str]) -> Vec<String> {
    let (from, to) = (time(from_ms), time(from_ms + HOUR_MS));
    let words = ["backfill", path(file), "--from", &from, "--to", &to];
    words.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn done(world: &World, told: &[String]) -> Value {
    json(world, &told.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refused(world: &World, code: i32, told: &[String]) -> String {
    errors(&command(world, code, &told.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn sum(sql: &Sql) -> String {
    sql.rows(SUM, &[])[0].get(0)
}

/// Says that it is over when it is dropped.
struct Ends<'s>(&'s AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_backfill_beside_live_writes_is_killed_goes_on_and_equals_what_was_lost() {
    const PASSED: u64 = 20_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let from_ms = passed_hour_ms();
    world.send(hour(from_ms, PASSED));
    run_to_the_end(&world, &file);
    assert_eq!(sql.integer(ROWS), PASSED as i64);
    let before = sum(&sql);
    sql.batch("DELETE FROM market.trades WHERE id % 2 = 0");
    // It starts late: what lies in the log when the backfill begins, and is not written, is for it to write.
    let mut live = None;
    let late = |id: u64| (trade(id, from_ms + id as i64).0, trade(id, from_ms + id as i64).1, now_ms());
    const UNREAD: u64 = PASSED + 400;
    world.send((PASSED + 1..=UNREAD).map(late));
    let stop = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut id = UNREAD;
            while !stop.load(Ordering::Relaxed) {
                // Half of them are of the hour, and come late: while it is filled, and within what is read for it.
                let now = now_ms();
                let one = |id: u64| if id.is_multiple_of(2) { late(id) } else { trade(id, now) };
                world.send((1..=20).map(|next| one(id + next)));
                id += 20;
                std::thread::sleep(Duration::from_millis(100));
            }
            id
        });
        // Whatever fails here ends the load, or nobody would hear of it.
        let _ends = Ends(&stop);
        let paced = ["--replace", "--late", "1d", "--rate", "5000", "--max-live-lag", "60s"];
        let told = told(&file, from_ms, &paced);
        for goal in [2_000, 6_000] {
            let mut cut = world
                .mortal_aqueduct(&[])
                .args(&told)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary starts");
            let added = "SELECT coalesce(max(rows_added), 0)::bigint FROM aqueduct.backfills";
            wait::until("rows of the backfill", BOUND, || {
                assert!(cut.try_wait().expect("wait").is_none(), "it ended before it was killed");
                (sql.integer(added) >= goal).then_some(())
            });
            cut.kill().expect("kill");
            cut.wait().expect("wait");
            live.get_or_insert_with(|| Node::start(&world, &file, "live", &[]));
        }
        let done = done(&world, &told);
        assert_eq!(
            (&done["finished"], &done["left"], &done["attempts"]),
            (&true.into(), &0.into(), &3.into())
        );
        // What the live topology has added to the hour by then is there too.
        let after = done["rows"]["after"].as_i64();
        assert!(done["rows"]["added"] == PASSED && after >= Some(PASSED as i64), "{done}");
        stop.store(true, Ordering::Relaxed);
        load.join().expect("the load")
    });
    wait::until("the live rows", BOUND, || (sql.integer(ROWS) >= sent as i64).then_some(()));
    let live = live.expect("a live node");
    live.terminate();
    assert_eq!(live.exit_code(BOUND), 0);
    assert_exactly_once(&world, &sql, sent);
    sql.rows("DELETE FROM market.trades WHERE id > $1", &[&(PASSED as i64)]);
    assert_eq!(sum(&sql), before, "the hour is what it was");
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.offsets WHERE input LIKE 'backfill:%'"), 0);
}

#[test]
fn rows_that_are_there_stay_by_key_or_go_when_that_is_asked_for() {
    const TRADED: u64 = 2_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let from_ms = passed_hour_ms();
    world.send(hour(from_ms, TRADED));
    let never = refused(&world, 78, &told(&file, from_ms, &[]));
    assert!(never.contains("has never read topic"), "{never}");
    run_to_the_end(&world, &file);
    let before = sum(&sql);
    sql.batch("DELETE FROM market.trades WHERE id % 3 = 0");
    let holes = sql.integer(ROWS);

    let unkeyed = refused(&world, 78, &told(&file, from_ms, &[]));
    assert!(unkeyed.contains("rows in the range and no key"), "{unkeyed}");
    let dry = done(&world, &told(&file, from_ms, &["--key", "ts,id", "--dry-run"]));
    assert_eq!((&dry["records"], &dry["rows_there"]), (&TRADED.into(), &holes.into()), "{dry}");
    let judged = &dry["judged"];
    let lacking = TRADED as i64 - holes;
    assert_eq!((&judged["rows_added"], &judged["rows_there"]), (&lacking.into(), &holes.into()), "{dry}");
    assert_eq!((sql.integer(ROWS), &judged["read"]), (holes, &TRADED.into()), "{dry}");
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.backfills"), 0, "a dry run changes nothing");
    for (key, words) in [("id", "lacks the time `ts`"), ("ts,nothing", "names `nothing`")] {
        let wrong = refused(&world, 64, &told(&file, from_ms, &["--key", key]));
        assert!(wrong.contains(words), "{wrong}");
    }

    let missing = TRADED as i64 - holes;
    let looked_up = done(&world, &told(&file, from_ms, &["--key", "ts,id"]));
    assert_eq!((&looked_up["rows"]["added"], &looked_up["rows"]["there"]), (&missing.into(), &holes.into()));
    assert_eq!(sum(&sql), before);
    let again = done(&world, &told(&file, from_ms, &["--key", "ts,id"]));
    assert_eq!((&again["rows"]["added"], &again["rows"]["there"]), (&0.into(), &TRADED.into()), "{again}");

    sql.batch("UPDATE market.trades SET q = 9 WHERE id % 2 = 0");
    let replaced = done(&world, &told(&file, from_ms, &["--replace"]));
    assert_eq!((&replaced["rows"]["deleted"], &replaced["rows"]["added"]), (&TRADED.into(), &TRADED.into()));
    assert_eq!(sum(&sql), before);

    // A declared key, with its index.
    sql.batch("DELETE FROM market.trades WHERE id % 4 = 0; CREATE UNIQUE INDEX ON market.trades (ts, id)");
    let unique = world
        .write_topology(&TRADES.replace("table: market.trades,", "table: market.trades, unique: [ts, id],"));
    let filled = done(&world, &told(&unique, from_ms, &[]));
    assert_eq!(
        (&filled["mode"], &filled["rows"]["added"]),
        (&"unique".into(), &(TRADED / 4).into()),
        "{filled}"
    );
    assert_eq!(sum(&sql), before);
}

#[test]
fn files_of_records_and_of_rows_fill_a_table_and_what_is_rejected_is_a_letter() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let from_ms = passed_hour_ms();
    let packed = world.folder().join("records.jsonl.gz");
    let mut lines = flate2::write::GzEncoder::new(
        std::fs::File::create(&packed).expect("a file"),
        flate2::Compression::fast(),
    );
    for (key, value, time_ms) in hour(from_ms, 500).chain([trade(501, from_ms - 1)]) {
        let envelope = serde_json::json!({ "raw": value, "key": key, "time": time(time_ms) });
        writeln!(lines, "{envelope}").expect("written");
    }
    writeln!(lines, "no json").expect("written");
    lines.finish().expect("written");
    let dry = done(&world, &told(&file, from_ms, &["--input", path(&packed), "--dry-run"]));
    let (judged, rows) = (&dry["judged"], sql.integer(ROWS));
    assert_eq!((&judged["rows_added"], &judged["dead_lettered"]), (&500.into(), &1.into()), "{dry}");
    assert_eq!((&judged["letters"][0]["reason"], rows), (&"not_json".into(), 0), "{dry}");
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.dead_letter"), 0, "a dry run keeps nothing");
    let filled = done(&world, &told(&file, from_ms, &["--input", path(&packed)]));
    let records = &filled["records"];
    assert_eq!((&records["written"], &records["filtered"]), (&500.into(), &1.into()), "{filled}");
    assert_eq!((&records["dead_lettered"], &filled["letters"][0]["reason"]), (&1.into(), &"not_json".into()));
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (500, 500));
    let letters = json(&world, &["dlq", "list", path(&file)]);
    assert!(
        letters["letters"][0]["source"].as_str().unwrap_or_default().starts_with("backfill:"),
        "{letters}"
    );

    let before = sum(&sql);
    let rows = sql.rows("SELECT row_to_json(t)::text FROM market.trades AS t ORDER BY ts", &[]);
    let text: String = rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect();
    let plain = world.folder().join("rows.jsonl");
    std::fs::write(&plain, text).expect("written");
    sql.batch("DELETE FROM market.trades WHERE id > 100");
    let filled = done(&world, &told(&file, from_ms, &["--rows", path(&plain), "--key", "ts,id"]));
    assert_eq!((&filled["rows"]["added"], &filled["rows"]["there"]), (&400.into(), &100.into()), "{filled}");
    assert_eq!(sum(&sql), before);
}

#[test]
fn a_backfill_stands_aside_while_the_live_topology_is_behind() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let from_ms = passed_hour_ms();
    world.send(hour(from_ms, 200));
    run_to_the_end(&world, &file);
    sql.batch("DELETE FROM market.trades");
    // Nobody reads what comes now.
    world.send([trade(201, now_ms() - 30_000)]);
    let backfill = world
        .mortal_aqueduct(&[])
        .args(told(&file, from_ms, &["--max-live-lag", "5s", "--rate", "50", "--format", "json"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let begun =
        "SELECT count(*) FROM aqueduct.offsets WHERE input LIKE 'backfill:%' AND session <> 'unclaimed'";
    wait::until("the backfill's claim", BOUND, || (sql.integer(begun) > 0).then_some(()));
    // Longer than the whole of it would take.
    std::thread::sleep(Duration::from_secs(7));
    assert!(sql.integer(ROWS) < 200, "it went on although the live topology is behind");
    let live = Node::start(&world, &file, "live", &[]);
    let output = backfill.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let done: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(done["paused"]["times"].as_u64() >= Some(1), "{done}");
    assert!(errors(&output).contains("the backfill pauses"), "{}", errors(&output));
    wait::until("every row", BOUND, || (sql.integer(ROWS) == 201).then_some(()));
    live.terminate();
    assert_eq!(live.exit_code(BOUND), 0);
    assert_exactly_once(&world, &sql, 201);
}

#[test]
fn what_cannot_be_filled_is_refused_with_what_to_do() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    let from_ms = passed_hour_ms();
    world.send(hour(from_ms, 100));
    run_to_the_end(&world, &file);
    let backwards = ["backfill", path(&file), "--from", "2026-01-02", "--to", "2026-01-01"];
    let said = errors(&command(&world, 64, &backwards));
    assert!(said.contains("is not before --to"), "{said}");
    let said = refused(&world, 64, &told(&file, from_ms, &["--table", "market.nothing"]));
    assert!(
        said.contains(
            "no timescale_writer of the file writes `market.nothing`; its tables are: market.trades"
        )
    );

    // Chunks that were dropped.
    let said = refused(&world, 78, &told(&file, from_ms - 100 * 24 * HOUR_MS, &[]));
    assert!(said.contains("has no chunk before") && said.contains("--into-dropped"), "{said}");

    // Two operators.
    let lock = "SELECT pg_advisory_lock(hashtextextended('aqueduct backfill \"market\".\"trades\"', 0))";
    sql.rows(lock, &[]);
    let said = refused(&world, 1, &told(&file, from_ms, &["--key", "ts,id"]));
    assert!(said.contains("another backfill of `market.trades` is at work"), "{said}");
    sql.rows("SELECT pg_advisory_unlock_all()", &[]);

    // One that is not finished, and what it has written is not known any more.
    sql.batch("DELETE FROM market.trades");
    let mut cut = world
        .mortal_aqueduct(&[])
        .args(told(&file, from_ms, &["--rate", "10"]))
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    wait::until("some rows", BOUND, || (sql.integer(ROWS) > 0).then_some(()));
    cut.kill().expect("kill");
    cut.wait().expect("wait");
    let said = refused(&world, 64, &told(&file, from_ms, &["--replace"]));
    assert!(said.contains("is not finished, and has rows in common"), "{said}");
    sql.batch("DELETE FROM aqueduct.offsets WHERE input LIKE 'backfill:%'");
    let said = refused(&world, 78, &told(&file, from_ms, &[]));
    assert!(said.contains("were taken away"), "{said}");
    let id = sql.integer("SELECT max(id) FROM aqueduct.backfills").to_string();
    command(&world, 0, &["backfill", path(&file), "--abandon", &id]);
    let replaced = done(&world, &told(&file, from_ms, &["--replace"]));
    assert_eq!(replaced["rows"]["after"], 100, "{replaced}");

    // What the log has no more.
    shorten(&world, 5);
    let said = refused(&world, 78, &told(&file, from_ms, &["--replace"]));
    assert!(said.contains("may not be in the log any more") && said.contains("--input"), "{said}");
    assert_eq!(sql.integer(ROWS), 100, "nothing was deleted");

    let text = TRADES.split("  history:").next().expect("a part").to_owned();
    let cache = TRADES.split("  cache:").nth(1).expect("a part");
    let no_table = world.write_topology(&format!("{text}  cache:{cache}"));
    let said = refused(&world, 64, &told(&no_table, from_ms, &[]));
    assert!(said.contains("writes no table: it has no timescale_writer"), "{said}");
}

/// Deletes the first records of each partition, as retention does.
fn shorten(world: &World, records: i64) {
    use rdkafka::admin::{AdminClient, AdminOptions};
    use rdkafka::{Offset, TopicPartitionList};
    let admin: AdminClient<_> = world.stack().kafka_client().expect("a client").create().expect("a client");
    let mut upto = TopicPartitionList::new();
    for partition in 0..crate::harness::world::PARTITIONS as i32 {
        upto.add_partition_offset(&world.topic, partition, Offset::Offset(records)).expect("an offset");
    }
    let deleted = futures::executor::block_on(admin.delete_records(&upto, &AdminOptions::new()));
    deleted.expect("the broker deletes");
}

#[test]
fn a_drill_on_what_looks_like_production_is_refused() {
    let world = World::shared();
    let production = world
        .aqueduct()
        .args(["drill", "backfill"])
        .env("TIMESCALE_URL", "postgres://u:geheim@db.example/prod")
        .output()
        .expect("the binary starts");
    assert_eq!(production.status.code(), Some(64));
    let said = errors(&production);
    assert!(said.contains("`db.example`") && said.contains("--i-know") && !said.contains("geheim"), "{said}");
}
