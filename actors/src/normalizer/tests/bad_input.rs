//! Messages that are no messages, and values that are no values: each is rejected with its reason, its neighbours stay.

use super::{batch, check, normalizer, outcome};
use crate::normalizer::Decoder;
use aqueduct_engine::Extent;

const FIELDS: &str =
    "fields: { id: { type: int64, path: /id }, name: { type: text, path: /name, optional: true } }";

/// What becomes of one message of bytes between two good ones.
fn fate(message: &[u8]) -> String {
    let good: &[u8] = br#"{"id":1,"name":"good"}"#;
    let found = outcome(&normalizer(FIELDS), &batch(&[good, message, good]));
    assert!(found.rows.iter().any(|row| row == "0.0: 1 | good"), "{found:#?}");
    assert!(found.rows.iter().any(|row| row == "2.0: 1 | good"), "{found:#?}");
    match (&found.rows[1..found.rows.len() - 1], found.rejects.as_slice()) {
        ([row], []) => row.split_once(": ").unwrap().1.to_owned(),
        ([], [reject]) => reject.split_once(' ').unwrap().1.to_owned(),
        ([], []) => "filtered".to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whole_messages() {
    let deep = [&b"{\"id\":1,\"x\":"[..], &b"[".repeat(10_000), &b"]".repeat(10_000), b"}"].concat();
    let huge = [&b"{\"id\":7,\"x\":\""[..], &b"x".repeat(10 << 20), b"\"}"].concat();
    let too_large = [&b"{\"id\":7,\"x\":\""[..], &b"x".repeat(17 << 20), b"\"}"].concat();
    let cases: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b" ", "not_json"),
        (b"{\"id\":1", "not_json"),
        (b"{\"id\":1} {\"id\":2}", "not_json"),
        (b"{\"id\":1}x", "not_json"),
        (b"this is not json {", "not_json"),
        (b"{\"id\":NaN}", "not_json"),
        (b"{\"id\":1,\"name\":\"\xff\"}", "not_utf8"),
        (b"{\"id\":1,\"name\":\"\xc3\"}", "not_utf8"),
        (b"\xc3", "not_utf8"),
        (b"\xa9", "not_utf8"),
        (&deep, "too_deep"),
        (&huge, "7 | NULL"),
        (&too_large, "too_large"),
        (b"\xef\xbb\xbf{\"id\":1}", "1 | NULL"),
        (b"{\"id\":1,\"id\":2}", "2 | NULL"),
        (b"{\"id\":1,\"name\":\"a\",\"name\":null}", "1 | NULL"),
        (b"[]", "missing_field"),
        (b"null", "missing_field"),
        (b"17", "missing_field"),
    ];
    for (message, expected) in cases {
        let shown = String::from_utf8_lossy(&message[..message.len().min(60)]);
        assert_eq!(fate(message), *expected, "{shown}");
    }
}

#[test]
fn two_halves_of_a_character_in_neighbours_are_not_text() {
    let found = outcome(&normalizer(FIELDS), &batch(&[&b"\"\xc3"[..], b"\xa9\""]));
    assert_eq!(found.rejects, ["0.0 not_utf8", "1.0 not_utf8"]);
}

#[test]
fn a_tombstone_is_filtered() {
    use aqueduct_engine::testing::RecordsBuilder;
    let batch = RecordsBuilder::new(0, 5).tombstone().value("{\"id\":1}").build();
    let found = outcome(&normalizer(FIELDS), &batch);
    assert_eq!((found.rows, found.rejects, found.filtered), (vec!["6.0: 1 | NULL".to_owned()], vec![], 1));
}

/// What a field of `kind` makes of each JSON value: the cell, or the reason.
#[track_caller]
fn field(kind: &str, values: &[(&str, &str)]) {
    let messages: Vec<String> = values.iter().map(|(value, _)| format!("{{\"v\":{value}}}")).collect();
    let found = outcome(&normalizer(&format!("fields: {{ v: {{ {kind}, path: /v }} }}")), &batch(&messages));
    for (offset, (value, expected)) in values.iter().enumerate() {
        let place = format!("{offset}.0");
        let row = found.rows.iter().find_map(|row| row.strip_prefix(&format!("{place}: ")));
        let reject = found.rejects.iter().find_map(|reject| reject.strip_prefix(&format!("{place} ")));
        assert_eq!(row.or(reject), Some(*expected), "{kind} of {value}: {:#?}", found.details);
    }
}

#[test]
fn text() {
    field(
        "type: text, max_bytes: 30",
        &[
            ("\"a\"", "a"),
            ("\"\"", ""),
            ("\"a\\\"\\u00e9\\ud83d\\ude00\"", "a\"é😀"),
            ("100182534526255757567432481", "100182534526255757567432481"),
            ("1.50", "1.50"),
            ("5.0E-4", "5.0E-4"),
            ("true", "true"),
            ("null", "missing_field"),
            ("\"a\\u0000b\"", "invalid_text"),
            ("\"\\ud800\"", "invalid_text"),
            ("[1]", "wrong_type"),
            ("{}", "wrong_type"),
            ("\"1234567890123456789012345678901\"", "too_large"),
        ],
    );
}

#[test]
fn int64() {
    field(
        "type: int64",
        &[
            ("1", "1"),
            ("-0", "0"),
            ("\"42\"", "42"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "out_of_range"),
            ("\"100182534526255757567432481\"", "out_of_range"),
            ("1.0", "wrong_type"),
            ("1e3", "wrong_type"),
            ("\"+1\"", "wrong_type"),
            ("\"\"", "wrong_type"),
            ("\" 1\"", "wrong_type"),
            ("\"abc\"", "wrong_type"),
            ("true", "wrong_type"),
            ("[1]", "wrong_type"),
        ],
    );
}

#[test]
fn float64() {
    field(
        "type: float64",
        &[
            ("1", "1"),
            ("1.5e-10", "0.00000000015"),
            ("\"61837.63\"", "61837.63"),
            ("1e400", "out_of_range"),
            ("\"1e400\"", "out_of_range"),
            ("\"NaN\"", "out_of_range"),
            ("\"inf\"", "out_of_range"),
            ("\"abc\"", "wrong_type"),
            ("\"\"", "wrong_type"),
            ("false", "wrong_type"),
        ],
    );
}

#[test]
fn decimal() {
    field(
        "type: \"decimal(18,8)\"",
        &[
            ("0.1", "0.10000000"),
            ("\"58942.01000000\"", "58942.01000000"),
            ("5.0E-4", "0.00050000"),
            ("9.2E-7", "0.00000092"),
            ("\"+1\"", "1.00000000"),
            ("1.000000000000", "1.00000000"),
            ("\"1\\u0030\"", "10.00000000"),
            ("9999999999.99999999", "9999999999.99999999"),
            ("10000000000", "out_of_range"),
            ("0.000000001", "out_of_range"),
            ("1e400", "out_of_range"),
            ("\"abc\"", "wrong_type"),
            ("\"\"", "wrong_type"),
            ("true", "wrong_type"),
        ],
    );
    field(
        "type: \"decimal(38,18)\"",
        &[
            ("\"12345678901234567890.123456789012345678\"", "12345678901234567890.123456789012345678"),
            ("\"123456789012345678901.5\"", "out_of_range"),
        ],
    );
    field(
        "type: \"decimal(18,8)\", scale: 4",
        &[("769100000", "76910.00000000"), ("\"-1\"", "-0.00010000"), ("1.5", "out_of_range")],
    );
    field("type: float64, scale: 4", &[("769100000", "76910"), ("1.5", "wrong_type")]);
}

#[test]
fn bool_and_json() {
    field(
        "type: bool",
        &[("true", "true"), ("false", "false"), ("\"true\"", "wrong_type"), ("1", "wrong_type")],
    );
    field(
        "type: json",
        &[
            ("{ \"a\" : 1.50, \"a\":2 }", "{ \"a\" : 1.50, \"a\":2 }"),
            ("\"x\\u0041\"", "\"x\\u0041\""),
            ("1.500", "1.500"),
            ("null", "missing_field"),
            ("[\"\\u0000\"]", "invalid_text"),
            ("{\"\\ud800\":1}", "invalid_text"),
            ("[1e400]", "[1e400]"),
            ("[1e4000000]", "invalid_text"),
        ],
    );
}

#[test]
fn timestamp() {
    field(
        "type: timestamp, unit: s",
        &[
            ("1700000000", "2023-11-14T22:13:20.000000Z"),
            ("\"1700000000.123456789\"", "2023-11-14T22:13:20.123456Z"),
            ("1.7e9", "2023-11-14T22:13:20.000000Z"),
            ("1700000000000", "out_of_range"),
            ("\"2023-11-14T22:13:20Z\"", "wrong_type"),
        ],
    );
    field("type: timestamp, unit: us", &[("\"1700000000123456\"", "2023-11-14T22:13:20.123456Z")]);
    field("type: timestamp, unit: ns", &[("1700000000123456789", "2023-11-14T22:13:20.123456Z")]);
    field(
        "type: timestamp, unit: iso",
        &[
            ("\"2023-11-14T22:13:20.1234567Z\"", "2023-11-14T22:13:20.123456Z"),
            ("\"2023-11-15T07:13:20+09:00\"", "2023-11-14T22:13:20.000000Z"),
            ("\"2023-11-14T22:13:20\"", "wrong_type"),
            ("1700000000", "wrong_type"),
            ("\"12345-01-01T00:00:00Z\"", "wrong_type"),
        ],
    );
    field(
        "type: timestamp, unit: iso, zone: Asia/Seoul",
        &[("\"2023-11-15 07:13:20.5\"", "2023-11-14T22:13:20.500000Z")],
    );
    field(
        "type: timestamp",
        &[
            ("1700000000123", "2023-11-14T22:13:20.123000Z"),
            ("\"1700000000123.9\"", "2023-11-14T22:13:20.123900Z"),
            ("\"2023-11-14T22:13:20Z\"", "2023-11-14T22:13:20.000000Z"),
            ("0", "event_time"),
            ("1700172800000", "event_time"),
            ("1700086400000", "2023-11-15T22:13:20.000000Z"),
            ("-5", "event_time"),
            ("1e30", "out_of_range"),
            ("true", "wrong_type"),
        ],
    );
}

#[test]
fn a_detail_names_the_field_and_what_was_found() {
    let found = outcome(&normalizer(FIELDS), &batch(&["{\"id\":\"abc\"}"]));
    assert_eq!(found.details, ["field `id`: expected a whole number written as one, found \"abc\""]);
    let long = format!("{{\"id\":\"{}\"}}", "é".repeat(5000));
    let found = outcome(&normalizer(FIELDS), &batch(&[long]));
    assert!(
        found.details[0].ends_with(".. (10002 bytes)") && found.details[0].len() < 400,
        "{:?}",
        found.details
    );
}

#[test]
fn a_poisoned_array_gives_few_letters() {
    let elements = vec!["{\"id\":\"x\"}"; 1000].join(",");
    let good = "{\"id\":5}";
    let options = "explode: \"\"\nfields: { id: { type: int64, path: /id } }";
    let found = outcome(&normalizer(options), &batch(&[format!("[{good},{elements},{good}]")]));
    assert_eq!(found.rows, ["0.0: 5", "0.1001: 5"]);
    assert_eq!(found.rejects.len(), 65);
    assert_eq!(found.rejects[64], "0.1002 more_rows");
    assert_eq!(found.details[64], "936 more rows of this record are rejected");
    let heavy = format!("[{{\"id\":\"x\",\"pad\":\"{}\"}},{elements}]", "x".repeat(6 << 20));
    let found = outcome(&normalizer(options), &batch(&[heavy]));
    assert_eq!(found.rejects.len(), 3, "letters hold the message's bytes, so a large one has few");
}

#[test]
fn more_rows_than_a_message_may_give_reject_it_whole() {
    let options = "explode: /a\nfields: { v: { type: int64, path: \"\" } }";
    let elements = vec!["1"; super::super::ROWS_MAX + 1].join(",");
    check(options, &["{\"a\":[7]}", &format!("{{\"a\":[{elements}]}}")], &["0.0: 7"], &["1.0 too_large"]);
}

#[test]
fn a_reject_says_how_much_of_its_record_it_speaks_of() {
    let rows = "explode: /l\nrequire: { even: x % 2 == 0, of_all: msg.ok == true }\nfields: { x: { type: int64, path: /x } }";
    let extents = |options: &str, message: &str| -> Vec<(i32, Extent)> {
        let decoded = Decoder::new(&normalizer(options)).expect("a decoder").decode(&batch(&[message]));
        decoded.rejects.iter().map(|reject| (reject.row, reject.extent)).collect()
    };
    assert_eq!(extents(rows, r#"{"ok":true,"l":[{"x":2},{"x":3}]}"#), [(1, Extent::Row)]);
    assert_eq!(extents(rows, r#"{"ok":true,"l":7}"#), [(0, Extent::Record)], "nothing to explode");
    assert_eq!(extents(rows, "no json"), [(0, Extent::Record)]);
    assert_eq!(
        extents(rows, r#"{"ok":false,"l":[{"x":2},{"x":4}]}"#),
        [(0, Extent::Record)],
        "before its rows"
    );
    let many = format!(r#"{{"ok":true,"l":[{}]}}"#, vec![r#"{"x":1}"#; 70].join(","));
    assert_eq!(extents(rows, &many).last(), Some(&(70, Extent::Several)), "those beyond the bound");
}
