//! Rows that are asked together become what they become one by one.

use super::{RECORD_MS, batch, normalizer, outcome};
use aqueduct_topology::model::MatchMode;

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

#[test]
fn a_batch_is_judged_as_its_rows_are() {
    let together = normalizer(OPTIONS.trim());
    let mut one_by_one = together.clone();
    // With it a message may give several rows, and is judged as it comes.
    one_by_one.match_mode = MatchMode::All;
    let mut random = fastrand::Rng::with_seed(9);
    let mut pick = |words: &[&str]| words[random.usize(0..words.len())].to_owned();
    let mut messages = Vec::new();
    for number in 0..2000 {
        let time = if number % 17 == 0 { 5 } else { RECORD_MS };
        let (kind, note) = (pick(&["a", "b", "c"]), pick(&["\"good\"", "\"bad\"", "\"left out\"", "null"]));
        let (price, volume) = (pick(&["-1", "3", "4", "70", "\"x\"", "null"]), pick(&["1", "89.5", "95"]));
        messages.push(format!(r#"{{"k":"{kind}","T":{time},"p":{price},"v":{volume},"n":{note}}}"#));
    }
    let found = outcome(&together, &batch(&messages));
    assert_eq!(found, outcome(&one_by_one, &batch(&messages)));
    for reason in ["price_positive", "not_too_large", "even", "event_time", "missing_field", "wrong_type"] {
        assert!(
            found.rejects.iter().any(|reject| reject.ends_with(reason)),
            "nothing is rejected for {reason}"
        );
    }
    assert!(found.filtered > 700 && found.rows.len() > 50, "{} rows", found.rows.len());
    let offsets =
        found.rejects.iter().map(|reject| reject.split('.').next().unwrap().parse::<u32>().unwrap());
    assert!(offsets.is_sorted(), "rejects are in the order of their messages");
}

#[test]
fn a_batch_without_rows_is_judged_too() {
    let found = outcome(&normalizer(OPTIONS.trim()), &batch(&["{}", "[]", "no json"]));
    assert_eq!((found.rows.len(), found.rejects.len(), found.filtered), (0, 1, 2));
}
