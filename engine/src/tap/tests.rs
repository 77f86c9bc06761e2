//! What taps promise, one behaviour a test.

use super::redact::REDACTED;
use super::*;
use crate::batch::{hidden_columns, with_hidden_columns};
use crate::link::{Bounds, Link};
use crate::port::{Edge, Outputs};
use crate::testing::{RecordsBuilder, raw_batch};
use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use serde_json::{Value, json};
use std::time::Duration;

fn taps() -> Taps {
    Taps::new(Clock::simulated(0))
}

fn wanted(condition: Option<(&str, &str)>) -> Wanted {
    let condition = condition.map(|(field, value)| (field.to_owned(), value.to_owned()));
    Wanted { per_second: 10, condition }
}

/// A reader of `trades` that wants `condition`, and where `trades` hands on.
fn reading(condition: Option<(&str, &str)>) -> (Reader, Arc<TapPoint>) {
    let taps = taps();
    let (mut reader, point) = (taps.reader(wanted(condition)), taps.point("trades"));
    reader.follow(vec![point.clone()]);
    (reader, point)
}

/// Ten messages of a row each: symbols S0..S9, prices 0.50 and up, a secret.
fn rows() -> Batch {
    let columns = [
        Field::new("symbol", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(18, 2), true),
        Field::new("api_key", DataType::Utf8, true),
        Field::new("extra", DataType::Utf8, true),
    ];
    let prices = Decimal128Array::from((0..10).map(|row| row * 100 + 50).collect::<Vec<i128>>());
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values((0..10).map(|row| format!("S{row}")))),
        Arc::new(prices.with_precision_and_scale(18, 2).unwrap()),
        Arc::new(StringArray::from_iter_values((0..10).map(|_| "hunter2"))),
        Arc::new(StringArray::from_iter_values(
            (0..10).map(|row| format!("{{\"venue\": {row}, \"token\": \"t\"}}")),
        )),
    ];
    arrays.extend(hidden_columns((0..10).collect(), vec![0; 10]));
    let rows = RecordBatch::try_new(with_hidden_columns(columns), arrays).unwrap();
    raw_batch(0, 0, &["{}"; 10]).with_rows(rows)
}

fn shown(page: Page) -> Vec<Value> {
    page.samples.iter().flat_map(|sample| sample.shown(&Redaction::default())).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_attached_nothing_is_taken_and_whoever_leaves_takes_the_tap_along() {
    let taps = taps();
    let point = taps.point("trades");
    let mut reader = taps.reader(wanted(None));
    point.pass(&rows());
    assert!(!point.is_attached() && reader.page().samples.is_empty());
    reader.follow(vec![point.clone()]);
    point.pass(&rows());
    assert_eq!(shown(reader.page()).len(), crate::limits::TAP_ROWS_PER_BATCH_MAX);
    let mut other = taps.reader(wanted(None));
    other.follow(vec![point.clone()]);
    drop(reader);
    assert!(point.is_attached(), "the other still looks");
    drop(other);
    assert!(!point.is_attached());
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_on_is_seen_once_it_is_taken() {
    let (reader, point) = reading(None);
    let link = Link::new(Bounds { batches: 1, bytes: 1 << 20 });
    let mut outputs = Outputs::new(vec![Edge::new(vec![link.sender()], false)]).tapped(point);
    outputs.try_push(raw_batch(0, 0, &["1"])).unwrap();
    assert!(outputs.try_push(raw_batch(0, 1, &["2"])).is_err(), "the link is full");
    let offsets: Vec<i64> = shown(reader.page()).iter().map(|row| row["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, [0]);
}

#[tokio::test(start_paused = true)]
async fn rows_are_shown_with_their_place_and_without_secrets() {
    let (reader, point) = reading(Some(("symbol", "S3")));
    point.pass(&rows());
    let expected = json!({
        "actor": "trades", "topic": "topic", "partition": 0, "offset": 3, "row": 0, "at_us": 0,
        "record": {
            "symbol": "S3", "price": "3.50", "api_key": REDACTED, "extra": { "venue": 3, "token": REDACTED },
        },
    });
    assert_eq!(shown(reader.page()), [expected]);
}

#[tokio::test(start_paused = true)]
async fn messages_are_shown_as_json_or_by_their_length() {
    let (reader, point) = reading(None);
    let records = RecordsBuilder::new(0, 0)
        .value(r#"{"s": "BTC", "password": "x"}"#)
        .key("BTC")
        .value("password=x")
        .tombstone();
    point.pass(&records.build());
    let records: Vec<Value> = shown(reader.page()).iter().map(|row| row["record"].clone()).collect();
    let time = |ms: u32| format!("1970-01-01T00:00:00.00{ms}000Z");
    let expected = [
        json!({ "key": "BTC", "time": time(0), "value": { "s": "BTC", "password": REDACTED } }),
        json!({ "key": null, "time": time(1), "value": "10 bytes that are no JSON" }),
        json!({ "key": null, "time": time(2), "value": null }),
    ];
    assert_eq!(records, expected);
}

#[tokio::test(start_paused = true)]
async fn a_condition_is_the_same_text_or_the_same_number_or_lies_within_json() {
    for (field, value) in [("price", "3.5"), ("price", "3.50"), ("extra.venue", "3"), ("symbol", "S3")] {
        let (reader, point) = reading(Some((field, value)));
        point.pass(&rows());
        let offsets: Vec<i64> =
            shown(reader.page()).iter().map(|row| row["offset"].as_i64().unwrap()).collect();
        assert_eq!(offsets, [3], "{field}={value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_field_that_no_row_has_is_told_once() {
    let (reader, point) = reading(Some(("prize", "3")));
    point.pass(&rows());
    point.pass(&rows());
    let note = reader.page().note.unwrap();
    assert!(note.starts_with("no row has a field `prize`; there are: symbol, price"), "{note}");
    point.pass(&rows());
    assert_eq!(reader.page().note, None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_holds_little_and_is_told_what_it_missed() {
    let (reader, point) = reading(None);
    let clock = Clock::system();
    for _ in 0..10_000 {
        point.pass(&rows());
        clock.sleep(Duration::from_millis(10)).await;
    }
    let page = reader.page();
    assert_eq!(page.samples.len(), TAP_KEPT_MAX);
    let rows = page.samples.iter().map(Sample::len).sum::<usize>() as u64 + page.missed;
    assert!((900..=1_010).contains(&rows), "ten a second, seen or missed: {rows}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_passed_by_while_the_reader_is_at_the_ring_and_nothing_of_it_is_held() {
    let (reader, point) = reading(None);
    let batch = rows();
    let ring = reader.tap.ring();
    point.pass(&batch);
    drop(ring);
    assert!(reader.page().samples.is_empty(), "not waited for");
    point.pass(&batch);
    assert_eq!(Arc::strong_count(batch.rows.column(0)), 1, "copied, not kept");
    assert!(!reader.page().samples.is_empty());
}

#[tokio::test(start_paused = true)]
async fn large_rows_are_copied_few_at_a_time_and_not_parsed() {
    let (reader, point) = reading(None);
    let large = "x".repeat(100_000);
    point.pass(&raw_batch(0, 0, &vec![large; 10]));
    let rows = shown(reader.page());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["record"]["value"], "100000 bytes, too long to be shown");
}

#[test]
fn clones_share_the_point_of_their_family() {
    let taps = taps();
    assert!(Arc::ptr_eq(&taps.point("trades"), &taps.point("trades#2")));
    assert!(!Arc::ptr_eq(&taps.point("trades"), &taps.point("ticks")));
}
