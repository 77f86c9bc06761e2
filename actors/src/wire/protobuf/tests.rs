//! What the reference library writes is read as it meant it; anything else is read or refused.

use super::{Plan, Schema, message_indexes};
use crate::json::{Draft, Step};
use crate::wire::Wanted;
use proptest::prelude::*;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MapKey, Value};

const LEG: &str = r#"syntax = "proto3"; package market;
message Leg { float qty = 1; optional string mark = 2; Leg inner = 3; }"#;

const TRADE: &str = r#"syntax = "proto3"; package market;
import "leg.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "confluent/type/decimal.proto";
message Other { int32 x = 1; message Inner { map<string, int32> m = 1; message Deep { string d = 1; } } }
message Trade {
  enum Side { UNKNOWN = 0; BUY = 1; SELL = 2; }
  int64 id = 1;
  string venue = 2;
  sint32 delta = 3;
  fixed64 big = 4;
  double price = 5;
  Side side = 6;
  bool live = 7;
  bytes raw = 8;
  Leg leg = 9;
  repeated Leg legs = 10;
  repeated int32 numbers = 11;
  map<string, Leg> tags = 12;
  oneof how { string card = 13; int64 cash = 14; }
  google.protobuf.Timestamp at = 15;
  google.protobuf.Int64Value maybe = 200;
  confluent.type.Decimal exact = 201;
}"#;

fn schema() -> Schema {
    Schema::parse(TRADE, &[("leg.proto".to_owned(), LEG.to_owned())]).expect("a schema")
}

fn plan(wanted: &Wanted) -> Plan {
    Plan::new(&schema(), &[1], wanted).expect("the second message")
}

fn wanted(paths: &[&str]) -> Wanted {
    let mut wanted = Wanted::default();
    for path in paths {
        wanted.add(&path.split('/').skip(1).map(Step::from_token).collect::<Vec<_>>());
    }
    wanted
}

fn decoded(plan: &Plan, bytes: &[u8]) -> Option<serde_json::Value> {
    let mut draft = Draft::default();
    plan.decode(bytes, 0, &mut draft).ok()?;
    Some(serde_json::from_str(draft.text()).expect("JSON"))
}

/// A number as JSON reads it: one without a fraction is whole.
fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 { (value as i64).into() } else { value.into() }
}

/// A leg, in the library's form and in ours.
fn leg(qty: i16, mark: Option<&str>) -> (Value, serde_json::Value) {
    let descriptor = schema().message(&[1]).expect("a trade").get_field_by_name("leg").expect("a field");
    let mut leg = DynamicMessage::new(descriptor.kind().as_message().expect("a message").clone());
    let qty = f32::from(qty) / 8.0;
    leg.set_field_by_name("qty", Value::F32(qty));
    let mut meant = serde_json::json!({ "qty": number(f64::from(qty)) });
    if let Some(mark) = mark {
        leg.set_field_by_name("mark", Value::String(mark.to_owned()));
        meant["mark"] = mark.into();
    }
    (Value::Message(leg), meant)
}

prop_compose! {
    fn trade()(
        id in any::<i64>(), venue in any::<String>(), delta in any::<i32>(), big in any::<u64>(), price in any::<i32>(),
        side in 0..3_i32, live in any::<bool>(), raw in prop::collection::vec(any::<u8>(), 0..5),
        legs in prop::collection::vec((any::<i16>(), prop::option::of("[a-z]{0,3}")), 0..4),
        numbers in prop::collection::vec(any::<i32>(), 0..5), cash in prop::option::of(any::<i64>()),
        seconds in 0..4_000_000_000_i64,
    ) -> (Vec<u8>, serde_json::Value) {
        let mut trade = DynamicMessage::new(schema().message(&[1]).expect("a trade"));
        let price = f64::from(price) / 4.0;
        let mut set = |name: &str, value: Value| trade.set_field_by_name(name, value);
        set("id", Value::I64(id));
        set("venue", Value::String(venue.clone()));
        set("delta", Value::I32(delta));
        set("big", Value::U64(big));
        set("price", Value::F64(price));
        set("side", Value::EnumNumber(side));
        set("live", Value::Bool(live));
        set("raw", Value::Bytes(raw.clone().into()));
        let (made, meant): (Vec<_>, Vec<_>) = legs.iter().map(|(qty, mark)| leg(*qty, mark.as_deref())).unzip();
        let tags = made.first().map(|leg| (MapKey::String("a".to_owned()), leg.clone()));
        set("tags", Value::Map(tags.into_iter().collect()));
        set("legs", Value::List(made));
        set("numbers", Value::List(numbers.iter().map(|number| Value::I32(*number)).collect()));
        if let Some(cash) = cash {
            set("cash", Value::I64(cash));
        }
        let stamp = schema().message(&[1]).expect("a trade").get_field_by_name("at").expect("a field");
        let mut stamp = DynamicMessage::new(stamp.kind().as_message().expect("a message").clone());
        stamp.set_field_by_name("seconds", Value::I64(seconds));
        set("at", Value::Message(stamp));
        let at = crate::expr::time::format_iso(seconds * 1_000_000).replace(".000000Z", ".000000000Z");
        let tags: serde_json::Map<_, _> = meant.first().map(|leg| ("a".to_owned(), leg.clone())).into_iter().collect();
        let word = ["UNKNOWN", "BUY", "SELL"][side as usize];
        let mut meant = serde_json::json!({
            "id": id, "venue": venue, "delta": delta, "big": big, "price": number(price),
            "side": word, "live": live, "raw": crate::base64::encode(&raw),
            "legs": meant, "numbers": numbers, "tags": tags, "at": at,
        });
        if let Some(cash) = cash {
            meant["cash"] = cash.into();
        }
        (trade.encode_to_vec(), meant)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_the_reference_library_writes_is_read_as_it_meant_it((bytes, meant) in trade()) {
        let everything = plan(&Wanted::everything());
        let found = decoded(&everything, &bytes).expect("decoded");
        prop_assert_eq!(&found, &meant);
        let paths = ["/id", "/legs/1/qty", "/tags/a/mark", "/cash", "/at"];
        let part = decoded(&plan(&wanted(&paths)), &bytes).expect("decoded");
        for path in paths {
            prop_assert_eq!(part.pointer(path), found.pointer(path), "{}", path);
        }
        prop_assert!(part.get("venue").is_none() && part.get("numbers").is_none());
        // A message of Protobuf that is cut between two fields is one: it is only never read beyond its end.
        for end in 0..bytes.len() {
            decoded(&everything, &bytes[..end]);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
        for wanted in [Wanted::everything(), wanted(&["/legs/1/qty", "/tags/x", "/leg/inner/inner/mark"])] {
            decoded(&plan(&wanted), &bytes);
        }
        let _ = message_indexes(&bytes, 0);
    }
}

/// A field: its number and encoding, then its bytes.
fn field(number: u8, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut found = vec![number << 3 | kind];
    if kind == 2 {
        found.push(bytes.len() as u8);
    }
    found.extend_from_slice(bytes);
    found
}

#[test]
fn what_is_not_there_is_its_default_or_absent_by_its_presence() {
    let found = decoded(&plan(&Wanted::everything()), &[]).expect("an empty message is one");
    let expected = serde_json::json!({
        "id": 0, "venue": "", "delta": 0, "big": 0, "price": 0, "side": "UNKNOWN", "live": false, "raw": "",
        "legs": [], "numbers": [], "tags": {},
    });
    assert_eq!(found, expected);
}

#[test]
fn what_comes_later_wins_and_messages_are_merged() {
    let everything = plan(&Wanted::everything());
    let twice = [field(1, 0, &[1]), field(1, 0, &[2])].concat();
    assert_eq!(decoded(&everything, &twice).expect("decoded")["id"], 2);
    let merged =
        [field(9, 2, &field(2, 2, b"x")), field(9, 2, &field(1, 5, &1.5_f32.to_le_bytes()))].concat();
    assert_eq!(
        decoded(&everything, &merged).expect("decoded")["leg"],
        serde_json::json!({ "qty": 1.5, "mark": "x" })
    );
    // Of a `oneof` the last is there, also where only the first is asked for.
    let how = [field(13, 2, b"card"), field(14, 0, &[5])].concat();
    assert_eq!(decoded(&plan(&wanted(&["/card"])), &how).expect("decoded"), serde_json::json!({}));
    assert_eq!(decoded(&plan(&wanted(&["/cash"])), &how).expect("decoded"), serde_json::json!({ "cash": 5 }));
}

#[test]
fn elements_come_packed_or_one_by_one() {
    let everything = plan(&Wanted::everything());
    let mixed = [field(11, 0, &[1]), field(11, 2, &[2, 3]), field(11, 0, &[4])].concat();
    assert_eq!(decoded(&everything, &mixed).expect("decoded")["numbers"], serde_json::json!([1, 2, 3, 4]));
    let third = decoded(&plan(&wanted(&["/numbers/2"])), &mixed).expect("decoded");
    assert_eq!(third, serde_json::json!({ "numbers": [null, null, 3] }));
}

#[test]
fn messages_that_stand_for_values_are_those_values() {
    let everything = plan(&Wanted::everything());
    let mut bytes = vec![0xc2, 0x0c, 2, 8, 7];
    bytes.extend([0xca, 0x0c, 6, 0x0a, 2, 0xff, 0x01, 0x18, 2]);
    let mut draft = Draft::default();
    everything.decode(&bytes, 0, &mut draft).expect("decoded");
    assert!(draft.text().contains(r#""maybe":7,"exact":-2.55"#), "{}", draft.text());
    // Asked for what is in it, a time is a message like any other.
    let at = field(15, 2, &field(1, 0, &[9]));
    let seconds = decoded(&plan(&wanted(&["/at/seconds"])), &at).expect("decoded");
    assert_eq!(seconds, serde_json::json!({ "at": { "seconds": 9 } }));
}

#[test]
fn groups_and_unknown_fields_are_passed_over_and_depth_is_bounded() {
    let everything = plan(&Wanted::everything());
    let group = [vec![0xa3, 0x06], field(1, 0, &[1]), vec![0xa4, 0x06], field(1, 0, &[3])].concat();
    assert_eq!(decoded(&everything, &group).expect("decoded")["id"], 3);
    assert!(decoded(&everything, &[0xa3, 0x06]).is_none(), "a group that never ends");
    assert!(decoded(&everything, &[0xa4, 0x06]).is_none(), "a group that never began");
    assert!(decoded(&everything, &vec![0xa3; 100_000]).is_none());
    let mut deep = Vec::new();
    for _ in 0..200 {
        let length = deep.len();
        let mut outer = vec![0x1a];
        prost_reflect::prost::encoding::encode_varint(length as u64, &mut outer);
        outer.extend(deep);
        deep = outer;
    }
    let mut leg = vec![0x4a];
    prost_reflect::prost::encoding::encode_varint(deep.len() as u64, &mut leg);
    leg.extend(deep);
    assert!(decoded(&everything, &leg).is_none(), "deeper than a message may be");
    assert!(
        decoded(&plan(&wanted(&["/id"])), &leg).is_some(),
        "what is passed over may be as deep as it likes"
    );
}

#[test]
fn a_message_is_found_by_its_indexes() {
    let read = |bytes: &[u8]| message_indexes(bytes, 0).ok();
    assert_eq!(read(&[0, 9]), Some((vec![0], 1)));
    assert_eq!(read(&[2, 2, 9]), Some((vec![1], 2)));
    assert_eq!(read(&[6, 0, 0, 0]), Some((vec![0, 0, 0], 4)));
    for broken in [&[][..], &[1], &[2, 1], &[0xff, 0xff, 0xff, 0x7f], &[4, 2]] {
        assert_eq!(read(broken), None, "{broken:?}");
    }
    let name = |indexes: &[u32]| schema().message(indexes).map(|message| message.full_name().to_owned());
    assert_eq!(name(&[1]).as_deref(), Some("market.Trade"));
    assert_eq!(name(&[0, 0]).as_deref(), Some("market.Other.Inner"));
    assert_eq!(name(&[0, 0, 0]).as_deref(), Some("market.Other.Inner.Deep"), "a map's entry is passed over");
    assert_eq!(name(&[7]), None);
}

#[test]
fn a_schema_that_does_not_compile_says_why() {
    for (text, words) in [
        ("syntax = \"proto3\"; message {", "expected"),
        ("syntax = \"proto3\"; message A { Missing m = 1; }", "Missing"),
        ("syntax = \"proto3\"; import \"none.proto\";", "none.proto"),
    ] {
        let fault = Schema::parse(text, &[]).expect_err("no schema").to_string();
        assert!(fault.contains(words), "{fault}");
    }
}
