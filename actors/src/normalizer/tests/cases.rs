//! Cases, conditions, explosion, computed fields, metadata.

use super::{RECORD_MS, check, normalizer, outcome};
use crate::normalizer::Decoder;
use aqueduct_engine::Class;
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_topology::model::FieldSource;

#[test]
fn the_first_case_that_matches_gives_the_row() {
    let options = r#"fields: { venue: { type: text, expr: case }, p: { type: int64, path: /p } }
cases:
  - { name: a, when: 'msg.v == "a" || msg.v == "both"' }
  - { name: b, when: 'msg.v == "b" || msg.v == "both"', fields: { p: /q } }
  - { name: rest, when: msg.rest == true, fields: { p: { expr: "1 + 1" } } }"#;
    let messages = [
        r#"{"v":"a","p":1}"#,
        r#"{"v":"b","q":2}"#,
        r#"{"v":"both","p":3,"q":4}"#,
        r#"{"v":"c","p":5}"#,
        r#"{"rest":true}"#,
        r#"{"v":"b","p":6}"#,
    ];
    let rows = ["0.0: a | 1", "1.0: b | 2", "2.0: a | 3", "4.0: rest | 2"];
    check(options, &messages, &rows, &["5.0 missing_field"]);
}

#[test]
fn match_all_lets_every_case_give_rows_in_one_numbering() {
    let options = r#"match: all
fields: { side: { type: text, expr: case }, p: { type: int64, path: /0 } }
cases:
  - { name: bid, when: 'msg.e == "depth"', explode: /b }
  - { name: ask, when: 'msg.e == "depth"', explode: /a }"#;
    let messages = [r#"{"e":"depth","b":[[1],[2]],"a":[[3],["x"],[4]]}"#, r#"{"e":"depth","b":[],"a":null}"#];
    check(
        options,
        &messages,
        &["0.0: bid | 1", "0.1: bid | 2", "0.2: ask | 3", "0.4: ask | 4"],
        &["0.3 wrong_type"],
    );
}

#[test]
fn explode_takes_arrays_and_objects_and_rejects_scalars() {
    let options = "explode: /m\nfields: { k: { type: text, expr: item_key, optional: true }, v: { type: int64, path: \"\" } }";
    let messages = [
        r#"{"m":{"temp":21,"hum":40}}"#,
        r#"{"m":[7,8]}"#,
        r#"{"m":[]}"#,
        r#"{"m":{}}"#,
        r#"{"m":null}"#,
        r#"{}"#,
        r#"{"m":5}"#,
        r#"{"m":"text"}"#,
    ];
    let rows = ["0.0: temp | 21", "0.1: hum | 40", "1.0: 0 | 7", "1.1: 1 | 8"];
    check(options, &messages, &rows, &["6.0 wrong_type", "7.0 wrong_type"]);
}

#[test]
fn the_message_itself_explodes_and_its_own_members_stay_in_reach() {
    let options = r#"explode: /trades
select: msg.kind == "t" && item.keep == true && id != "skip"
fields:
  id: { type: text, path: /id }
  sym: { type: text, expr: msg.sym }
  first: { type: text, expr: "msg.trades[0].id" }"#;
    let messages = [
        r#"{"kind":"t","sym":"A","trades":[{"id":"x","keep":true},{"id":"y"},{"id":"skip","keep":true},{"id":"z","keep":true},{"keep":true}]}"#,
        r#"{"kind":"u","trades":"would be rejected"}"#,
    ];
    check(options, &messages, &["0.0: x | A | x", "0.3: z | A | x"], &["0.4 missing_field"]);
    check(
        "explode: \"\"\nfields: { a: /0 }".replace("a: /0", "a: { type: int64, path: /0 }").as_str(),
        &["[[1],[2]]"],
        &["0.0: 1", "0.1: 2"],
        &[],
    );
}

#[test]
fn select_filters_and_require_rejects_by_its_name() {
    let options = r#"select: msg.e == "trade"
fields: { p: { type: "decimal(10,2)", path: /p }, q: { type: int64, path: /q, optional: true } }
require: { price_positive: p > 0, message_whole: msg.whole != false }"#;
    let messages = [
        r#"{"e":"trade","p":"1.5"}"#,
        r#"{"e":"quote","p":"bad"}"#,
        r#"{"e":"trade","p":"-1"}"#,
        r#"{"e":"trade","p":"bad"}"#,
        r#"{"e":"trade","p":"2","whole":true}"#,
        r#"{"e":"trade","p":"bad","whole":false}"#,
    ];
    // A comparison with what is absent is false: a message that says nothing of `whole` is not whole.
    let rejects = ["0.0 message_whole", "2.0 message_whole", "3.0 message_whole", "5.0 message_whole"];
    check(options, &messages, &["4.0: 2.00 | NULL"], &rejects);
    let options = options.replace(", message_whole: msg.whole != false", "");
    check(&options, &messages[..4], &["0.0: 1.50 | NULL"], &["2.0 price_positive", "3.0 wrong_type"]);
}

#[test]
fn optional_default_and_map() {
    let options = r#"fields:
  a: { type: int64, path: /a, optional: true }
  b: { type: int64, path: /b, default: 7 }
  c: { type: text, path: /c, map: { "1": one, "true": yes, x: ex } }
  d: { type: int64, path: /c, map: { "1": 10, "true": 20, x: 30 } }"#;
    let messages = [
        r#"{"a":1,"b":2,"c":"x"}"#,
        r#"{"a":null,"b":null,"c":1}"#,
        r#"{"c":true}"#,
        r#"{"c":"1"}"#,
        r#"{"c":1.0}"#,
        r#"{"c":{}}"#,
        r#"{}"#,
        r#"{"a":"x","c":1}"#,
    ];
    let rows = [
        "0.0: 1 | 2 | ex | 30",
        "1.0: NULL | 7 | one | 10",
        "2.0: NULL | 7 | yes | 20",
        "3.0: NULL | 7 | one | 10",
    ];
    let rejects = ["4.0 unmapped_value", "5.0 unmapped_value", "6.0 missing_field", "7.0 wrong_type"];
    check(options, &messages, &rows, &rejects);
}

#[test]
fn fields_may_be_computed_from_the_fields_above() {
    let options = r#"fields:
  sym: { type: text, path: /s }
  price: { type: "decimal(18,8)", path: /p }
  qty: { type: "decimal(18,8)", expr: "abs(decimal(msg.q))" }
  notional: { type: float64, expr: double(price) * double(qty) }
  label: { type: text, expr: 'sym + "/" + string(price)' }"#;
    let messages = [r#"{"p":"2.5","q":-4,"s":"A"}"#, r#"{"p":"2.5","q":"x","s":"A"}"#];
    check(options, &messages, &["0.0: A | 2.50000000 | 4.00000000 | 10 | A/2.50000000"], &["1.0 expression"]);
}

#[test]
fn what_is_wrong_with_an_expression_is_said_before_anything_runs() {
    for (text, reason) in [
        ("b + 1", "field `b`: it may be computed from the fields above it only"),
        ("frob(a)", "field `b`: in `frob(a)`: unknown function `frob`"),
        ("nowhere", "there is no `nowhere` here"),
    ] {
        let mut normalizer =
            normalizer("fields: { a: { type: int64, path: /a }, b: { type: int64, expr: msg.b } }");
        let FieldSource::Expr(expr) = &mut normalizer.cases[0].fields[1].source else {
            panic!("an expression")
        };
        text.clone_into(&mut expr.text);
        let error = Decoder::new(&normalizer).unwrap_err();
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains(reason), "{text}: {error}");
    }
}

#[test]
fn a_rejected_row_leaves_nothing_in_any_column() {
    let options = r#"explode: ""
fields:
  t: { type: text, path: /t, optional: true }
  b: { type: bool, path: /b, optional: true }
  j: { type: json, path: /j, optional: true }
  n: { type: int64, path: /n }"#;
    let messages =
        [r#"[{"t":"one","b":true,"j":[1],"n":1},{"t":"lost","b":true,"j":"lost","n":"x"},{"n":2}]"#];
    check(
        options,
        &messages,
        &["0.0: one | true | [1] | 1", "0.2: NULL | NULL | NULL | 2"],
        &["0.1 wrong_type"],
    );
}

#[test]
fn metadata_of_the_record_has_names() {
    let options = r#"select: headers["kind"] == "t"
fields:
  device: { type: text, expr: key, optional: true }
  source: { type: text, expr: 'topic + "/" + string(partition)' }
  at: { type: timestamp, expr: "msg.ts != null ? timestamp(msg.ts) : record_time" }
  trace: { type: text, expr: headers.trace, optional: true }"#;
    let batch = RecordsBuilder::new(3, 10)
        .value("{}")
        .key("K")
        .header("kind", "t")
        .header("trace", "1")
        .header("trace", "2")
        .time_ms(RECORD_MS)
        .value(r#"{"ts":"2023-11-14T00:00:00Z"}"#)
        .key(b"\xff")
        .header("kind", "t")
        .time_ms(RECORD_MS)
        .value("{}")
        .header("kind", "t")
        .time_ms(None)
        .value("{}")
        .build();
    let found = outcome(&normalizer(options), &batch);
    assert_eq!(
        found.rows,
        [
            "10.0: K | topic/3 | 2023-11-14T22:13:20.000000Z | 2",
            "11.0: NULL | topic/3 | 2023-11-14T00:00:00.000000Z | NULL"
        ]
    );
    assert_eq!(found.rejects, ["12.0 missing_field"]);
    assert_eq!(found.filtered, 1);
}

#[test]
fn an_expression_that_is_a_subtree_keeps_its_bytes() {
    let options = "explode: /m\nfields: { tags: { type: json, expr: msg.tags, optional: true }, v: { type: float64, expr: item } }";
    let messages = [r#"{"tags":{ "a" : 1.0 },"m":{"x":1.5}}"#, r#"{"m":{"x":"2"}}"#];
    check(options, &messages, &[r#"0.0: { "a" : 1.0 } | 1.5"#, "1.0: NULL | 2"], &[]);
}
