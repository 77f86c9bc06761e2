//! A message of another format than JSON, by schemas that between them have every type.

use aqueduct_actors::json::Draft;
use aqueduct_actors::wire::{Wanted, avro, csv, protobuf};
use std::sync::Arc;

const AVRO: &str = r#"{"type":"record","name":"r","fields":[
    {"name":"l","type":"long"},{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"b","type":"boolean"},
    {"name":"s","type":"string"},{"name":"y","type":"bytes"},{"name":"x","type":{"type":"fixed","name":"x","size":3}},
    {"name":"e","type":{"type":"enum","name":"e","symbols":["A","B"]}},
    {"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
    {"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"a","type":{"type":"array","items":["null","long","r"]}},
    {"name":"n","type":{"type":"array","items":"null"}},
    {"name":"m","type":{"type":"map","values":"r"}}]}"#;

const PROTOBUF: &str = r#"syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto";
    message M { int32 i = 1; sint64 z = 2; fixed32 w = 3; double d = 4; bool b = 5; string s = 6; bytes y = 7; M m = 8;
    repeated M l = 9; repeated int32 n = 10; map<string, M> k = 11; oneof o { string p = 12; M q = 13; }
    google.protobuf.Timestamp t = 14; google.protobuf.StringValue v = 15; }"#;

/// Promise: the message is refused, or what is written of it is JSON, of a bounded depth and size.
pub fn wire(bytes: &[u8]) {
    thread_local! {
        static PLANS: (avro::Plan, protobuf::Plan, csv::Dialect) = {
            let everything = Wanted::everything();
            let avro = Arc::new(avro::Schema::parse(AVRO, &[]).expect("a schema"));
            let protobuf = protobuf::Schema::parse(PROTOBUF, &[]).expect("a schema");
            (
                avro::Plan::new(avro, &everything),
                protobuf::Plan::new(&protobuf, &[0], &everything).expect("a message"),
                csv::Dialect::new(["a", "b"], (b',', Some(b'"')), &everything),
            )
        };
    }
    PLANS.with(|(avro, protobuf, csv)| {
        let mut draft = Draft::default();
        if avro.decode(bytes, 0, &mut draft).is_ok() {
            check(&draft);
        }
        if protobuf.decode(bytes, 0, &mut draft).is_ok() {
            check(&draft);
        }
        let _ = protobuf::message_indexes(bytes, 0);
        if let Ok(text) = std::str::from_utf8(bytes) {
            let mut lines = csv.lines(text);
            while let Some(line) = lines.next(&mut draft) {
                if line.is_ok() {
                    check(&draft);
                }
            }
        }
    });
}

fn check(draft: &Draft) {
    let mut tape = aqueduct_actors::json::Tape::default();
    assert!(tape.scan(draft.text()).is_ok(), "what is written is JSON: {}", draft.text());
}
