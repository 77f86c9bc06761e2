//! Offsets as a piece of work: shown beside the log, moved in every way, and never under somebody's feet unasked.

mod group;

use crate::harness::console::{command, errors, json, path, run_to_the_end};
use crate::harness::node::Node;
use crate::harness::topologies::{START_MS, TRADES, trade};
use crate::harness::wait;
use crate::harness::world::{PARTITIONS, Sql, World};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(90);
const SENT: u64 = 400;
const ROWS: &str = "SELECT count(*) FROM market.trades";
const DISTINCT: &str = "SELECT count(DISTINCT id) FROM market.trades";

/// A world whose trades are all written.
fn written(world: &World) -> (PathBuf, Sql) {
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    world.send((1..=SENT).map(trade));
    run_to_the_end(world, &file);
    let sql = world.sql();
    assert_eq!(sql.integer(ROWS), SENT as i64);
    // A static member leaves its group only when its session ends.
    wait::until("the group to be empty", BOUND, || {
        let output = world.run(&["offsets", "reset", path(&file), "--to", "latest", "--dry-run"]);
        output.status.success().then_some(())
    });
    (file, sql)
}

#[test]
fn every_sink_is_shown_beside_the_log() {
    let world = World::shared();
    let (file, _) = written(&world);
    world.send((SENT + 1..=SENT + 10).map(trade));
    let lines = json(&world, &["offsets", "show", path(&file)]);
    let lines = lines.as_array().expect("lines");
    assert_eq!(lines.len(), 2 * PARTITIONS as usize, "two sinks");
    let of_history = |member: &str| -> i64 {
        let lines = lines.iter().filter(|line| line["sink"] == "history");
        lines.map(|line| line[member].as_i64().expect("a number")).sum()
    };
    assert_eq!((of_history("next_offset"), of_history("log_end"), of_history("lag")), (400, 410, 10));
    assert!(lines.iter().all(|line| line["owned"] == false && line["note"] == Value::Null), "{lines:?}");
    let text = command(&world, 0, &["offsets", "show", path(&file)]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("log end") && text.contains("(run)"), "{text}");
    // Without Kafka the offsets are shown all the same, and the exit says that something is away.
    let away = crate::harness::node::free_address().to_string();
    let output =
        world.aqueduct().args(["offsets", "show", path(&file)]).env("KAFKA_BOOTSTRAP", away).output();
    let output = output.expect("the binary starts");
    assert_eq!(output.status.code(), Some(69), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("history"), "{}", errors(&output));
}

#[test]
fn back_and_forward_need_their_words_and_do_what_they_say() {
    let world = World::shared();
    let (file, sql) = written(&world);
    let reset = |code: i32, more: &[&str]| {
        let arguments: Vec<&str> = ["offsets", "reset", path(&file)].iter().chain(more).copied().collect();
        command(&world, code, &arguments)
    };
    let back = reset(1, &["--to", "earliest"]);
    let words =
        "nothing was changed: 400 records before the stored offsets would be written again by history";
    assert!(errors(&back).contains(words), "{}", errors(&back));
    // A cache is guarded by order: it may go back without a word.
    reset(0, &["--to", "earliest", "--sink", "cache"]);
    reset(0, &["--to", "latest", "--sink", "cache", "--skip-unread"]);
    let dry =
        json(&world, &["offsets", "reset", path(&file), "--to", "earliest", "--write-again", "--dry-run"]);
    assert_eq!((&dry["dry_run"], dry["moves"].as_array().map(Vec::len)), (&true.into(), Some(8)), "{dry}");
    run_to_the_end(&world, &file);
    assert_eq!(sql.integer(ROWS), SENT as i64, "a dry run changes nothing");
    wait::until("the group to be empty again", BOUND, || {
        let arguments = ["offsets", "reset", path(&file), "--to", "0", "--partition", "1", "--write-again"];
        world.run(&arguments).status.success().then_some(())
    });
    let again =
        sql.integer("SELECT next_offset FROM aqueduct.offsets WHERE sink = 'history' AND partition = 1");
    assert_eq!(again, 0);
    let of_one = SENT as i64
        - sql.integer("SELECT sum(next_offset)::bigint FROM aqueduct.offsets WHERE sink = 'history'");
    run_to_the_end(&world, &file);
    assert_eq!(
        (sql.integer(ROWS), sql.integer(DISTINCT)),
        (SENT as i64 + of_one, SENT as i64),
        "as was agreed to"
    );

    world.send((SENT + 1..=SENT + 50).map(trade));
    wait::until("the group to be empty for the third time", BOUND, || {
        let output = world.run(&["offsets", "reset", path(&file), "--to", "latest"]);
        errors(&output).contains("100 records after the stored offsets would never be read").then_some(())
    });
    let skipped = json(&world, &["offsets", "reset", path(&file), "--to", "latest", "--skip-unread"]);
    let of_history: i64 = skipped["moves"]
        .as_array()
        .expect("moves")
        .iter()
        .filter(|one| one["sink"] == "history")
        .map(|one| one["skipped"].as_i64().expect("a number"))
        .sum();
    assert_eq!(of_history, 50);
    run_to_the_end(&world, &file);
    assert_eq!(sql.integer(DISTINCT), SENT as i64, "what was passed over is in no table");
    assert_eq!(sql.integer("SELECT sum(skipped)::bigint FROM aqueduct.offsets WHERE sink = 'history'"), 50);
}

#[test]
fn an_idle_owner_is_left_alone_unless_it_is_fenced_and_then_reads_on_from_there() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    world.send((1..=SENT).map(trade));
    let sql = world.sql();
    let node = Node::start(&world, &file, "owner", &[]);
    wait::until("every row", BOUND, || (sql.integer(ROWS) == SENT as i64).then_some(()));
    let arguments = ["offsets", "reset", path(&file), "--to", "earliest", "--write-again"];
    let refused = command(&world, 1, &arguments);
    assert!(
        errors(&refused).contains("is owned by node `owner`, whose sessions are open"),
        "{}",
        errors(&refused)
    );
    let fenced: Vec<&str> = arguments.into_iter().chain(["--fence"]).collect();
    let report = json(&world, &fenced);
    assert_eq!(report["fenced"][0], "owner", "{report}");
    wait::until("every row again", BOUND, || (sql.integer(ROWS) == 2 * SENT as i64).then_some(()));
    assert_eq!(sql.integer(DISTINCT), SENT as i64);
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(BOUND), 0);
    assert_eq!(sql.integer(ROWS), 2 * SENT as i64);
}

#[test]
fn a_time_is_found_in_every_partition_and_letters_of_the_range_are_judged_again() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let feed = world.feed();
    for id in 1..=100 {
        let (key, value, time) = trade(id);
        let value = if id > 90 { value.replace("\"p\":\"", "\"p\":\"-") } else { value };
        feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
    }
    feed.flush().expect("flush");
    run_to_the_end(&world, &file);
    let sql = world.sql();
    let time = jiff::Timestamp::from_millisecond(START_MS + 81).expect("a time").to_string();
    let report = wait::until("the group to be empty", BOUND, || {
        let output =
            world.run(&["offsets", "reset", path(&file), "--to", &time, "--write-again", "--format", "json"]);
        output.status.success().then(|| serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
    });
    let again: i64 = report["moves"]
        .as_array()
        .expect("moves")
        .iter()
        .filter(|one| one["sink"] == "history")
        .map(|one| one["again"].as_i64().expect("a number"))
        .sum();
    assert_eq!(
        (again, &report["letters_judged_again"], &report["letters_kept"]),
        (20, &10.into(), &0.into()),
        "{report}"
    );
    run_to_the_end(&world, &file);
    assert_eq!((sql.integer(ROWS), sql.integer("SELECT count(*) FROM aqueduct.dead_letter")), (100, 10));
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    let no_schema = command(&world, 78, &["offsets", "show", path(&file)]);
    assert!(errors(&no_schema).contains("aqueduct migrate up FILE"), "{}", errors(&no_schema));
    world.migrate(&file);
    let empty = command(&world, 0, &["offsets", "show", path(&file)]);
    assert!(errors(&empty).contains("nothing of this topology has run yet"), "{}", errors(&empty));
    world.send((1..=4).map(trade));
    for (more, code, words) in [
        (&["--to", "earliest"][..], 1, "nothing has run yet, so `start` of the source says where it begins"),
        (&["--to", "earliest", "--partition", "9"], 64, "has no partition 9; it has 0 to 3"),
        (&["--to", "4711"], 64, "offset 4711 is not in the log of"),
        (&["--to", "soon"], 64, "`soon` is no place; write an offset, earliest, latest,"),
        (
            &["--to", "earliest", "--sink", "nobody"],
            64,
            "the topology has no sink `nobody`; its sinks: cache, history",
        ),
        (
            &["--to", "earliest", "--source", "nobody"],
            64,
            "the topology has no source `nobody`; its sources: ticks",
        ),
        (&[], 64, "--to"),
        (&["--forget", "--sink", "history"], 64, "--forget is for a sink that it does not have any more"),
        (&["--forget", "--sink", "gone"], 1, "no offset of a sink `gone` is stored"),
    ] {
        let arguments: Vec<&str> = ["offsets", "reset", path(&file)].iter().chain(more).copied().collect();
        let refused = command(&world, code, &arguments);
        assert!(errors(&refused).contains(words), "{more:?}: {}", errors(&refused));
    }
}
