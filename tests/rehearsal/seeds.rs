//! `aqueduct test --seed` and `--seeds`: one seed is one run, and a failure says how to run it again.

use super::{Scratch, aqueduct, shown, stdout};
use serde_json::Value;

/// Which of the two partitions is first in the table is left to chance.
const RACE: &str = r#"
topology: race
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  rows: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, expr: record_time }, part: { type: int64, expr: partition } } }
  table: { kind: timescale_writer, from: rows, table: market.rows, flush: { rows: 1, interval: 1ms } }
tests:
  - name: who's first
    send: { to: ticks, records: [{ value: {}, partition: 0 }, { value: {}, partition: 1 }] }
    expect: { table: { order: arrival, rows: [{ part: 0 }, { part: 1 }] } }
  - name: both are there
    send: { to: ticks, records: [{ value: {}, partition: 0 }, { value: {}, partition: 1 }] }
    expect: { table: { rows: [{ part: 0 }, { part: 1 }] } }
"#;

fn run(arguments: &[&str]) -> (i32, String) {
    let scratch = Scratch::new();
    let file = scratch.write("race.yaml", RACE);
    let mut all = vec!["test", shown(&file)];
    all.extend(arguments);
    let output = aqueduct(&all, b"");
    (output.status.code().expect("an exit"), stdout(&output))
}

fn json(arguments: &[&str]) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(arguments);
    serde_json::from_str(&run(&all).1).expect("JSON")
}

#[test]
fn a_race_is_lost_under_some_seed_and_lost_again_under_the_same() {
    assert_eq!(run(&["--seed", "0"]).0, 0, "the calm seed keeps the order of the file");
    let found = json(&["--seed", "1", "--seeds", "60"]);
    let (race, both) = (&found["tests"][0], &found["tests"][1]);
    assert_eq!((&race["passed"], &both["passed"]), (&false.into(), &true.into()), "{found}");
    assert_eq!(both["runs"], 60);
    let seed = race["seed"].as_u64().expect("a seed");
    assert_eq!(race["runs"], seed, "it stops at the first that fails");
    let seed = seed.to_string();
    let (exit, text) = run(&["--seed", "1", "--seeds", "60"]);
    assert_eq!(exit, 1);
    let again = format!("race.yaml' --filter 'who'\\''s first' --seed {seed}\n");
    assert!(text.contains(&again), "`{again}` is not in:\n{text}");
    assert!(text.ends_with("1 passed, 1 failed (seeds 1 to 60)\n"), "{text}");
    let seen = || json(&["--filter", "first", "--seed", &seed])["tests"][0]["failures"][0]["notes"].clone();
    assert_eq!(seen(), seen());
    assert!(seen().to_string().contains("part: 0"), "{}", seen());
}

#[test]
fn a_run_draws_a_seed_and_says_it_in_every_form() {
    let drawn = |arguments: &[&str]| json(arguments)["seed"].as_u64().expect("a seed");
    let (one, two) = (drawn(&["--filter", "both"]), drawn(&["--filter", "both"]));
    assert!(one > 0 && one != two, "{one}, {two}");
    assert_eq!(drawn(&["--filter", "both", "--seed", "77"]), 77);
    let (_, junit) = run(&["--filter", "both", "--seed", "77", "--format", "junit"]);
    assert!(junit.contains(r#"<property name="seed" value="77"/>"#), "{junit}");
    let (_, tap) = run(&["--filter", "both", "--seed", "77", "--format", "tap"]);
    assert!(tap.contains("\n# seed 77\n"), "{tap}");
    assert_eq!(run(&["--seeds", "0"]).0, 64);
}
