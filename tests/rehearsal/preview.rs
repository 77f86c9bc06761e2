//! `aqueduct try`.

use super::{Scratch, aqueduct, library, shown, stderr, stdout};
use serde_json::Value;
use serde_json::value::RawValue;

const TOPOLOGY: &str = r#"
topology: demo
connections: { kafka: { bootstrap: "${BOOTSTRAP}" }, timescale: { url: "${DATABASE:?say where}" } }
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    select: msg.e == "trade"
    fields:
      ts:    { type: timestamp, path: /T, unit: ms }
      id:    { type: int64, path: /t }
      price: { type: "decimal(18,2)", path: /p }
      who:   { type: text, expr: key, optional: true }
      extra: { type: json, path: /x, optional: true }
    require: { price_positive: price > 0 }
  history: { kind: timescale_writer, from: trades, table: market.trades }
  last:    { kind: redis_cache, from: trades, key: "last:{id}", value: [price, ts], order_by: ts, delete_when: price == 13 }
  copy:    { kind: kafka_sink, from: trades, topic: md.trades }
"#;

const LINES: &str = concat!(
    r#"{"e":"trade","T":1767225600000,"t":9007199254740993,"p":"1.5","x":{"a": 1}}"#,
    "\n\r\n",
    r#"{"e":"quote"}"#,
    "\r\n",
    r#"{"e":"trade","T":1767225601000,"t":9007199254740993,"p":"-2"}"#,
    "\n",
    "{no json\n",
    r#"{"e":"trade","T":1767225599000,"t":9007199254740993,"p":"7"}"#,
    "\n",
    r#"{"e":"trade","T":1767225600500,"t":1,"p":"13"}"#,
);

fn tried(arguments: &[&str], input: &str) -> Value {
    let scratch = Scratch::new();
    let file = scratch.write("demo.yaml", TOPOLOGY);
    let mut all = vec!["try", shown(&file), "--format", "json"];
    all.extend(arguments);
    let output = aqueduct(&all, input.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_recorded_messages_give_their_trades_and_none_of_the_others() {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        msg: &'a RawValue,
    }
    let messages: Vec<&str> = aqueduct_config::SAMPLE
        .lines()
        .map(|line| serde_json::from_str::<Line<'_>>(line).expect("a line").msg.get())
        .collect();
    assert_eq!(messages.len(), 503);
    let output = aqueduct(&["try", &library("md-trades")], messages.join("\n").as_bytes());
    let text = stdout(&output);
    assert!(text.ends_with("503 records: 85 written, 0 dead-lettered, 418 filtered\n"), "{text}");
    assert!(text.contains("history (timescale_writer): 101 rows\n"), "{text}");
    assert!(text.contains("dead_letter: 0 letters\n"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn every_sink_shows_what_it_would_hold() {
    let seen = tried(&[], LINES);
    let (first, second) = ("2026-01-01T00:00:00.000000Z", "2025-12-31T23:59:59.000000Z");
    assert_eq!(seen["history"][0]["ts"], first);
    assert_eq!(seen["history"][0]["id"], "9007199254740993", "beyond 2^53 it is a text");
    assert_eq!(seen["history"][0]["price"], "1.50");
    assert_eq!(seen["history"][0]["extra"]["a"], 1);
    assert_eq!(seen["history"][1]["ts"], second);
    assert_eq!(seen["history"][1]["who"], Value::Null);
    assert_eq!(seen["history"].as_array().map(Vec::len), Some(3));
    assert_eq!(seen["copy"], seen["history"]);
    assert_eq!(
        seen["last"],
        serde_json::json!([
            { "key": "last:1", "deleted": true },
            { "key": "last:9007199254740993", "value": { "price": "1.50", "ts": "2026-01-01T00:00:00.000000Z" } },
        ]),
        "the late trade does not replace the newer one"
    );
    let letters: Vec<(i64, &str)> = seen["dead_letter"]
        .as_array()
        .expect("letters")
        .iter()
        .map(|letter| {
            (letter["offset"].as_i64().expect("an offset"), letter["reason"].as_str().expect("a reason"))
        })
        .collect();
    assert_eq!(letters, [(2, "price_positive"), (3, "not_json")]);
    assert_eq!(seen["dead_letter"][1]["payload"], "{no json");
}

#[test]
fn a_limit_counts_records_not_lines() {
    let seen = tried(&["--limit", "3"], LINES);
    assert_eq!(seen["history"].as_array().map(Vec::len), Some(1));
    assert_eq!(seen["dead_letter"].as_array().map(Vec::len), Some(1));
    assert_eq!(tried(&["--limit", "0"], LINES)["dead_letter"], serde_json::json!([]));
}

#[test]
fn envelopes_carry_key_partition_and_time() {
    let line = r#"{"value":{"e":"trade","T":1767225600000,"t":1,"p":"1"},"key":"ann","partition":3,"time":1767225600000}
{"raw":"oops","partition":1}
{"value":{"e":"trade","T":1767225600000,"t":2,"p":"1"},"time":"2020-01-01T00:00:00Z"}"#;
    let seen = tried(&["--envelope"], line);
    assert_eq!(seen["history"][0]["who"], "ann");
    let letters = seen["dead_letter"].as_array().expect("letters");
    let found: Vec<(&Value, &Value)> =
        letters.iter().map(|letter| (&letter["partition"], &letter["reason"])).collect();
    assert_eq!(found[0], (&0.into(), &"event_time".into()), "six years after its record");
    assert_eq!(found[1], (&1.into(), &"not_json".into()));
}

#[test]
fn nothing_in_gives_nothing_out() {
    for input in ["", "\n\n", "\r\n"] {
        let seen = tried(&["--input", "-"], input);
        assert_eq!(
            seen.as_object().map(|sinks| sinks.values().all(|rows| rows == &serde_json::json!([]))),
            Some(true)
        );
    }
}

#[test]
fn wrong_use_and_refused_files_have_their_own_exits() {
    let scratch = Scratch::new();
    let good = scratch.write("good.yaml", TOPOLOGY);
    let bad = scratch.write("bad.yaml", &TOPOLOGY.replace("from: trades", "from: trade"));
    let two = "topology: two\nactors:\n  a: { kind: kafka_source, topic: a }\n  b: { kind: kafka_source, topic: b }\n  \
               rows: { kind: normalizer, from: [a, b], fields: { ts: { type: timestamp, expr: record_time } } }\n  \
               out: { kind: kafka_sink, from: rows, topic: out }\n";
    let two = scratch.write("two.yaml", two);
    let (good, bad, two) = (shown(&good), shown(&bad), shown(&two));
    let cases: [(&[&str], i32, &str); 7] = [
        (&["try", bad], 78, "did you mean `trades`?"),
        (&["try", "/nowhere/at/all.yaml"], 78, "cannot read"),
        (&["try", good, "--input", "/nowhere/at/all.jsonl"], 64, "cannot open"),
        (&["try", good, "--to", "trades"], 64, "its sources: ticks"),
        (&["try", two], 64, "choose one with --to"),
        (&["try", good, "--limit", "many"], 64, "--limit"),
        (&["try"], 64, "Usage"),
    ];
    for (arguments, exit, says) in cases {
        let output = aqueduct(arguments, b"");
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    let output = aqueduct(&["try", two, "--to", "b"], b"{}");
    assert!(stdout(&output).contains("1 record: 1 written"), "{}", stderr(&output));
}

#[test]
fn bytes_that_are_no_text_and_long_lines_are_records_too() {
    let scratch = Scratch::new();
    let file = scratch.write("demo.yaml", TOPOLOGY);
    let mut input = b"\xff\xfe\n".to_vec();
    input.extend(format!("{{\"e\":\"trade\",\"x\":\"{}\"}}\n", "y".repeat(3 << 20)).into_bytes());
    let output = aqueduct(&["try", shown(&file)], &input);
    let text = stdout(&output);
    assert!(text.contains("not_utf8") && text.contains("missing_field"), "{}", stderr(&output));
    assert!(text.ends_with("2 records: 0 written, 2 dead-lettered, 0 filtered\n"));
    assert!(text.len() < 10_000, "a payload is shown in short");
}
