//! Rows that are computed and asked together become what they become one by one.

use super::{Outcome, RECORD_MS, batch, normalizer, outcome, outcome_of};
use crate::normalizer::Decoder;
use aqueduct_topology::model::{MatchMode, Normalizer};

/// Two cases that exclude each other, with rules of the row's own, of one case, and with the case's name in them.
const OPTIONS: &str = r#"
select: volume < 90
require: { price_positive: price > 0 && note != "bad", not_too_large: "price * 1 < 60 || case == \"b\"" }
fields:
  ts: { type: timestamp, path: /T, unit: ms }
  price: { type: int64, path: /p }
  volume: { type: float64, path: /v }
  note: { type: text, path: /n, optional: true }
cases:
  - { name: a, when: msg.k == "a" }
  - name: b
    when: msg.k == "b"
    select: note != "left out"
    require: { even: price % 2 == 0 }
"#;

/// Fields computed from fields, of every type and with every fault, which the cases have in common or for themselves; rules
/// that read them, and some that read the element as well.
const COMPUTED: &str = r#"
select: volume < 90
require: { price_positive: price > 0, notional_sane: notional < 5000, not_large: "!large || price != 4" }
fields:
  ts: { type: timestamp, path: /T, unit: ms }
  price: { type: int64, path: /p }
  volume: { type: float64, path: /v, optional: true }
  amount: { type: "decimal(12,2)", path: /a, optional: true }
  note: { type: text, path: /n, optional: true }
  notional: { type: float64, expr: price * volume }
  share: { type: int64, expr: 1000 / (price - 3) }
  sum: { type: "decimal(10,1)", expr: amount + 0.25, default: 7 }
  known: { type: "decimal(12,2)", expr: amount - 1, optional: true }
  large: { type: bool, expr: notional > 100 && sum > 1 }
  late: { type: timestamp, expr: "ts + duration(\"1h\")" }
  half: { type: float64, expr: price / 2 }
  wide: { type: "decimal(20,4)", expr: price }
  size: { type: int64, expr: size(note), optional: true }
  word: { type: text, expr: "price > 3 ? \"high\" : note", default: none }
  last: { type: int64, path: /l, default: 0 }
cases:
  - { name: a, when: msg.k == "a" }
  - { name: list, when: msg.k == "list", explode: /rows, require: { not_of_list: share != 1000 } }
  - name: keyed
    when: msg.k == "keyed"
    explode: /rows
    require: { of_element: "note != item.other", of_both: "wide + item.x > 0 || price > 0" }
    fields: { notional: { expr: volume * 3 } }
  - name: plain
    when: msg.k == "plain"
    select: price % 2 == 0
    fields: { notional: /v, share: { expr: "int(note.replace(\"good\", \"1\"))" } }
"#;

fn messages(random: &mut fastrand::Rng, count: usize) -> Vec<String> {
    let mut messages = Vec::new();
    for number in 0..count {
        let mut pick = |words: &[&'static str]| words[random.usize(0..words.len())];
        let kind = pick(&["a", "b", "c", "list", "list", "keyed", "plain"]);
        let rows = if number % 50 == 7 { 150 } else { pick(&["", "1", "12", "12345678"]).len() };
        // Some messages are wrong throughout.
        let prices: &[&str] =
            if number % 7 == 0 { &["-1", "3"] } else { &["-1", "2", "3", "4", "5", "70", "\"x\"", "null"] };
        let mut row = || {
            let time = if pick(&["early", "", "", "", "", "", "", ""]) == "early" { 5 } else { RECORD_MS };
            let volume = pick(&["1", "89.5", "95", "null", "1e200"]);
            let amount = pick(&["1.5", "1.25", "null", "-3", "9999999999.75"]);
            let note = pick(&["\"good\"", "\"grün\"", "\"bad\"", "\"left out\"", "null"]);
            let other = pick(&["\"good\"", "\"x\""]);
            let last = pick(&["1", "2", "3", "null", "\"no number\""]);
            let price = pick(prices);
            format!(
                r#""T":{time},"p":{price},"v":{volume},"a":{amount},"n":{note},"other":{other},"x":1,"l":{last}"#
            )
        };
        let elements: Vec<String> = (0..rows).map(|_| format!("{{{}}}", row())).collect();
        let elements = elements.join(",");
        messages.push(format!(r#"{{"k":"{kind}",{},"rows":[{elements}]}}"#, row()));
    }
    messages
}

/// Of both ways, which must not differ.
fn both(normalizer: &Normalizer, messages: &[String]) -> (Outcome, Vec<String>) {
    let found = outcome(normalizer, &batch(messages));
    let (alone, left) = Decoder::one_by_one(normalizer).unwrap();
    let expected = outcome_of(alone, &batch(messages));
    // Of two long lists, where they begin to differ.
    for (found, expected) in [
        (&found.rows, &expected.rows),
        (&found.rejects, &expected.rejects),
        (&found.details, &expected.details),
    ] {
        let differ = found.iter().zip(expected).position(|(found, expected)| found != expected);
        if let Some(at) = differ {
            panic!("line {at}:\n{}\nis, one by one,\n{}", found[at], expected[at]);
        }
        assert_eq!(found.len(), expected.len());
    }
    assert_eq!(found.filtered, expected.filtered);
    (found, left)
}

#[test]
fn a_batch_is_judged_as_its_rows_are() {
    let mut random = fastrand::Rng::with_seed(9);
    let messages = messages(&mut random, 2000);
    for mode in [MatchMode::First, MatchMode::All] {
        let mut normalizer = normalizer(OPTIONS.trim());
        normalizer.match_mode = mode;
        let (found, _) = both(&normalizer, &messages);
        let reasons =
            ["price_positive", "not_too_large", "even", "event_time", "missing_field", "wrong_type"];
        for reason in reasons {
            assert!(found.rejects.iter().any(|reject| reject.ends_with(reason)), "nothing for {reason}");
        }
        assert!(found.filtered > 700 && found.rows.len() > 20, "{} rows", found.rows.len());
    }
}

#[test]
fn a_batch_is_computed_as_its_rows_are() {
    for (seed, mode) in [(1, MatchMode::First), (2, MatchMode::First), (3, MatchMode::All)] {
        let messages = messages(&mut fastrand::Rng::with_seed(seed), 1500);
        let mut normalizer = normalizer(COMPUTED.trim());
        normalizer.match_mode = mode;
        let (found, left) = both(&normalizer, &messages);
        let reasons = [
            "price_positive",
            "notional_sane",
            "not_large",
            "not_of_list",
            "of_element",
            "event_time",
            "missing_field",
            "wrong_type",
            "expression",
            "out_of_range",
            "more_rows",
        ];
        for reason in reasons {
            assert!(found.rejects.iter().any(|reject| reject.ends_with(reason)), "nothing for {reason}");
        }
        assert!(found.filtered > 100 && found.rows.len() > 50, "{} rows", found.rows.len());
        // A text is computed at once, and so is what has no kernel and what the element's rules need.
        let of_case =
            |case: &str| -> Vec<&str> { left.iter().filter_map(|name| name.strip_prefix(case)).collect() };
        let all = ["notional", "share", "sum", "known", "large", "late", "half", "wide", "size"];
        assert_eq!((of_case("0."), of_case("1.")), (all.to_vec(), all.to_vec()));
        let without = |name: &str| all.into_iter().filter(|known| *known != name).collect::<Vec<_>>();
        assert_eq!(of_case("2."), without("wide"));
        assert_eq!(of_case("3."), without("share").split_off(1));
    }
}

#[test]
fn what_a_message_may_hold_is_counted_without_rows_that_are_rejected_in_the_end() {
    let options = r#"explode: /rows
fields:
  ok: { type: int64, path: "" }
  text: { type: text, expr: msg.text }
require: { is_ok: ok == 1 }"#;
    let normalizer = normalizer(options);
    let text = "x".repeat(1 << 20);
    let message = |rows: &str| format!(r#"{{"text":"{text}","rows":[{rows}]}}"#);
    // 66 MiB if every row stayed.
    let half = message(&["0,1"; 33].join(","));
    let found = outcome(&normalizer, &batch(&[half]));
    assert_eq!((found.rows.len(), found.rejects.len()), (33, 16), "{:?}", found.rejects);
    assert_eq!(found.rejects.last().map(String::as_str), Some("0.66 more_rows"));
    let all = message(&["1"; 66].join(","));
    let found = outcome(&normalizer, &batch(&[all]));
    assert_eq!((found.rows.len(), found.rejects.as_slice()), (0, &["0.0 too_large".to_owned()][..]));
}

#[test]
fn a_batch_without_rows_is_judged_too() {
    for options in [OPTIONS, COMPUTED] {
        let found = outcome(&normalizer(options.trim()), &batch(&["{}", "[]", "no json"]));
        assert_eq!((found.rows.len(), found.rejects.len(), found.filtered), (0, 1, 2));
    }
}
