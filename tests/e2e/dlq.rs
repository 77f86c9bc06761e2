//! Dead letters as a piece of work: listed, shown, rehearsed, replayed; killed on the way, refused again, kept and let go.

mod interrupted;
mod page;
mod whose;

use crate::harness::console::{command, errors, json, path, run_to_the_end};
use crate::harness::node::Node;
use crate::harness::topologies::{START_MS, TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use serde_json::Value;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(120);
const REQUIRE: &str = "    require: { price_positive: p > 0 }\n";

/// A trade whose price the rules refuse.
fn poisoned(id: u64) -> (String, String, i64) {
    let (key, value, time) = trade(id);
    (key, value.replace("\"p\":\"", "\"p\":\"-"), time)
}

const ROWS: &str = "SELECT count(*) FROM market.trades";
const DISTINCT: &str = "SELECT count(DISTINCT id) FROM market.trades";
const PENDING: &str = "SELECT count(*) FROM aqueduct.dead_letter WHERE replayed_at IS NULL";

#[test]
fn poison_is_listed_tried_rehearsed_and_replayed_once() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=100).map(|id| if id % 10 == 0 { poisoned(id) } else { trade(id) }));
    world.send(std::iter::once(("K00".to_owned(), "not json".to_owned(), START_MS)));
    run_to_the_end(&world, &file);
    let listed = json(&world, &["dlq", "list", path(&file)]);
    assert_eq!(listed["letters"].as_array().expect("letters").len(), 11);
    assert_eq!(listed["after"], Value::Null);
    assert_eq!(listed["letters"][0]["state"], "new");
    let page = json(&world, &["dlq", "list", path(&file), "--limit", "4"]);
    assert_eq!((page["letters"].as_array().expect("a page").len(), page["after"].is_i64()), (4, true));
    let counts = json(&world, &["dlq", "list", path(&file), "--count"]);
    assert_eq!((&counts[0]["reason"], &counts[0]["letters"]), (&"price_positive".into(), &10.into()));
    let one = json(&world, &["dlq", "list", path(&file), "--reason", "not_json"]);
    assert_eq!(one["letters"].as_array().expect("letters").len(), 1);

    // A letter goes into `try` unchanged.
    let shown =
        command(&world, 0, &["dlq", "show", path(&file), "--reason", "price_positive", "--format", "jsonl"]);
    let envelopes = world.folder().join("letters.jsonl");
    std::fs::write(&envelopes, &shown.stdout).expect("written");
    let tried = json(&world, &["try", path(&file), "--input", path(&envelopes), "--envelope"]);
    assert_eq!(tried["dead_letter"].as_array().expect("letters").len(), 10);
    assert_eq!(tried["dead_letter"][0]["reason"], "price_positive");

    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let verdict = json(&world, &["dlq", "replay", path(&fixed), "--dry-run"]);
    assert_eq!((&verdict["written"], &verdict["failed_again"]), (&10.into(), &1.into()), "{verdict}");
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (90, 11), "a dry run changes nothing");

    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["written"], &done["failed_again"], &done["left"]), (&10.into(), &1.into(), &0.into()));
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT), sql.integer(PENDING)), (100, 100, 1));
    let again = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&again["taken"], &again["not_taken"]["failed_before"]), (&0.into(), &1.into()), "{again}");
    let failed = json(&world, &["dlq", "list", path(&fixed), "--state", "failed-again"]);
    assert_eq!(
        (&failed["letters"][0]["attempts"], &failed["letters"][0]["again"]["reason"]),
        (&1.into(), &"not_json".into())
    );
    let once_more = json(&world, &["dlq", "replay", path(&fixed), "--again"]);
    assert_eq!(once_more["failed_again"], 1, "{once_more}");
    assert_eq!(sql.integer("SELECT max(attempts)::bigint FROM aqueduct.dead_letter"), 2);
    assert_eq!(sql.integer(ROWS), 100, "nothing is doubled");
    run_to_the_end(&world, &fixed);
    assert_eq!((sql.integer(ROWS), sql.integer("SELECT count(*) FROM aqueduct.dead_letter")), (100, 11));
}

#[test]
fn a_replay_runs_beside_a_node_under_load_and_another_replay_is_kept_away() {
    const SENT: u64 = 30_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=2_000).map(poisoned));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let node = Node::start(&world, &fixed, "beside", &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| world.send((2_001..=SENT).map(trade)));
        wait::until("rows of the node", BOUND, || (sql.integer(ROWS) > 0).then_some(()));
        let done = json(&world, &["dlq", "replay", path(&fixed)]);
        assert_eq!((&done["written"], &done["left"]), (&2_000.into(), &0.into()), "{done}");
    });
    wait::until("every row", BOUND, || (sql.integer(ROWS) >= SENT as i64).then_some(()));
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (SENT as i64, SENT as i64));

    let lock = "SELECT pg_advisory_lock(hashtextextended('aqueduct replay ' || topology, 0)) FROM aqueduct.dead_letter LIMIT 1";
    sql.rows(lock, &[]);
    let refused = command(&world, 1, &["dlq", "replay", path(&fixed)]);
    assert!(errors(&refused).contains("another replay of topology `trades-"), "{}", errors(&refused));
    let back = ["offsets", "reset", path(&fixed), "--to", "earliest", "--write-again", "--fence"];
    let refused = command(&world, 1, &back);
    assert!(
        errors(&refused).contains("nothing was changed: dead letters of the topology are being replayed")
    );
}

/// A record of several rows; `{require}` is what a row must be.
const BASKETS: &str = r#"
topology: baskets-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    explode: /rows
    fields:
      ts:  { type: timestamp, path: /ts, unit: ms }
      id:  { type: int64, path: /id }
      p:   { type: "decimal(18,8)", path: /p }
    require: { price_positive: p > 0 }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades }
  dead_letter: { kind: dead_letter, retention: 30d }
"#;

fn basket(id: u64, prices: [i32; 3]) -> (String, String, i64) {
    let row = |(index, price): (usize, &i32)| {
        format!(r#"{{"ts":{},"id":{},"p":"{price}"}}"#, START_MS + id as i64, id * 10 + index as u64)
    };
    let rows: Vec<String> = prices.iter().enumerate().map(row).collect();
    (format!("K{id}"), format!(r#"{{"rows":[{}]}}"#, rows.join(",")), START_MS)
}

#[test]
fn of_a_record_only_the_rejected_row_is_replayed_and_a_whole_record_only_as_a_whole() {
    let world = World::shared();
    let (file, sql) = world.prepare(BASKETS);
    let broken = ("K9".to_owned(), r#"{"rows":7}"#.to_owned(), START_MS);
    world.send([basket(1, [5, -1, 6]), basket(2, [-2, 3, -4]), broken]);
    run_to_the_end(&world, &file);
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (3, 4));
    let fixed = world.write_topology(&BASKETS.replace("p > 0", "p > -3"));
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["written"], &done["failed_again"]), (&2.into(), &2.into()), "{done}");
    let ids: Vec<i64> =
        sql.rows("SELECT id FROM market.trades ORDER BY id", &[]).iter().map(|row| row.get(0)).collect();
    assert_eq!(ids, [10, 11, 12, 20, 21], "each row once; the one of -4 is still refused");
}

#[test]
fn a_record_rejected_whole_is_written_with_all_its_rows_or_not_at_all() {
    let world = World::shared();
    let (file, sql) = world.prepare(BASKETS);
    let rows = basket(1, [5, -9, 6]).1.replace("rows", "alt");
    let whole = format!(r#"{{"rows":7,{}"#, &rows[1..]);
    world.send(std::iter::once(("K1".to_owned(), whole, START_MS)));
    run_to_the_end(&world, &file);
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (0, 1));
    let half = world.write_topology(&BASKETS.replace("/rows", "/alt"));
    let done = json(&world, &["dlq", "replay", path(&half)]);
    assert_eq!(
        (&done["failed_again"], sql.integer(ROWS)),
        (&1.into(), 0),
        "one row of it is still refused: {done}"
    );
    let fixed = world.write_topology(&BASKETS.replace("/rows", "/alt").replace("p > 0", "p > -10"));
    let done = json(&world, &["dlq", "replay", path(&fixed), "--again"]);
    assert_eq!((&done["written"], sql.integer(ROWS), sql.integer(PENDING)), (&1.into(), 3, 0), "{done}");
}

#[test]
fn letters_of_records_that_a_node_will_judge_again_are_left_to_it() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=3).map(poisoned));
    run_to_the_end(&world, &file);
    // As if the node had ended after it stored the letters and before their batch was committed.
    sql.batch("UPDATE aqueduct.offsets SET next_offset = 0");
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let left = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&left["taken"], &left["not_taken"]["unsettled"]), (&0.into(), &3.into()), "{left}");
    run_to_the_end(&world, &fixed);
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT), sql.integer(PENDING)), (3, 3, 0));
}

#[test]
fn what_the_database_refused_is_judged_anew_and_reaches_that_table_alone() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    sql.batch("ALTER TABLE market.trades ADD CONSTRAINT small CHECK (id < 50)");
    world.send((1..=60).map(trade));
    run_to_the_end(&world, &file);
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (49, 11));
    let refused = json(&world, &["dlq", "replay", path(&file)]);
    assert_eq!((&refused["written"], &refused["failed_again"]), (&0.into(), &11.into()), "{refused}");
    assert_eq!(sql.integer(ROWS), 49);
    sql.batch("ALTER TABLE market.trades DROP CONSTRAINT small");
    let idle = json(&world, &["dlq", "replay", path(&file)]);
    assert_eq!(idle["taken"], 0, "what failed again is not taken by itself: {idle}");
    let done = json(&world, &["dlq", "replay", path(&file), "--again", "--actor", "history"]);
    assert_eq!((&done["written"], &done["left"]), (&11.into(), &0.into()), "{done}");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT), sql.integer(PENDING)), (60, 60, 0));
}

#[test]
fn a_replayed_value_never_takes_the_place_of_a_newer_one() {
    use bb8_redis::redis::Commands;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    // Ids greater than any offset, as they are where several topologies share a database.
    sql.batch("ALTER TABLE aqueduct.dead_letter ALTER COLUMN id RESTART WITH 1000000");
    // Of each key a trade that is refused, then one of the same time: only where they came from tells which is newer.
    let at_once = |id: u64| {
        let (key, value, time) = trade(id);
        (key, value.replace(&time.to_string(), &START_MS.to_string()), time)
    };
    let refused = (1..=50).map(|id| {
        let (key, value, time) = at_once(id);
        (key, value.replace("\"p\":\"", "\"p\":\"-"), time)
    });
    world.send(refused.chain((51..=100).map(at_once)).chain(std::iter::once(poisoned(151))));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!(sql.integer(ROWS), 101);
    let mut redis = world.redis();
    for id in 51..=100 {
        let key = format!("{}K{:02}", world.prefix, id % 50);
        let found: Option<String> = redis.hget(&key, "id").expect("a hash");
        let expected = if id == 51 { 151 } else { id };
        assert_eq!(found, Some(expected.to_string()), "{key}");
    }
}

/// Rows into a topic; letters beside no rows, in the database all the same.
const COPIES: &str = r#"
topology: copies-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields: { id: { type: int64, path: /id }, p: { type: "decimal(18,8)", path: /p } }
    require: { price_positive: p > 0 }
  copy: { kind: kafka_sink, from: trades, topic: "{out}" }
"#;

#[test]
fn letters_of_a_topology_without_rows_reach_its_topic() {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let world = World::shared();
    let out = world.stack().fresh_topic(1).expect("a topic");
    let file = world.write_topology(&COPIES.replace("{out}", &out));
    command(&world, 0, &["migrate", "up", path(&file)]);
    world.send([trade(1), poisoned(2), poisoned(3)]);
    run_to_the_end(&world, &file);
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", world.stack().kafka_bootstrap())
        .create()
        .expect("a consumer");
    let copied = || consumer.fetch_watermarks(&out, 0, Duration::from_secs(10)).expect("watermarks").1;
    assert_eq!((copied(), world.sql().integer(PENDING)), (1, 2));
    let fixed = world.write_topology(&COPIES.replace("{out}", &out).replace(REQUIRE, ""));
    for (written, copies) in [(2, 3), (0, 3)] {
        let done = json(&world, &["dlq", "replay", path(&fixed)]);
        assert_eq!((&done["written"], &done["left"]), (&written.into(), &0.into()), "{done}");
        assert_eq!((copied(), world.sql().integer(PENDING)), (copies, 0));
    }
}

#[test]
fn letters_older_than_the_retention_go_and_those_that_wait_are_counted() {
    let world = World::shared();
    let (file, sql) = world.prepare(BASKETS);
    world.send((1..=10).map(|id| basket(id, [1, -1, 1])));
    run_to_the_end(&world, &file);
    sql.batch("UPDATE aqueduct.dead_letter SET at = now() - interval '31 days' WHERE id % 2 = 0");
    let topology =
        "SELECT hashtextextended('aqueduct replay ' || topology, 0) FROM aqueduct.dead_letter LIMIT 1";
    let lock: i64 = sql.rows(topology, &[])[0].get(0);
    sql.rows("SELECT pg_advisory_lock($1)", &[&lock]);
    let node = Node::start(&world, &file, "tending", &[]);
    let figure = |name: &str| node.metric(name);
    let waiting = "aqueduct_dead_letters";
    wait::until("letters counted", BOUND, || figure(waiting).filter(|letters| *letters == 10.0));
    assert!(figure("aqueduct_dead_letter_age_seconds").expect("an age") > 30.0 * 86_400.0);
    assert_eq!(sql.integer(PENDING), 10, "nothing goes while a replay is at work");
    sql.rows("SELECT pg_advisory_unlock($1)", &[&lock]);
    wait::until("old letters to go", BOUND, || (sql.integer(PENDING) == 5).then_some(()));
    wait::until("letters counted again", BOUND, || figure(waiting).filter(|letters| *letters == 5.0));
    assert_eq!(figure("aqueduct_dead_letters_deleted_total"), Some(5.0));
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    let no_schema = command(&world, 78, &["dlq", "list", path(&file)]);
    assert!(errors(&no_schema).contains("aqueduct migrate up FILE"), "{}", errors(&no_schema));
    world.migrate(&file);
    world.send([poisoned(1)]);
    run_to_the_end(&world, &file);
    let missing = command(&world, 1, &["dlq", "show", path(&file), "4711"]);
    assert!(
        errors(&missing).contains("has no letter 4711 among those meant; `aqueduct dlq list"),
        "{}",
        errors(&missing)
    );
    for (arguments, code, words) in [
        (
            vec!["replay", "--to", "nobody"],
            64,
            "the topology has no actor `nobody`; letters can enter at: trades, history, cache",
        ),
        (vec!["replay", "--to", "ticks"], 64, "letters cannot enter at `ticks`, a kafka_source"),
        (vec!["list", "--since", "yesterday"], 64, "`yesterday` is no time; write 2026-"),
        (vec!["list", "--partition", "-1"], 64, "-1"),
        (vec!["list", "--state", "gone"], 64, "failed-again"),
    ] {
        let arguments: Vec<&str> =
            ["dlq", arguments[0], path(&file)].into_iter().chain(arguments[1..].iter().copied()).collect();
        let refused = command(&world, code, &arguments);
        assert!(errors(&refused).contains(words), "{arguments:?}: {}", errors(&refused));
    }
    let renamed = world
        .write_topology(&TRADES.replace("  trades:\n", "  deals:\n").replace("from: trades", "from: deals"));
    let gone = command(&world, 64, &["dlq", "replay", path(&renamed)]);
    assert!(
        errors(&gone).contains("actor `trades` rejected these letters and is not in the file any more"),
        "{}",
        errors(&gone)
    );
    let done = json(&world, &["dlq", "replay", path(&renamed), "--to", "deals"]);
    assert_eq!(done["failed_again"], 1, "{done}");
    let away = format!("postgres://postgres@{}/x", crate::harness::node::free_address());
    let output = world
        .aqueduct()
        .args(["dlq", "list", path(&file)])
        .env("TIMESCALE_URL", away)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(69), "{}", errors(&output));
    assert!(errors(&output).contains("connect to timescale at 127.0.0.1:"), "{}", errors(&output));
}
