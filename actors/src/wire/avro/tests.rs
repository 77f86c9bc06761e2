//! What the reference library writes is read as it meant it; anything else is read or refused.

use super::{Plan, Schema};
use crate::json::{Draft, Step};
use crate::wire::Wanted;
use apache_avro::types::Value;
use apache_avro::{Decimal, Schema as Reference, to_avro_datum};
use proptest::prelude::*;
use std::sync::Arc;

const TRADE: &str = r#"{ "type": "record", "name": "Trade", "namespace": "market", "fields": [
  { "name": "id", "type": "long" },
  { "name": "venue", "type": "string" },
  { "name": "price", "type": { "type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8 } },
  { "name": "at", "type": { "type": "long", "logicalType": "timestamp-micros" } },
  { "name": "day", "type": { "type": "int", "logicalType": "date" } },
  { "name": "side", "type": { "type": "enum", "name": "Side", "symbols": ["buy", "sell"] } },
  { "name": "note", "type": ["null", "string", "double"], "default": null },
  { "name": "legs", "type": { "type": "array", "items": { "type": "record", "name": "Leg", "fields": [
      { "name": "qty", "type": "float" }, { "name": "mark", "type": { "type": "fixed", "name": "Mark", "size": 2 } } ] } } },
  { "name": "tags", "type": { "type": "map", "values": "Leg" } },
  { "name": "live", "type": "boolean" },
  { "name": "next", "type": ["null", "Trade"] } ] }"#;

fn leg() -> impl Strategy<Value = Value> {
    (any::<i16>(), any::<[u8; 2]>()).prop_map(|(qty, mark)| {
        let qty = Value::Float(f32::from(qty) / 8.0);
        Value::Record(vec![("qty".to_owned(), qty), ("mark".to_owned(), Value::Fixed(2, mark.to_vec()))])
    })
}

fn trade(depth: u32) -> BoxedStrategy<Value> {
    let note = prop_oneof![
        Just(Value::Union(0, Box::new(Value::Null))),
        any::<String>().prop_map(|text| Value::Union(1, Box::new(Value::String(text)))),
        any::<i32>().prop_map(|number| Value::Union(2, Box::new(Value::Double(f64::from(number) / 4.0)))),
    ];
    let next = match depth {
        0 => Just(Value::Union(0, Box::new(Value::Null))).boxed(),
        depth => prop_oneof![
            Just(Value::Union(0, Box::new(Value::Null))),
            trade(depth - 1).prop_map(|trade| Value::Union(1, Box::new(trade))),
        ]
        .boxed(),
    };
    let head =
        (any::<i64>(), any::<String>(), any::<i64>(), 0..4_000_000_000_000_000_i64, 0..40_000_i32, 0..2_u32);
    let legs = prop::collection::vec(leg(), 0..4);
    let tags = prop::collection::hash_map("[a-c\"]{1,3}", leg(), 0..3);
    (head, note, legs, tags, any::<bool>(), next)
        .prop_map(|((id, venue, price, at, day, side), note, legs, tags, live, next)| {
            let side = Value::Enum(side, ["buy", "sell"][side as usize].to_owned());
            let fields = [
                ("id", Value::Long(id)),
                ("venue", Value::String(venue)),
                ("price", Value::Decimal(Decimal::from(price.to_be_bytes()))),
                ("at", Value::TimestampMicros(at)),
                ("day", Value::Date(day)),
                ("side", side),
                ("note", note),
                ("legs", Value::Array(legs)),
                ("tags", Value::Map(tags)),
                ("live", Value::Boolean(live)),
                ("next", next),
            ];
            Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
        })
        .boxed()
}

/// A number as JSON reads it: one without a fraction is whole.
fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 { (value as i64).into() } else { value.into() }
}

/// What a value of the reference library is in our words.
fn meant(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Long(value) => (*value).into(),
        Value::Float(value) => number(f64::from(*value)),
        Value::Double(value) => number(*value),
        Value::String(text) | Value::Enum(_, text) => text.as_str().into(),
        Value::Fixed(_, bytes) => crate::base64::encode(bytes).into(),
        Value::Union(_, value) => meant(value),
        Value::Array(values) => values.iter().map(meant).collect(),
        Value::Map(values) => values.iter().map(|(name, value)| (name.clone(), meant(value))).collect(),
        Value::Record(fields) => fields.iter().map(|(name, value)| (name.clone(), meant(value))).collect(),
        Value::TimestampMicros(micros) => crate::expr::time::format_iso(*micros).into(),
        Value::Date(days) => {
            crate::expr::time::format_iso(i64::from(*days) * 86_400_000_000).replace(".000000Z", "Z").into()
        }
        // Compared as text below.
        Value::Decimal(_) => "a decimal".into(),
        other => panic!("{other:?} is not in the schema"),
    }
}

/// The same without the decimals, which JSON would round.
fn without_prices(mut value: serde_json::Value) -> serde_json::Value {
    let mut at = Some(&mut value);
    while let Some(serde_json::Value::Object(trade)) = at {
        trade.insert("price".to_owned(), "a decimal".into());
        at = trade.get_mut("next");
    }
    value
}

fn plan(schema: &str, wanted: &Wanted) -> Plan {
    Plan::new(Arc::new(Schema::parse(schema, &[]).expect("a schema")), wanted)
}

fn wanted(paths: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    for path in paths {
        wanted.add(&path.split('/').skip(1).map(Step::from_token).collect::<Vec<_>>());
    }
    wanted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_the_reference_library_writes_is_read_as_it_meant_it(trade in trade(2)) {
        let bytes = to_avro_datum(&Reference::parse_str(TRADE).expect("a schema"), trade.clone()).expect("encoded");
        let (everything, mut draft) = (plan(TRADE, &Wanted::everything()), Draft::default());
        everything.decode(&bytes, 0, &mut draft).expect("decoded");
        let found: serde_json::Value = serde_json::from_str(draft.text()).expect("JSON");
        prop_assert_eq!(without_prices(found.clone()), meant(&trade), "{}", draft.text());

        // A part is what it is of the whole, and nothing else is written.
        let paths = ["/id", "/legs/1/qty", "/next/side", "/tags/a/mark"];
        plan(TRADE, &wanted(&paths)).decode(&bytes, 0, &mut draft).expect("decoded");
        let part: serde_json::Value = serde_json::from_str(draft.text()).expect("JSON");
        for path in paths {
            prop_assert_eq!(part.pointer(path), found.pointer(path), "{}", path);
        }
        prop_assert_eq!(part.as_object().expect("a record").len(), 4);

        // Cut anywhere, it is refused.
        for end in 0..bytes.len() {
            prop_assert!(everything.decode(&bytes[..end], 0, &mut draft).is_err(), "cut at {}", end);
        }
        let longer = [&bytes[..], &[0]].concat();
        prop_assert!(everything.decode(&longer, 0, &mut draft).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        let mut draft = Draft::default();
        for wanted in [Wanted::everything(), wanted(&["/legs/1", "/tags/x", "/next/next/id"])] {
            if plan(TRADE, &wanted).decode(&bytes, 0, &mut draft).is_ok() {
                serde_json::from_str::<serde_json::Value>(draft.text()).expect("JSON");
            }
        }
    }
}

#[test]
fn a_decimal_is_exact() {
    let schema = r#"{"type":"bytes","logicalType":"decimal","precision":38,"scale":8}"#;
    let mut draft = Draft::default();
    plan(schema, &Wanted::everything()).decode(&[4, 0xff, 0x01], 0, &mut draft).expect("decoded");
    assert_eq!(draft.text(), "-0.00000255");
}

#[test]
fn blocks_may_say_how_long_they_are() {
    let schema = r#"{"type":"record","name":"r","fields":[
        {"name":"a","type":{"type":"array","items":"long"}},{"name":"b","type":"long"}]}"#;
    // Two items of two bytes in all, one more item, the end; then `b`.
    let bytes = [3, 4, 2, 4, 2, 6, 0, 8];
    let mut draft = Draft::default();
    plan(schema, &Wanted::everything()).decode(&bytes, 0, &mut draft).expect("decoded");
    assert_eq!(draft.text(), r#"{"a":[1,2,3],"b":4}"#);
    plan(schema, &wanted(&["/b"])).decode(&bytes, 0, &mut draft).expect("decoded");
    assert_eq!(draft.text(), r#"{"b":4}"#);
}

#[test]
fn an_array_that_claims_to_be_endless_costs_nothing_or_is_refused() {
    let schema =
        r#"{"type":"record","name":"r","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#;
    // 2^62 nulls in no bytes at all.
    let bytes = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0];
    let mut draft = Draft::default();
    plan(schema, &wanted(&["/b"])).decode(&bytes, 0, &mut draft).expect("passed over");
    plan(schema, &wanted(&["/a/1"])).decode(&bytes, 0, &mut draft).expect("passed over behind the second");
    assert_eq!(draft.text(), r#"{"a":[null,null]}"#);
    assert!(
        plan(schema, &Wanted::everything()).decode(&bytes, 0, &mut draft).is_err(),
        "more than a message may hold"
    );
}

#[test]
fn a_type_within_itself_is_followed_only_so_deep() {
    let list = r#"{"type":"record","name":"l","fields":[{"name":"next","type":["null","l"]}]}"#;
    let endless = r#"{"type":"record","name":"e","fields":[{"name":"e","type":"e"}]}"#;
    let mut draft = Draft::default();
    for wanted in [Wanted::everything(), wanted(&["/other"])] {
        assert!(plan(list, &wanted).decode(&[vec![2; 100_000], vec![0]].concat(), 0, &mut draft).is_err());
        assert!(plan(endless, &wanted).decode(&[], 0, &mut draft).is_err());
        plan(list, &wanted).decode(&[2, 2, 0], 0, &mut draft).expect("not deep");
    }
}

#[test]
fn names_are_found_in_their_namespace_and_among_references() {
    let leg = r#"{"type":"record","name":"Leg","namespace":"a.b","fields":[{"name":"q","type":"int"}]}"#;
    let trade = r#"{"type":"record","name":"Trade","namespace":"a.b","fields":[
        {"name":"one","type":"Leg"},{"name":"two","type":"a.b.Leg"}]}"#;
    let schema = Schema::parse(trade, &[leg]).expect("both are known");
    let mut draft = Draft::default();
    Plan::new(Arc::new(schema), &Wanted::everything()).decode(&[2, 4], 0, &mut draft).expect("decoded");
    assert_eq!(draft.text(), r#"{"one":{"q":1},"two":{"q":2}}"#);
    for (schema, words) in [
        (trade, "there is no type `Leg`"),
        ("{", "not JSON"),
        (
            r#"{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            "two fields",
        ),
        (r#"{"type":"enum","name":"e"}"#, "without `symbols`"),
        ("7", "no type"),
    ] {
        let fault = Schema::parse(schema, &[]).expect_err("no schema").to_string();
        assert!(fault.contains(words), "{fault}");
    }
}
