//! Any bytes at all, and messages with a few of theirs changed: nothing panics, and each message has one fate, the same
//! alone as among others.

use super::{batch, normalizer, outcome};
use aqueduct_topology::model::Normalizer;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use std::collections::BTreeSet;

/// Every way to read a field, twice: plainly, and one row for each element of a list.
fn kinds() -> [Normalizer; 2] {
    let fields = "\
fields:
  ts:    { type: timestamp, path: /ts, unit: ms }
  id:    { type: int64, path: /id }
  price: { type: \"decimal(18,8)\", path: /p }
  share: { type: float64, path: /f, optional: true }
  open:  { type: bool, path: /b, optional: true }
  side:  { type: text, path: /s, map: { \"true\": sell, \"false\": buy }, optional: true }
  name:  { type: text, path: /deep/0/name, max_bytes: 16, optional: true }
  rest:  { type: json, path: /x, optional: true }
require: { price_positive: price > 0 }
event_time: ts
";
    [normalizer(fields), normalizer(&format!("explode: /list\nselect: msg.list != null\n{fields}"))]
}

const MESSAGES: [&str; 5] = [
    r#"{"ts":1723118400000,"id":9007199254740993,"p":"12.50000001","f":1e-7,"b":true,"s":false,"deep":[{"name":"a"}],"x":{"k":[1,null]}}"#,
    r#"{"list":[{"ts":1723118400000,"id":1,"p":1},{"ts":1723118400001,"id":2,"p":"-2"},{"ts":1723118400002,"id":3,"p":3.25}]}"#,
    r#"{"ts":"2024-08-08T12:00:00Z","id":"17","p":"0.1","deep":[{"name":"\u00e9\ud83d\ude00\n"}]}"#,
    r#"[[[[{"ts":1,"id":-1,"p":1e400}]]]]"#,
    r#"{"id":1,"id":2,"p":"NaN","ts":9e99,"s":"\u0000","x":"\ud800"}"#,
];

/// A message with some bytes replaced, left out or put in, which may cut it off.
fn changed() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(br#"{}[]",:\-+.eE0123456789 tfnu"#.to_vec())];
    let change = (any::<prop::sample::Index>(), 0..3u8, byte);
    (0..MESSAGES.len(), prop::collection::vec(change, 0..6)).prop_map(|(message, changes)| {
        let mut bytes = MESSAGES[message].as_bytes().to_vec();
        for (at, how, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

/// Which message `line` of an outcome is about, and the rest of it.
fn of_message(line: &str) -> (usize, &str) {
    let (offset, rest) = line.split_once('.').expect("an offset");
    (offset.parse().expect("a number"), rest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_message_has_one_fate_and_its_neighbours_do_not_change_it(
        messages in prop::collection::vec(
            prop_oneof![4 => changed(), 1 => prop::collection::vec(any::<u8>(), 0..64)],
            1..6,
        ),
    ) {
        for normalizer in kinds() {
            let together = outcome(&normalizer, &batch(&messages));
            let all = || together.rows.iter().chain(&together.rejects).map(|line| of_message(line));
            let decided: BTreeSet<usize> = all().map(|(message, _)| message).collect();
            prop_assert_eq!(decided.len() as u64 + together.filtered, messages.len() as u64, "{:?}", together);
            for (place, message) in messages.iter().enumerate() {
                let alone = outcome(&normalizer, &batch(&[message]));
                let alone: Vec<&str> =
                    alone.rows.iter().chain(&alone.rejects).map(|line| of_message(line).1).collect();
                let among: Vec<&str> = all().filter(|(of, _)| *of == place).map(|(_, rest)| rest).collect();
                prop_assert_eq!(alone, among);
            }
        }
    }
}
