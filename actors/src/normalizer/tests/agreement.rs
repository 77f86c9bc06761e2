//! The check of expressions and their evaluation agree, expression by expression.
//!
//! What `check` refuses never works on any of the messages, and what it lets pass is built, and works on some. The
//! expressions are all pairs of values under all operators and functions, so that no kind of value is left out.

use super::{RECORD_MS, environment, normalizer_of, outcome};
use crate::normalizer::Decoder;
use aqueduct_engine::{Batch, testing::RecordsBuilder};
use aqueduct_topology::model::{FieldSource, Normalizer};
use aqueduct_topology::{Source, has_errors, load};

/// The file with a condition and a last field.
fn file(select: &str, kind: &str, own: &str) -> String {
    format!(
        "topology: t
actors:
  ticks: {{ kind: replay_source, file: x.jsonl }}
  rows:
    kind: normalizer
    from: ticks
    select: |
      {select}
    fields:
      ts: {{ type: timestamp, path: /T }}
      symbol: {{ type: text, path: /s }}
      note: {{ type: text, path: /o, optional: true }}
      count: {{ type: int64, path: /c }}
      ratio: {{ type: float64, path: /r }}
      price: {{ type: \"decimal(18,8)\", path: /p }}
      live: {{ type: bool, path: /l }}
      rest: {{ type: json, path: /x }}
      own: {{ type: {kind}, expr: '{own}' }}
  out: {{ kind: kafka_sink, from: rows, topic: t }}
"
    )
}

/// Whether `check` refuses it for a reason that begins so.
fn refused(text: &str, code: &str) -> bool {
    let (_, diagnostics) = load(&Source::new("t.yaml", text), &environment);
    assert!(has_errors(&diagnostics) || diagnostics.iter().all(|finding| finding.code.id() == "T077"));
    has_errors(&diagnostics) && diagnostics.iter().any(|finding| finding.code.id().starts_with(code))
}

fn messages() -> Vec<String> {
    let rest = [
        "5",
        "-1.5",
        "\"2\"",
        "\"2023-11-14T22:13:20Z\"",
        "true",
        "null",
        "[1, 2]",
        "{\"a\": \"a\", \"b\": 5}",
        "\"a\"",
        "0",
    ];
    let row = |n: &str, (symbol, note, number, live): (&str, &str, &str, &str)| {
        format!(
            "{{\"T\": {RECORD_MS}, \"s\": {symbol}, \"o\": {note}, \"c\": {number}, \"r\": {number}.5, \"p\": {number}.25, \"l\": {live}, \"x\": 5, \"n\": {n}}}"
        )
    };
    let rows = [
        ("\"a\"", "null", "1", "true"),
        ("\"5\"", "\"7\"", "2", "false"),
        ("\"2023-11-14T22:13:20Z\"", "\"a\"", "3", "true"),
        ("\"true\"", "\"1s\"", "4", "false"),
    ];
    rest.iter().flat_map(|n| rows.map(|fields| row(n, fields))).collect()
}

const LEAVES: &[&str] = &[
    "symbol",
    "note",
    "count",
    "ratio",
    "price",
    "live",
    "ts",
    "rest",
    "msg.n",
    "topic",
    "partition",
    "record_time",
    "1",
    "1.5",
    "2.0",
    "\"a\"",
    "true",
    "null",
    "duration(\"1s\")",
    "[1, \"a\"]",
    "symbol.split(\"5\")",
];

const CALLS: &[&str] = &[
    "size(X)",
    "abs(X)",
    "decimal(X)",
    "double(X)",
    "int(X)",
    "uint(X)",
    "string(X)",
    "bool(X)",
    "timestamp(X)",
    "duration(X)",
    "-X",
    "X.trim()",
    "X.upperAscii()",
    "X.split(\"a\")",
    "X.indexOf(\"a\")",
    "X.replace(\"a\", \"b\")",
    "X.substring(0)",
    "X.getHours()",
    "X.getFullYear()",
    "X.map(x, 1)",
    "\"abc\".substring(X)",
    "\"abc\".replace(X, \"\")",
];

/// Whether the messages hold values of every sort for what it names.
fn is_sampled(expression: &str) -> bool {
    let names = ["symbol", "note", "count", "ratio", "price", "live", "ts", "msg"];
    let fixed = ["topic", "rest", "record_time", "substring", "(note)"];
    let duration = expression.starts_with("duration(");
    !duration
        && names.iter().any(|name| expression.contains(name))
        && !fixed.iter().any(|name| expression.contains(name))
}

/// The normalizer with another condition and another last field.
fn with(base: &Normalizer, select: &str, own: &str) -> Normalizer {
    let mut normalizer = base.clone();
    let case = &mut normalizer.cases[0];
    select.clone_into(&mut case.select[0].text);
    let field = case.fields.last_mut().expect("a last field");
    if let FieldSource::Expr(expr) = &mut field.source {
        own.clone_into(&mut expr.text);
    }
    normalizer
}

/// The messages, of a partition by which one may divide.
fn batch(messages: &[String]) -> Batch {
    let records = RecordsBuilder::new(3, 0);
    messages.iter().fold(records, |records, message| records.value(message).time_ms(RECORD_MS)).build()
}

/// The last cells of the rows made; none where the engine refuses to build it.
fn values(normalizer: &Normalizer, messages: &[String]) -> Option<Vec<String>> {
    Decoder::new(normalizer).ok()?;
    let rows = outcome(normalizer, &batch(messages)).rows;
    Some(rows.iter().map(|row| row.rsplit(" | ").next().unwrap_or_default().to_owned()).collect())
}

#[test]
fn arithmetic_and_functions_have_a_result_exactly_where_check_says_so() {
    let messages = messages();
    let base = normalizer_of(&file("true", "text, optional: true", "msg.n"));
    assert_eq!(
        values(&with(&base, "true", "symbol"), &messages).map(|rows| rows.len()),
        Some(messages.len())
    );
    let pairs = LEAVES.iter().flat_map(|left| LEAVES.iter().map(move |right| (left, right)));
    let arithmetic = pairs
        .flat_map(|(left, right)| ["+", "-", "*", "/", "%"].map(|sign| format!("{left} {sign} {right}")));
    let calls = CALLS.iter().flat_map(|call| LEAVES.iter().map(move |leaf| call.replace('X', leaf)));
    for expression in arithmetic.chain(calls) {
        // Text of it: every value but a duration and a list has one.
        for own in [format!("({expression}) == null ? null : \"it\""), expression.clone()] {
            let refused = refused(&file("true", "text, optional: true", &own), "T067");
            let found = values(&with(&base, "true", &own), &messages);
            let works = found.as_ref().is_some_and(|rows| rows.iter().any(|cell| cell != "NULL"));
            assert!(!(refused && works), "`{own}` is refused, and gives {found:?}");
            if own != expression {
                assert!(
                    refused || works || !is_sampled(&expression),
                    "`{own}` is let pass, and gives {found:?}"
                );
            }
        }
    }
}

#[test]
fn a_comparison_can_be_true_exactly_where_check_says_so() {
    let messages = messages();
    let base = normalizer_of(&file("true", "text, optional: true", "msg.n"));
    for (left, right) in LEAVES.iter().flat_map(|left| LEAVES.iter().map(move |right| (left, right))) {
        for sign in ["==", "!=", "<", ">=", "in", "||"] {
            let select = format!("{left} {sign} {right}");
            let refused = refused(&file(&select, "text, optional: true", "msg.n"), "T0");
            let found = values(&with(&base, &select, "msg.n"), &messages);
            let works = found.as_ref().is_some_and(|rows| !rows.is_empty());
            // Of `||` one side may work where the other one never does.
            assert!(!(refused && works && sign != "||"), "`{select}` is refused, and is true");
            assert!(refused || found.is_some(), "`{select}` is let pass, and cannot be built");
        }
    }
}

#[test]
fn a_field_can_be_filled_exactly_where_check_says_so() {
    let messages = messages();
    for kind in [
        "text",
        "int64",
        "float64",
        "\"decimal(38,8)\"",
        "bool",
        "timestamp",
        "json",
        "text, map: { \"5\": a, \"1\": b, \"true\": c, \"2\": d, \"a\": e, \"4.25\": f, \"4.5\": g, \"md.raw\": h }",
    ] {
        let base = normalizer_of(&file("true", kind, "msg.n"));
        let calls = CALLS.iter().flat_map(|call| LEAVES.iter().map(move |leaf| call.replace('X', leaf)));
        for own in LEAVES.iter().map(|leaf| (*leaf).to_owned()).chain(calls) {
            let refused = refused(&file("true", kind, &own), "T0");
            let found = values(&with(&base, "true", &own), &messages);
            let works = found.as_ref().is_some_and(|rows| !rows.is_empty());
            // A duration that is written out is read by way of its text, which a computed one is not.
            let odd = own == "duration(\"1s\")";
            assert!(!(refused && works) || odd, "`{own}` is refused for {kind}, and gives {found:?}");
            assert!(refused || found.is_some(), "`{own}` is let pass for {kind}, and cannot be built");
        }
    }
}
