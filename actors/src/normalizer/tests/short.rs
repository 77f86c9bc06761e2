//! The short way of values and of messages of a known shape: the same rows, rejects and words as without them.

use super::{RECORD_MS, batch, normalizer, outcome};
use crate::json::{Document, NONE, Paths, Step, Tape};
use crate::normalizer::column::Column;
use crate::normalizer::field::{Field, Source};
use crate::normalizer::short::Short;
use aqueduct_topology::model::Normalizer;

const FIELDS: &str = r#"
fields:
  text:    { type: text, path: /v }
  brief:   { type: text, path: /v, max_bytes: 5 }
  mapped:  { type: text, path: /v, map: { "true": sell, "12": dozen, buy: BUY } }
  int:     { type: int64, path: /v }
  float:   { type: float64, path: /v }
  scaled:  { type: float64, path: /v, scale: 3 }
  exact:   { type: "decimal(38,18)", path: /v }
  narrow:  { type: "decimal(6,2)", path: /v }
  wide:    { type: "decimal(38,38)", path: /v }
  divided: { type: "decimal(20,8)", path: /v, scale: 2 }
  bool:    { type: bool, path: /v, optional: true }
  time:    { type: timestamp, path: /v }
  iso:     { type: timestamp, path: /v, unit: iso }
  seconds: { type: timestamp, path: /v, unit: s }
  millis:  { type: timestamp, path: /v, unit: ms }
  micros:  { type: timestamp, path: /v, unit: us }
  nanos:   { type: timestamp, path: /v, unit: ns }
  json:    { type: json, path: /v, optional: true }
"#;

/// Each field, and how it is read the short way.
fn fields(normalizer: &Normalizer) -> Vec<(Field, Column)> {
    let fields = normalizer.cases[0].fields.iter().zip(&normalizer.columns).enumerate();
    let fields = fields.map(|(column, (field, model))| {
        let field = Field::new(field, column, Source::Element(1)).expect("a field");
        (field, Column::new(model, 0))
    });
    fields.collect()
}

/// A value as JSON, of one kind or another.
fn value(random: &mut fastrand::Rng) -> String {
    let digits = |random: &mut fastrand::Rng, most: usize| -> String {
        (0..random.usize(0..=most)).map(|_| random.digit(10)).collect()
    };
    let mut text = match random.u8(..8) {
        0 | 1 => format!("{}.{}", digits(random, 19), digits(random, 19)),
        2 | 3 => digits(random, 20),
        4 => format!("{}e{}", digits(random, 3), digits(random, 2)),
        5 => {
            let time = crate::expr::time::format_iso(random.i64(-1 << 56..1 << 56));
            time.replacen("000Z", "Z", random.usize(..2))
        }
        6 => {
            ["true", "false", "null", "buy", "12", "", "{}", "[1]", "NaN", "a longer text than sixteen bytes"]
                [random.usize(..10)]
            .to_owned()
        }
        _ => ["é", "\\n", "\\u0000", "\\ud800", "12345", "123456", "0.0", "2023-11-14T22:13:20+01:00"]
            [random.usize(..8)]
        .to_owned(),
    };
    if random.u8(..4) == 0 {
        text.insert(0, '-');
    }
    if random.bool() { format!("\"{text}\"") } else { text }
}

#[test]
fn a_value_that_goes_the_short_way_ends_as_on_the_long_one() {
    let normalizer = normalizer(FIELDS.trim());
    let (mut fields, mut random) = (fields(&normalizer), fastrand::Rng::with_seed(17));
    let mut paths = Paths::default();
    let slot = paths.slot(&[Step::from_token("v")]) as usize;
    let (mut tape, mut found, mut taken) = (Tape::default(), Vec::new(), vec![0; fields.len()]);
    for _ in 0..20_000 {
        let after = ["}", ",\"w\":1}", ",\"a longer name\":\"with a text behind it\"}"][random.usize(..3)];
        let text = format!("{{\"v\":{}{after}", value(&mut random));
        if tape.scan(&text).is_err() {
            continue;
        }
        let document = Document::new(&text, &tape);
        paths.resolve(document.node(0), &document, &mut found);
        assert_ne!(found[slot], NONE);
        for ((field, column), taken) in fields.iter_mut().zip(&mut taken) {
            let mut read = |field: &Field| {
                let done = field.read_at(&document, found[slot], column);
                let value = done.as_ref().ok().map(|()| (column.len(), format!("{:?}", column.value(0))));
                column.truncate(0);
                (done, value)
            };
            let mut long = field.clone();
            long.short = Short::None;
            let (ours, expected) = (read(field), read(&long));
            assert_eq!(ours, expected, "{} of {text}", field.name);
            *taken += usize::from(ours.0.is_ok());
        }
    }
    assert!(taken.iter().all(|&taken| taken > 100), "{taken:?}");
}

const CASES: &str = r#"
fields:
  ts:    { type: timestamp, unit: ms }
  name:  { type: text, expr: case }
  which: { type: text, optional: true }
  price: { type: "decimal(38,18)" }
  side:  { type: text, map: { b: buy, s: sell } }
event_time: ts
cases:
  - name: list
    when: msg.kind == "list"
    explode: /data
    select: item.side != "x"
    fields: { ts: /ts, which: { expr: string(item_key) }, price: /p, side: /side }
  - name: one
    when: msg.kind == "one" || msg.other.kind == "one"
    require: { has_price: msg.p != null }
    fields: { ts: /ts, which: { expr: msg.kind }, price: /p, side: /side }
"#;

#[test]
fn messages_of_known_shapes_become_what_each_becomes_alone() {
    let normalizer = normalizer(CASES.trim());
    let mut random = fastrand::Rng::with_seed(29);
    let mut messages = Vec::new();
    for _ in 0..3_000 {
        let mut element = || {
            let side = ["b", "s", "x", "?"][random.usize(..4)];
            let price = ["1.5", "\"2.25\"", "\"no\"", "null"][random.usize(..4)];
            format!(r#"{{"ts":{RECORD_MS},"p":{price},"side":"{side}"}}"#)
        };
        let (one, two) = (element(), element());
        let message = match random.u8(..9) {
            0 => format!(r#"{{"kind":"list","data":[{one},{two}]}}"#),
            1 => format!(r#"{{"kind":"list","data":[{one}]}}"#),
            2 => format!(r#"{{"data":{{"a":{one},"é\n":{two}}},"kind":"list"}}"#),
            3 => format!(r#"{{"data":{two},"kind":"list"}}"#),
            4 => format!(r#"{{"kind":"one",{}"#, &one[1..]),
            5 => format!(r#"{{"other":{{"kind":"one"}},{}"#, &one[1..]),
            6 => format!(r#"{{"kind":"one","p":7,{}"#, &one[1..]),
            7 => format!(r#"{{"kind":"list","data":[{one},{two}]"#),
            _ => format!(r#"{{"kind":"none",{}"#, &one[1..]),
        };
        messages.push(message);
    }
    let together = outcome(&normalizer, &batch(&messages));
    let (mut rows, mut rejects, mut filtered) = (Vec::new(), Vec::new(), 0);
    for (offset, message) in messages.iter().enumerate() {
        let alone = outcome(&normalizer, &batch(&[message]));
        let moved = |line: &String| format!("{offset}{}", line.trim_start_matches('0'));
        rows.extend(alone.rows.iter().map(moved));
        rejects.extend(alone.rejects.iter().map(moved));
        filtered += alone.filtered;
    }
    assert_eq!((together.rows, together.rejects, together.filtered), (rows, rejects, filtered));
    assert!(filtered > 100);
}
