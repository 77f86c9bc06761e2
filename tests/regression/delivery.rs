//! Complaints about delivery, in virtual time: the real actors, and a broker, a database and a cache that fail as told.

use crate::rehearsal::{Scratch, aqueduct, shown, stderr, stdout};

/// `{tests}` follow.
const TOPOLOGY: &str = r#"
topology: complaints
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:    { type: timestamp, path: /T, unit: ms }
      id:    { type: int64, path: /t }
      price: { type: "decimal(18,2)", path: /p }
      note:  { type: text, path: /n, optional: true }
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 3, interval: 5ms } }
  last:    { kind: redis_cache, from: trades, key: last, value: [id], order_by: ts, policy: best_effort }
tests:
"#;

/// Four good records; `&sent` to be sent again.
const SENT: &str = r#"&sent
      to: ticks
      at: 1s
      records:
        - { T: 1767225600000, t: 1, p: "10" }
        - { T: 1767225601000, t: 2, p: "20" }
        - { T: 1767225602000, t: 3, p: "30" }
        - { T: 1767225603000, t: 4, p: "40" }"#;

/// Every example holds, as things fail by themselves and under two other seeds.
fn holds(tests: &str) {
    let scratch = Scratch::new();
    let text = format!("{TOPOLOGY}{}", tests.replace("SENT", SENT));
    let file = scratch.write("complaint.yaml", &text);
    let output = aqueduct(&["test", shown(&file), "--seed", "0", "--seeds", "3"], b"");
    assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
}

/// vector#24543 (the Kafka source acknowledges what the sink has rejected), kafka-connect-jdbc#1597.
#[test]
fn the_offset_stays_while_the_sink_refuses() {
    holds(
        r#"
  - name: an hour of refusals
    send: SENT
    faults: [{ disk_full: history }]
    lasts: 1h
    expect:
      history: { rows: [] }
      offsets: { history: { 0: 0 } }
      ledger: { read: 4, written: 0, dead_lettered: 0, in_flight: 4, unaccounted: 0 }
  - name: an hour without answers
    send: *sent
    faults: [{ sink_timeout: history }]
    lasts: 1h
    expect: { offsets: { history: { 0: 0 } }, ledger: { written: 0, in_flight: 4, unaccounted: 0 } }
  - name: and then all of it, once
    send: *sent
    faults: [{ disk_full: history, for: 1h }]
    expect: { history: { rows: [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }] }, dead_letter: [], offsets: { history: { 0: 4 } } }
"#,
    );
}

/// vector#24543, kafka-connect-jdbc#1597: a row the table refuses may be passed only once it is kept elsewhere.
#[test]
fn the_offset_passes_a_refused_row_only_with_its_letter() {
    holds(
        r#"
  - name: kept, and passed in the same transaction
    tables: { history: { check: { not_twenty: price != 20 } } }
    send: SENT
    expect:
      history: { rows: [{ id: 1 }, { id: 3 }, { id: 4 }] }
      dead_letter: [{ actor: history, offset: 1, reason: check_violation }]
      offsets: { history: { 0: 4 } }
      ledger: { written: 3, dead_lettered: 1, in_flight: 0, unaccounted: 0 }
  - name: a record of no row at all waits until its letter is kept
    send: { to: ticks, records: [nonsense, { T: 1767225600000, t: 1, p: "10" }] }
    faults: [{ disk_full: dead_letter }]
    lasts: 1h
    expect: { history: { rows: [] }, dead_letter: [], offsets: { history: { 0: 0 } } }
"#,
    );
}

/// arroyo#1103: a pipeline that met a byte it could not decode restarted for 27 hours.
#[test]
fn a_bad_byte_stops_nothing() {
    holds(
        r#"
  - name: bytes that are no JSON, no text, nothing at all
    send:
      to: ticks
      at: 1s
      records:
        - { T: 1767225600000, t: 1, p: "10" }
        - "\xff\x00\xfe"
        - '{ "T": 1767225601000, "t": 2, "p": "20'
        - ""
        - '{ "T": 1767225602000, "t": 3, "p": "30", "n": "\ud800" }'
        - { T: 1767225603000, t: 4, p: "40" }
    expect:
      history: { rows: [{ id: 1 }, { id: 4 }] }
      dead_letter: [{ offset: 1 }, { offset: 2 }, { offset: 3 }, { offset: 4 }]
      offsets: { history: { 0: 6 } }
      restarts: { ticks: 0, trades: 0, history: 0, last: 0 }
      states: { ticks: running, trades: running, history: running }
"#,
    );
}

/// telegraf#11005 (one bad metric drops the whole batch), connect#2346.
#[test]
fn a_bad_value_takes_no_neighbour_with_it() {
    holds(
        r#"
  - name: one price is a word, one is too large for the table, and all are of one batch
    tables: { history: { columns: { price: "decimal(4,2)" } } }
    send:
      to: ticks
      at: 1s
      records:
        - { T: 1767225600000, t: 1, p: "10" }
        - { T: 1767225601000, t: 2, p: "abc" }
        - { T: 1767225602000, t: 3, p: "30" }
        - { T: 1767225603000, t: 4, p: "1000" }
        - { T: 1767225604000, t: 5, p: "50" }
    expect:
      history: { rows: [{ id: 1, price: 10 }, { id: 3, price: 30 }, { id: 5, price: 50 }] }
      dead_letter: [{ actor: trades, offset: 1 }, { actor: history, offset: 3, reason: numeric_value_out_of_range }]
      ledger: { written: 3, dead_lettered: 2, in_flight: 0, unaccounted: 0 }
"#,
    );
}

/// kafka-connect-jdbc#1312: with the database's disk full, every record goes to the dead letter queue.
#[test]
fn a_full_disk_sends_nothing_to_the_dead_letter() {
    holds(
        r#"
  - name: the writer waits, and says so
    send: SENT
    faults: [{ disk_full: history }]
    lasts: 1h
    expect: { dead_letter: [], history: { rows: [] }, states: { history: waiting }, restarts: { history: 0 } }
  - name: with room again every record is a row
    send: *sent
    faults: [{ disk_full: history, for: 1h }]
    expect: { dead_letter: [], history: { rows: [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }] }, ledger: { written: 4, dead_lettered: 0 } }
"#,
    );
}

/// telegraf#19738, vector#19938: an output that is down holds up those that are not.
#[test]
fn a_dead_output_does_not_stop_the_healthy_ones() {
    holds(
        r#"
  - name: the cache is away for good, and the table has every row within a second
    send: SENT
    faults: [{ redis_down: last }]
    lasts: 2s
    expect:
      history: { rows: [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }] }
      offsets: { history: { 0: 4 } }
      states: { last: waiting, history: running, ticks: running }
  - name: the cache panics again and again
    send: *sent
    faults: [{ panic: last, at: 1s }, { panic: last, at: 1300ms }, { panic: last, at: 2s }]
    expect: { history: { rows: [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4 }] }, restarts: { history: 0, trades: 0, ticks: 0 } }
  - name: the table is away, and the cache goes on
    send: *sent
    faults: [{ disk_full: history }]
    lasts: 1h
    expect: { history: { rows: [] }, last: { keys: { last: { id: 4 } } }, states: { history: waiting, last: running } }
"#,
    );
}
