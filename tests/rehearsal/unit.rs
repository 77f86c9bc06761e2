//! `aqueduct test`.

use super::{Scratch, aqueduct, library, shown, stderr, stdout};

/// The topology of the tests; `{tests}` follows.
const TOPOLOGY: &str = r#"
topology: demo
supervisors:
  ingest: { strategy: rest_for_one, intensity: 3, period: 30s, children: [ticks, trades, history] }
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /T, unit: ms }, price: { type: "decimal(18,2)", path: /p } }
    require: { price_positive: price > 0 }
  history: { kind: timescale_writer, from: trades, table: market.trades }
  last: { kind: redis_cache, from: trades, key: "last", value: [price], order_by: ts, ttl: 1h, policy: best_effort }
tests:
"#;

/// The example of the language page, but for the kind that is still to come.
const EXAMPLE: &str = r#"
topology: market-data
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP:-127.0.0.1:9092}" }
  timescale: { url: "${TIMESCALE_URL}", password_file: /run/secrets/pg, pool: 4 }
  redis:     { url: "${REDIS_URL}" }
supervisors:
  ingest: { strategy: rest_for_one, intensity: 5, period: 30s, backoff: { initial: 100ms, max: 10s, jitter: 0.2 }, children: [ticks, trades, history] }
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    select: msg.data.e == "trade"
    fields:
      ts:       { type: timestamp, path: /data/T, unit: ms }
      symbol:   { type: text, path: /data/s, max_bytes: 32 }
      price:    { type: "decimal(18,8)", path: /data/p }
      qty:      { type: "decimal(18,8)", path: /data/q }
      trade_id: { type: int64, path: /data/t }
      side:     { type: text, path: /data/m, map: { "true": sell, "false": buy } }
    require: { price_positive: price > 0, qty_positive: qty > 0 }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 10000, interval: 50ms } }
  cache:   { kind: redis_cache, from: trades, key: "last:{symbol}", value: [ts, price, qty], order_by: ts, policy: best_effort, ttl: 1d }
tests:
  - name: a negative price goes to the dead letter
    send:   { to: ticks, records: [{ data: { e: trade, s: A, T: 1, p: "-1", q: "1", t: 1, m: true } }] }
    expect: { history: { rows: [] }, dead_letter: [{ actor: trades, reason: price_positive }] }
  - name: what the author requires is judged before the bounds of every event time
    send:   { to: ticks, records: [{ data: { e: trade, s: A, T: 1, p: "1", q: "1", t: 1, m: true } }] }
    expect: { history: { rows: [] }, dead_letter: [{ actor: trades, reason: event_time }] }
"#;

#[test]
fn the_example_of_the_language_passes_its_own_test() {
    let scratch = Scratch::new();
    let file = scratch.write("example.yaml", EXAMPLE);
    let output = aqueduct(&["test", shown(&file)], b"");
    assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
}

fn run(tests: &str, arguments: &[&str]) -> (i32, String, String) {
    let scratch = Scratch::new();
    let file = scratch.write("demo.yaml", &format!("{TOPOLOGY}{tests}"));
    let mut all = vec!["test", shown(&file)];
    all.extend(arguments);
    let output = aqueduct(&all, b"");
    (output.status.code().expect("an exit"), stdout(&output), stderr(&output))
}

#[test]
fn every_topology_of_the_library_passes_its_own_tests() {
    for example in aqueduct_config::topologies::all() {
        assert!(example.text.contains("\ntests:\n"), "{} has no tests", example.name);
        let output = aqueduct(&["test", &library(example.name)], b"");
        assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
        assert!(stdout(&output).contains(" passed, 0 failed (seed "));
    }
}

#[test]
fn every_fault_is_survived_and_nothing_is_lost_or_doubled() {
    let records = "[{ T: 1767225600000, p: 1 }, { T: 1767225601000, p: 2 }, { T: 1767225602000, p: -1 }]";
    let whole = "history: { rows: [{ price: 1 }, { price: 2 }] }, last: { keys: { last: { price: 2 } } }, \
                 dead_letter: [{ reason: price_positive, offset: 2 }], offsets: { history: { 0: 3 } }, \
                 ledger: { in_flight: 0 }";
    let faults = [
        ("crash: trades", "restarts: { ticks: 0, trades: 1, history: 1 }"),
        ("panic: history", "restarts: { ticks: 0, trades: 0, history: 1 }"),
        ("crash: ticks", "restarts: { ticks: 1 }"),
        ("panic: last", "restarts: { last: 1, ticks: 0 }"),
        ("crash: dead_letter", "restarts: { dead_letter: 1, trades: 0 }"),
        ("redis_down: last, for: 1h", "restarts: { last: 0 }, states: { last: running }"),
        ("sink_timeout: history, for: 1h", "restarts: { history: 0 }, states: { history: running }"),
        ("disk_full: history, for: 1h", "restarts: { history: 0 }, states: { history: running }"),
        ("revoke: ticks", "restarts: { ticks: 0, trades: 0, history: 0 }"),
    ];
    let mut tests = String::new();
    for (fault, expected) in faults {
        // Before anything is read, while it is, and once it has been.
        for at in ["0s", "1s", "2s"] {
            // The TTL of the cache must not end what the longest outage delays.
            let whole = whole.replace(
                "last: { keys: { last: { price: 2 } } }, ",
                if fault.contains("1h") { "" } else { "last: { keys: { last: { price: 2 } } }, " },
            );
            tests += &format!(
                "  - name: \"{fault} at {at}\"\n    send: {{ to: ticks, at: 1s, records: {records} }}\n    faults: [{{ {fault}, at: {at} }}]\n    expect: {{ {whole}, {expected} }}\n"
            );
        }
    }
    let (exit, out, err) = run(&tests, &[]);
    assert_eq!((exit, out.contains("27 passed, 0 failed")), (0, true), "{out}\n{err}");
}

#[test]
fn an_outage_is_seen_while_it_lasts() {
    let tests = "
  - name: what is read again for the cache's sake is not written again
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }, { T: 1767225601000, p: 2 }] }
    faults: [{ redis_down: last, for: 1m }, { at: 5s, revoke: ticks }]
    expect: { history: { rows: [{ price: 1 }, { price: 2 }] }, last: { keys: { last: { price: 2 } } }, ledger: { read: 4 } }
  - name: a restart too many begins the whole path anew
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }] }
    faults: [{ at: 1s, crash: history }, { at: 2s, crash: history }, { at: 4s, crash: history }, { at: 8s, crash: history }]
    lasts: 20s
    expect: { restarts: { history: 4, ticks: 1, last: 0 }, states: { ticks: running } }
  - name: waiting
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }] }
    faults: [{ disk_full: history }]
    lasts: 1h
    expect: { history: { rows: [] }, states: { history: waiting, trades: running }, ledger: { in_flight: 1 }, restarts: { history: 0 } }
  - name: a cache forgets
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }] }
    lasts: 2h
    expect: { history: { count: 1 }, last: { keys: { last: null }, count: 0 } }
";
    let (exit, out, err) = run(tests, &[]);
    assert_eq!(exit, 0, "{out}\n{err}");
}

const FAILING: &str = "
  - name: wrong row
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }] }
    expect: { history: { rows: [{ price: 2 }] } }
  - name: wrong everything
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }, nonsense] }
    expect:
      history: { rows: [], count: 3 }
      last: { keys: { last: null, other: { price: 1 } } }
      dead_letter: []
      offsets: { history: { 0: 7 } }
      restarts: { trades: 2 }
      states: { trades: waiting }
      ledger: { written: 5 }
  - name: \"right <&> # one\"
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }] }
    expect: { history: { rows: [{ ts: \"2026-01-01T00:00:00Z\", price: 1.0 }] } }
";

#[test]
fn a_failure_says_what_was_seen_and_where_it_was_expected() {
    let (exit, out, _) = run(FAILING, &[]);
    assert_eq!(exit, 1);
    for said in [
        "FAILED wrong row",
        "`history`, row 1: `price` is \"1.00\", not 2",
        "demo.yaml:18:42",
        "`history` has 1 row, not 0",
        "`history`: count is 1, not 3",
        "`last`, key `last` has a value",
        "`last`, key `other` has no value",
        "1 dead letter, not 0",
        "+ trades rejected: not_json",
        "next offset is 2, not 7",
        "`trades`: restarts is 0, not 2",
        "`trades` is running, not waiting",
        "ledger: written is 1, not 5",
        "ok     right <&> # one",
        "1 passed, 2 failed",
    ] {
        assert!(out.contains(said), "`{said}` is not in:\n{out}");
    }
}

/// What a failure looks like, to the character. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn a_failure_looks_as_it_always_did() {
    let tests = "
  - name: rows that differ
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }, { T: 1767225601000, p: 2 }, { T: 1767225602000, p: 3 }, { T: 1767225603000, p: 4 }] }
    expect: { history: { rows: [{ price: 1 }, { ts: \"2026-01-01T00:00:01Z\", price: 2.5 }, { price: 3 }, { price: 4 }] } }
  - name: rows that are missing and rows that are too many
    send: { to: ticks, records: [{ T: 1767225600000, p: 1 }, { T: 1767225601000, p: 2 }, { T: 1767225602000, p: 3 }, { T: 1767225603000, p: 4 }] }
    expect:
      history:
        rows:
          - { price: 1 }
          - { price: 3 }
          - { price: 4 }
          - { price: 5 }
          - { price: 6 }
        order: any
  - name: letters, offsets and states
    send: { to: ticks, records: [nonsense, { T: 1767225601000, p: -1 }] }
    expect:
      dead_letter: [{ actor: trades, reason: price_positive, detail: \"is not true\" }]
      offsets: { history: { 0: 3 } }
      states: { history: waiting }
      exit: 70
";
    let (exit, out, _) = run(tests, &["--seed", "0"]);
    assert_eq!(exit, 1);
    let shown: String = out
        .lines()
        .map(|line| match line.rsplit_once("demo.yaml") {
            Some((before, after)) => {
                let kept = before.find(['/']).map_or(before, |folder| &before[..folder]);
                format!("{kept}demo.yaml{after}\n")
            }
            None => format!("{line}\n"),
        })
        .collect();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rehearsal/failing.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &shown).expect("written");
    }
    assert_eq!(shown, std::fs::read_to_string(golden).expect("the golden file"), "see {golden}");
}

#[test]
fn rows_and_records_go_to_any_actor_and_are_held_to_its_columns() {
    let tests = "
  - name: to a normalizer
    send: { to: trades, records: [{ value: { T: 1767225600000, p: 1 }, key: k, partition: 4 }, { raw: oops, partition: 4 }] }
    expect: { history: { rows: [{ price: 1 }] }, last: { count: 1 }, dead_letter: [{ partition: 4, offset: 1, payload: oops }], offsets: { history: { 4: 2 } } }
  - name: to a cache, and no other sink has them
    send: { to: last, rows: [{ ts: \"2026-01-01T00:00:00Z\", price: \"1.50\" }] }
    expect: { last: { keys: { last: { price: 1.5 } } }, history: { rows: [] } }
  - name: to a writer, with a NULL
    send: { to: history, rows: [{ ts: 1767225600000, price: 7 }, { price: 8 }] }
    expect: { history: { rows: [{ price: 7 }, { price: 8, ts: null }] } }
  - name: of another type
    send: { to: history, rows: [{ price: much }] }
    expect: { history: { rows: [] } }
";
    let (exit, out, err) = run(tests, &[]);
    assert!(exit == 1 && out.contains("3 passed, 1 failed"), "{out}\n{err}");
    assert!(out.contains("a row sent to `history` does not fit its columns"), "{out}");
    let (exit, _, err) = run(
        "  - name: x\n    send: [{ to: history, records: [1] }, { to: ticks, rows: [{ price: 1 }] }, { to: history, rows: [{ prise: 1 }] }, { to: ticks }]\n    expect: {}\n",
        &[],
    );
    assert_eq!(exit, 78);
    for said in [
        "sent to a source or a normalizer",
        "rows are sent to a sink",
        "did you mean `price`?",
        "`records`, or `rows`",
    ] {
        assert!(err.contains(said), "`{said}` is not in:\n{err}");
    }
}

#[test]
fn a_filter_chooses_and_programs_read_the_rest() {
    let (exit, out, _) = run(FAILING, &["--filter", "right", "--format", "tap", "--seed", "3"]);
    assert_eq!((exit, out.as_str()), (0, "TAP version 13\n1..1\n# seed 3\nok 1 - right <&> \\# one\n"));
    let (exit, out, _) = run(FAILING, &["--format", "tap"]);
    assert_eq!(exit, 1);
    assert!(out.contains("\nnot ok 1 - wrong row\n# ") && out.contains("\nok 3 - "), "{out}");
    let (exit, out, _) = run(FAILING, &["--format", "junit"]);
    assert_eq!(exit, 1);
    assert!(out.contains(r#"tests="3" failures="2""#), "{out}");
    assert!(out.contains(r#"name="right &lt;&amp;&gt; # one""#), "{out}");
    assert_eq!(out.matches("<failure message=").count(), 10, "{out}");
    let (exit, _, err) = run(FAILING, &["--filter", "nobody"]);
    assert!(exit == 0 && err.contains("no test of that name"), "{err}");
}

#[test]
fn a_test_that_says_nonsense_is_refused_at_its_place() {
    let tests = "
  - name: nonsense
    send: { to: tricks, records: [1] }
    faults: [{ redis_down: history }, { crash: trades, panic: trades }]
    expect: { history: { rows: [{ prize: 1 }], keys: { a: null } }, lst: { count: 1 } }
";
    let (exit, _, err) = run(tests, &[]);
    assert_eq!(exit, 78);
    for said in [
        "did you mean `ticks`?",
        "error[T091]",
        "a fault says one thing",
        "did you mean `price`?",
        "did you mean `last`?",
    ] {
        assert!(err.contains(said), "`{said}` is not in:\n{err}");
    }
    let file = "  - name: a file\n    send: { to: ticks, records: [{ file: none.jsonl }] }\n    expect: {}\n";
    let (exit, out, _) = run(file, &[]);
    assert!(exit == 1 && out.contains("none.jsonl"), "{out}");
}
