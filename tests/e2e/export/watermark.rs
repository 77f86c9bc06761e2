//! Only closed ranges: what Kafka still has to give is not exported without its rows.

use super::place::spark;
use crate::harness::console::{errors, json, path, run_to_the_end};
use crate::harness::topologies::{TRADES, trade};
use crate::harness::world::World;

const DAY_MS: i64 = 86_400_000;

/// 2024-08-08 and the day after it.
fn over_two_days(id: u64) -> (String, String, i64) {
    let (key, value, time) = trade(id);
    let shift = if id > 1_000 { DAY_MS } else { 0 };
    let at = time.to_string();
    (key, value.replace(&at, &(time + shift).to_string()), time + shift)
}

#[test]
fn a_range_is_exported_when_every_partition_is_durable_past_it_and_not_before() {
    spark();
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    sql.batch(
        "GRANT USAGE ON SCHEMA market TO aqueduct_export; GRANT SELECT ON market.trades TO aqueduct_export",
    );
    world.send((1..=1_000).map(over_two_days));
    run_to_the_end(&world, &file);
    let into = world.folder().join("out");
    let export = |code: i32, from: &str, to: &str| {
        let words = ["export", path(&file), "--from", from, "--to", to, "--into", path(&into)];
        let words =
            [words.as_slice(), &["--lateness", "1h", "--master", "local[2]", "--format", "json"]].concat();
        let output = world.run(&words);
        assert_eq!(output.status.code(), Some(code), "{}", errors(&output));
        output
    };

    // Records of the next day that no node has read yet: one of them at noon closes what lies an hour before it.
    world.send((1_001..=1_100).map(over_two_days));
    let said = errors(&export(78, "2024-08-08", "2024-08-10"));
    assert!(
        said.contains("rows may still come before 2024-08-10")
            && said.contains("is closed up to 2024-08-09T11:00:0"),
        "{said}"
    );
    assert!(said.contains(&format!("not durable yet: {} partition", world.topic)), "{said}");
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.exports"), 0, "a refusal is no run");

    let output = export(0, "2024-08-08", "2024-08-09");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["rows"], &answer["watermark"]["partitions"]), (&1_000.into(), &4.into()), "{answer}");
    run_to_the_end(&world, &file);
    let stands = json(&world, &["offsets", "show", path(&file)]);
    assert!(stands.as_array().unwrap().iter().all(|stand| stand["lag"] == 0));
    let said = errors(&export(78, "2998-12-31", "2999-01-01"));
    assert!(
        said.contains("an event may reach Kafka 3600s after its time"),
        "the future is never closed: {said}"
    );
}
