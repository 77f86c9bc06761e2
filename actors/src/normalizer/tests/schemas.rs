//! Messages of Avro and Protobuf: cases, `explode` and conditions as for JSON, each poison alone.

use super::normalizer;
use crate::normalizer::{Decoded, Decoder};
use crate::registry::Known;
use crate::wire::header::with_schema_id;
use crate::wire::{SchemaKind, SchemaText};
use aqueduct_engine::testing::RecordsBuilder;
use std::sync::Arc;

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["trade","quote"]}},
    {"name":"symbol","type":"string"},
    {"name":"legs","type":{"type":"array","items":{"type":"record","name":"Leg","fields":[
        {"name":"ignored","type":"string"},{"name":"qty","type":"long"}]}}}]}"#;

const EXPLODED: &str = "\
format: avro
explode: /legs
fields:
  symbol: { type: text, expr: msg.symbol }
  qty:    { type: int64, path: /qty }
  place:  { type: int64, expr: item_key }
cases:
  - { name: trade, when: 'msg.kind == \"trade\"' }
require: { qty_positive: qty > 0 }
";

fn known(kind: SchemaKind, text: &str) -> Known {
    Known::Schema(Arc::new(SchemaText { kind, text: text.to_owned(), references: Vec::new() }))
}

/// An order of `kind` with legs of these quantities.
fn order(kind: u8, legs: &[i8]) -> Vec<u8> {
    let mut message = vec![kind * 2, 6, b'B', b'T', b'C'];
    if !legs.is_empty() {
        message.push(legs.len() as u8 * 2);
        for qty in legs {
            message.extend([4, b'?', b'?', (qty << 1 ^ qty >> 7) as u8]);
        }
    }
    message.push(0);
    message
}

fn decode(decoder: &mut Decoder, messages: &[Option<Vec<u8>>]) -> (Vec<String>, Vec<String>, u64) {
    let records = messages.iter().fold(RecordsBuilder::new(0, 0), |records, message| match message {
        Some(message) => records.value(message),
        None => records.tombstone(),
    });
    let Decoded { rows, rejects, filtered } = decoder.decode(&records.build());
    let cell = |column: usize, row: usize| {
        crate::expr::rows::cell(rows.column(column), row).written().unwrap_or_default().into_owned()
    };
    let line =
        |row: usize| (0..rows.num_columns()).map(|column| cell(column, row)).collect::<Vec<_>>().join(" ");
    let lines = (0..rows.num_rows()).map(line).collect();
    let rejects = rejects.iter().map(|reject| format!("{}.{} {}", reject.offset, reject.row, reject.reason));
    (lines, rejects.collect(), filtered)
}

#[test]
fn avro_is_exploded_filtered_and_refused_as_json_is() {
    let mut decoder = Decoder::new(&normalizer(EXPLODED)).unwrap();
    let schemas = decoder.schemas().expect("it is read by schemas");
    schemas.know(1, &known(SchemaKind::Avro, ORDER));
    schemas.know(2, &known(SchemaKind::Protobuf, "syntax = \"proto3\";"));
    schemas.know(3, &known(SchemaKind::Avro, "{"));
    schemas.know(4, &Known::Unknown("nobody has it".into()));
    let with = |id: u32, message: &[u8]| Some(with_schema_id(id, message));
    let found = decode(
        &mut decoder,
        &[
            with(1, &order(0, &[1, -2, 3])),
            with(1, &order(1, &[1])),
            with(1, &order(0, &[5])[..6]),
            with(1, &[&order(0, &[5])[..], &[0]].concat()),
            Some(b"{\"json\":true}".to_vec()),
            None,
            with(2, &order(0, &[1])),
            with(3, &order(0, &[1])),
            with(4, &order(0, &[1])),
            with(5, &order(0, &[1])),
            Some(Vec::new()),
            with(1, &order(0, &[7])),
        ],
    );
    // The hidden columns are the offset and the row.
    assert_eq!(found.0, ["BTC 1 0 0 0", "BTC 3 2 0 2", "BTC 7 0 11 0"]);
    let rejects = [
        "0.1 qty_positive",
        "2.0 not_avro",
        "3.0 not_avro",
        "4.0 not_avro",
        "6.0 unfit_schema",
        "7.0 unfit_schema",
        "8.0 unknown_schema",
        "9.0 unknown_schema",
        "10.0 empty",
    ];
    assert_eq!(found.1, rejects);
    assert_eq!(found.2, 2, "a quote and a tombstone");
}

#[test]
fn a_batch_names_the_schemas_it_lacks_and_unknown_ones_again_each_time() {
    let mut decoder = Decoder::new(&normalizer(EXPLODED)).unwrap();
    let batch = [3, 1, 3, 2]
        .iter()
        .fold(RecordsBuilder::new(0, 0), |records, id| records.value(with_schema_id(*id, b"x")));
    let batch = batch.value("no schema").tombstone().build();
    let schemas = decoder.schemas().expect("it is read by schemas");
    assert_eq!(schemas.unknown(&batch).into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    schemas.know(1, &known(SchemaKind::Avro, ORDER));
    schemas.know(2, &Known::Unknown("nobody has it".into()));
    schemas.know(3, &known(SchemaKind::Avro, "{"));
    assert_eq!(schemas.unknown(&batch).into_iter().collect::<Vec<_>>(), [2]);
    let mut fresh = decoder.fresh();
    assert_eq!(fresh.schemas().expect("the same").unknown(&batch).len(), 1, "what is known goes along");
}

#[test]
fn protobuf_is_read_by_the_message_that_each_record_names() {
    let schema =
        "syntax = \"proto3\"; message Ping { int32 n = 1; } message Quote { string s = 1; int64 price = 2; }";
    let options =
        "format: protobuf\nfields: { s: { type: text, path: /s }, price: { type: int64, path: /price } }";
    let mut decoder = Decoder::new(&normalizer(options)).unwrap();
    decoder.schemas().expect("by schemas").know(7, &known(SchemaKind::Protobuf, schema));
    let with = |message: &[u8]| Some(with_schema_id(7, message));
    let found = decode(
        &mut decoder,
        &[
            // The second message: its text, and the price that is not there.
            with(&[2, 2, 10, 1, b'A', 16, 5]),
            with(&[2, 2, 10, 1, b'B']),
            // The first has no such fields; there is no third; then a broken one.
            with(&[0, 8, 1]),
            with(&[2, 4]),
            with(&[2, 2, 10, 9, b'A']),
        ],
    );
    assert_eq!(found.0, ["A 5 0 0", "B 0 1 0"]);
    assert_eq!(found.1, ["2.0 missing_field", "3.0 not_protobuf", "4.0 not_protobuf"]);
}

#[test]
fn in_a_rehearsal_what_is_encoded_is_written_as_json() {
    let mut decoder = Decoder::new(&normalizer(EXPLODED)).unwrap();
    decoder.rehearse();
    let json = r#"{"kind":"trade","symbol":"ETH","legs":[{"qty":4}]}"#;
    let found = decode(&mut decoder, &[Some(json.into()), Some(with_schema_id(1, &order(0, &[1])))]);
    assert_eq!((found.0, found.1), (vec!["ETH 4 0 0 0".to_owned()], vec!["1.0 unknown_schema".to_owned()]));
}

#[test]
fn one_schema_for_all_needs_no_ids() {
    let options = EXPLODED.replace("format: avro", "format: avro\navro: { schema: none.avsc }");
    let mut decoder = Decoder::new(&normalizer(&options)).unwrap();
    let schemas = decoder.schemas().expect("by a schema");
    schemas.all_of(ORDER).expect("a schema");
    let found = decode(&mut decoder, &[Some(order(0, &[1])), Some(with_schema_id(1, &order(0, &[1])))]);
    assert_eq!((found.0, found.1), (vec!["BTC 1 0 0 0".to_owned()], vec!["1.0 not_avro".to_owned()]));
}
