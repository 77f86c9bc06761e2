//! Complaints about what is written: the file, its mistakes, its tests.

use crate::rehearsal::{Scratch, aqueduct, shown, stderr, stdout};

/// vector#23008: an error in the configuration names neither its file nor its line.
#[test]
fn every_mistake_has_its_file_line_and_column() {
    let text = "\
topology: mistakes
actors:
  ticks: { kind: kafka_sorce, topic: md.raw }
  trades:
    kind: normalizer
    from: tikcs
    fields: { ts: { type: timestamp, path: T }, id: { type: int46, path: /t } }
";
    let scratch = Scratch::new();
    let file = scratch.write("mistakes.yaml", text);
    let output = aqueduct(&["check", shown(&file), "--format", "json"], b"");
    let said: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let diagnostics = said["diagnostics"].as_array().expect("an array");
    assert!(diagnostics.len() >= 3, "all mistakes in one run: {said:#}");
    let place = |word: &str| {
        let line = text.lines().position(|line| line.contains(word)).expect("it is there");
        let column = text.lines().nth(line).and_then(|line| line.find(word)).expect("in that line");
        (line as u64 + 1, column as u64 + 1)
    };
    for word in ["kafka_sorce", "tikcs", "int46"] {
        let (line, column) = place(word);
        let found = diagnostics.iter().any(|diagnostic| {
            let at = (diagnostic["line"].as_u64(), diagnostic["column"].as_u64());
            at == (Some(line), Some(column))
                && diagnostic["file"].as_str().is_some_and(|name| name.ends_with("mistakes.yaml"))
                && diagnostic["code"].is_string()
        });
        assert!(found, "`{word}` is told at {line}:{column}: {said:#}");
    }
    let people = stderr(&aqueduct(&["check", shown(&file)], b""));
    let (line, column) = place("kafka_sorce");
    assert!(people.contains(&format!("mistakes.yaml:{line}:{column}")), "{people}");
    // Where the text is no YAML at all, too.
    let file = scratch.write("broken.yaml", "topology: x\nactors: { a: [ }\n");
    let people = stderr(&aqueduct(&["check", shown(&file)], b""));
    assert!(people.contains("broken.yaml:2:"), "{people}");
}

/// connect#2043: a variable that is named in a comment must be set.
#[test]
fn a_comment_is_never_substituted() {
    let text = r#"
# Set ${NOBODY_SETS_THIS} and ${NOR_THIS:?or it fails} before the start.
topology: comments   # or ${NEITHER}
connections: { kafka: { bootstrap: "127.0.0.1:1" } }
actors:
  ticks: { kind: kafka_source, topic: md.raw }   # - ${LEAST_OF_ALL
  trades: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, path: /T, unit: ms } } }
  copy: { kind: kafka_sink, from: trades, topic: md.trades }
"#;
    let scratch = Scratch::new();
    let check = |text: &str| aqueduct(&["check", shown(&scratch.write("t.yaml", text))], b"");
    let output = check(text);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("NOBODY_SETS_THIS"), "{}", stderr(&output));
    let output = check(&text.replace("127.0.0.1:1", "${NOBODY_SETS_THIS}"));
    assert_eq!(output.status.code(), Some(1), "where it counts it is missed: {}", stderr(&output));
}

/// vector#11983, #20278: the unit tests of a configuration see its transforms only.
#[test]
fn a_unit_test_reaches_from_the_topic_to_the_table() {
    let topology = r#"
topology: whole
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /T, unit: ms }, price: { type: "decimal(18,2)", path: /p } }
    require: { price_positive: price > 0 }
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 100, interval: 5ms } }
  last:    { kind: redis_cache, from: trades, key: last, value: [price], order_by: ts }
tests:
  - name: from the topic's partition to the table's row, the cache's key, the offset and the letter
    tables: { history: { check: { not_two: price != 2 } } }
    send: { to: ticks, at: 1s, records: [{ value: { T: 1767225600000, p: PRICE }, partition: 3 }, { value: { T: 1767225601000, p: 2 }, partition: 3 }, { value: { T: 1767225599000, p: -1 }, partition: 3 }] }
    faults: [{ panic: history, at: 1s }]
    expect:
      history: { rows: [{ ts: "2026-01-01T00:00:00Z", price: 1 }] }
      last: { keys: { last: { price: 2 } } }
      dead_letter: [{ actor: history, reason: check_violation, partition: 3, offset: 1 }, { actor: trades, reason: price_positive, partition: 3, offset: 2 }]
      offsets: { history: { 3: 3 }, last: { 3: 3 } }
      restarts: { history: 1 }
"#;
    let scratch = Scratch::new();
    let run = |price: &str| {
        let file = scratch.write("whole.yaml", &topology.replace("PRICE", price));
        aqueduct(&["test", shown(&file)], b"")
    };
    let passes = run("1");
    assert_eq!(passes.status.code(), Some(0), "{}\n{}", stdout(&passes), stderr(&passes));
    let fails = run("7");
    assert_eq!(fails.status.code(), Some(1), "{}", stdout(&fails));
    assert!(stdout(&fails).contains("`history`, row 1: `price` is \"7.00\", not 1"), "{}", stdout(&fails));
}
