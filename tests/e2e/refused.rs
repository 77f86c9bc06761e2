//! What cannot work is refused, or waited for with a message that says what to do; never a crash loop.

use crate::harness::node::Node;
use crate::harness::topologies::{TRADES, trade};
use crate::harness::wait;
use crate::harness::world::World;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// Runs a node that cannot get ready; gives what `/readyz` says once it says `word`.
fn waits_saying(world: &World, file: &std::path::Path, environment: &[(&str, &str)], words: &[&str]) {
    let node = Node::start_with(world, file, "refused", &[], environment);
    let body = wait::until(&format!("/readyz to say {words:?}"), BOUND, || {
        let (status, body) = node.get("/readyz")?;
        (status == 503 && words.iter().all(|word| body.contains(word))).then_some(body)
    });
    assert_eq!(node.get("/livez").map(|(status, _)| status), Some(200), "alive though not ready: {body}");
    let actors = node.json("/api/actors");
    let restarts: i64 = actors
        .as_array()
        .expect("an array")
        .iter()
        .map(|actor| actor["restarts"].as_i64().unwrap_or(0))
        .sum();
    assert_eq!(restarts, 0, "no crash loop: {actors}");
}

fn send_one(world: &World) {
    let feed = world.feed();
    let (key, value, time) = trade(1);
    feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
    feed.flush().expect("flush");
}

#[test]
fn a_missing_table_names_the_command_that_drafts_it() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    let output = world.run(&["migrate", "up"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    send_one(&world);
    waits_saying(&world, &file, &[], &["market.trades", "aqueduct migrate new"]);
}

#[test]
fn a_database_without_our_schema_names_the_command_that_makes_it() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    waits_saying(&world, &file, &[], &["aqueduct migrate up"]);
}

#[test]
fn a_column_of_another_type_is_named_with_both_types() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    world.sql().batch("ALTER TABLE market.trades ALTER COLUMN q TYPE text USING q::text");
    send_one(&world);
    waits_saying(&world, &file, &[], &["market.trades", "q", "text", "numeric"]);
}

#[test]
fn a_wrong_password_waits_and_never_prints() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let url = world.database_url();
    let (before, at) = url.rsplit_once('@').expect("a user in the address");
    let (user, _) = before.rsplit_once(':').expect("a password in the address");
    let wrong = format!("{user}:hunter2-secret@{at}");
    let node = Node::start_with(&world, &file, "refused", &[], &[("TIMESCALE_URL", &wrong)]);
    let body = wait::until("/readyz to speak of the password", BOUND, || {
        let (status, body) = node.get("/readyz")?;
        (status == 503 && body.contains("password")).then_some(body)
    });
    assert!(!body.contains("hunter2") && !node.log().contains("hunter2"), "the password was printed");
}

#[test]
fn a_missing_topic_names_itself() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    world.stack().delete_topic(&world.topic).expect("delete the topic");
    waits_saying(&world, &file, &[], &[&world.topic]);
}

#[test]
fn a_topology_with_mistakes_is_refused_with_all_of_them() {
    let world = World::shared();
    let file = world.write_topology("topology: x\nactors:\n  a: { kind: kafka_sorce, topic: t }\n  b: { kind: normalizer, from: nobody, fields: { x: /y } }\n");
    let path = file.to_str().expect("a plain path");
    for command in ["check", "run"] {
        let output = world.run(&[command, path]);
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let expected = if command == "check" { 1 } else { 78 };
        assert_eq!(output.status.code(), Some(expected), "{command}: {text}");
        assert!(text.contains("kafka_source"), "{command} offers the nearest kind: {text}");
        assert!(text.contains("nobody"), "{command} names the missing actor: {text}");
        assert!(text.contains("topology.yaml:3"), "{command} says where: {text}");
    }
}

#[test]
fn wrong_usage_ends_with_64_and_a_good_file_passes() {
    let world = World::shared();
    assert_eq!(world.run(&["run"]).status.code(), Some(64));
    assert_eq!(world.run(&["no-such-command"]).status.code(), Some(64));
    let file = world.write_topology(TRADES);
    let output = world.run(&["check", file.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn fail_fast_ends_with_69_when_a_dependency_is_away() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let away = format!("{}", crate::harness::node::free_address());
    let node = Node::start_with(&world, &file, "fast", &["--fail-fast"], &[("KAFKA_BOOTSTRAP", &away)]);
    assert_eq!(node.exit_code(BOUND), 69);
}
