//! What a message costs to decode in each format: the same ticks as JSON, CSV, Avro and Protobuf, beside the library that
//! reads each into a tree of values, which is where an engine would have to begin without our own walk.
//!
//! `cargo bench --workspace --bench formats`; `-- --quick` looks once and fast. Messages a second of the thread's CPU time, the
//! median of the rounds. Every format must give the same rows.

use aqueduct_actors::normalizer::Decoder;
use aqueduct_actors::registry::Known;
use aqueduct_actors::wire::header::with_schema_id;
use aqueduct_actors::wire::{SchemaKind, SchemaText, protobuf};
use aqueduct_bench::clock::cpu_seconds_of;
use aqueduct_engine::Batch;
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_topology::model::{Kind, Normalizer};
use aqueduct_topology::{Source, load};
use arrow_array::RecordBatch;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Records of one batch, as a source makes them.
const RECORDS: usize = 8192;
const ROUNDS: usize = 7;
/// A measurement goes on for so long.
const ROUND: Duration = Duration::from_millis(100);
const SCHEMA_ID: u32 = 7;

const AVRO: &str = r#"{"type":"record","name":"Tick","fields":[
    {"name":"symbol","type":"string"},{"name":"venue","type":"string"},{"name":"ts","type":"long"},
    {"name":"price","type":"double"},{"name":"size","type":"double"},{"name":"side","type":"string"},
    {"name":"trade_id","type":"long"}]}"#;
const PROTOBUF: &str = r#"syntax = "proto3"; message Tick { string symbol = 1; string venue = 2; int64 ts = 3;
    double price = 4; double size = 5; string side = 6; int64 trade_id = 7; }"#;

struct Tick {
    symbol: String,
    ts_us: i64,
    price: f64,
    size: f64,
    side: &'static str,
    trade_id: i64,
}

const VENUE: &str = "XNAS";

fn ticks() -> Vec<Tick> {
    let mut random = fastrand::Rng::with_seed(7);
    let tick = |index: usize| Tick {
        symbol: format!("S{:03}-USD", random.u32(0..200)),
        ts_us: 1_795_413_600_000_000 + index as i64 * 1_000,
        price: f64::from(random.u32(1..7_000_000)) / 100.0,
        size: f64::from(random.u32(1..50_000)) / 10_000.0,
        side: if random.bool() { "buy" } else { "sell" },
        trade_id: 100_000_000 + index as i64,
    };
    (0..RECORDS).map(tick).collect()
}

impl Tick {
    fn json(&self) -> Vec<u8> {
        let Self { symbol, ts_us, price, size, side, trade_id } = self;
        format!(
            r#"{{"symbol":"{symbol}","venue":"{VENUE}","ts":{ts_us},"price":{price},"size":{size},"side":"{side}","trade_id":{trade_id}}}"#
        )
        .into_bytes()
    }

    fn csv(&self) -> Vec<u8> {
        let Self { symbol, ts_us, price, size, side, trade_id } = self;
        format!("{symbol},{VENUE},{ts_us},{price},{size},{side},{trade_id}").into_bytes()
    }

    fn avro(&self, schema: &apache_avro::Schema) -> Vec<u8> {
        use apache_avro::types::Value;
        let text = |text: &str| Value::String(text.to_owned());
        let fields = [
            ("symbol", text(&self.symbol)),
            ("venue", text(VENUE)),
            ("ts", Value::Long(self.ts_us)),
            ("price", Value::Double(self.price)),
            ("size", Value::Double(self.size)),
            ("side", text(self.side)),
            ("trade_id", Value::Long(self.trade_id)),
        ];
        let record = Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into());
        apache_avro::to_avro_datum(schema, record).expect("a tick fits its schema")
    }

    fn protobuf(&self, descriptor: &MessageDescriptor) -> Vec<u8> {
        let mut message = DynamicMessage::new(descriptor.clone());
        let fields = [
            ("symbol", Value::String(self.symbol.clone())),
            ("venue", Value::String(VENUE.to_owned())),
            ("ts", Value::I64(self.ts_us)),
            ("price", Value::F64(self.price)),
            ("size", Value::F64(self.size)),
            ("side", Value::String(self.side.to_owned())),
            ("trade_id", Value::I64(self.trade_id)),
        ];
        for (name, value) in fields {
            message.set_field_by_name(name, value);
        }
        message.encode_to_vec()
    }
}

/// The normalizer of ticks in that format; with `few`, of three of their seven fields.
fn normalizer(format: &str, few: bool) -> Normalizer {
    let all = "
      symbol:   { type: text, path: /symbol }
      ts:       { type: timestamp, unit: us, path: /ts }
      price:    { type: float64, path: /price }";
    let more = "
      venue:    { type: text, path: /venue }
      size:     { type: float64, path: /size }
      side:     { type: text, path: /side }
      trade_id: { type: int64, path: /trade_id }";
    let text = format!(
        "topology: ticks
connections: {{ kafka: {{ bootstrap: \"127.0.0.1:9092\" }}, registry: {{ url: \"http://127.0.0.1:1\" }} }}
actors:
  raw: {{ kind: kafka_source, topic: ticks }}
  ticks:
    kind: normalizer
    from: raw
    {format}
    fields:{all}{}
  out: {{ kind: kafka_sink, from: ticks, topic: out }}
",
        if few { "" } else { more }
    );
    let (topology, diagnostics) = load(&Source::new("bench.yaml", text), &|_| None);
    let topology = topology.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let kinds = topology.actors.into_iter().map(|actor| actor.kind);
    kinds
        .into_iter()
        .find_map(|kind| match kind {
            Kind::Normalizer(normalizer) => Some(normalizer),
            _ => None,
        })
        .expect("invariant: the topology has a normalizer")
}

/// Reads a message into a tree of values, and counts them.
type Tree<'f> = Box<dyn Fn(&[u8]) -> usize + 'f>;

/// One format: its messages, what the engine is told to read them by, and how a library reads one.
struct Format<'f> {
    name: &'static str,
    library: &'static str,
    options: &'static str,
    schema: Option<SchemaText>,
    messages: Vec<Vec<u8>>,
    tree: Tree<'f>,
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let ticks = ticks();
    let avro = apache_avro::Schema::parse_str(AVRO).expect("a schema");
    let descriptor = protobuf::Schema::parse(PROTOBUF, &[]).expect("a schema").message(&[0]).expect("a tick");
    let schema = |kind, text: &str| Some(SchemaText { kind, text: text.to_owned(), references: Vec::new() });
    let formats = [
        Format {
            name: "json",
            library: "sonic-rs",
            options: "format: json",
            schema: None,
            messages: ticks.iter().map(Tick::json).collect(),
            tree: Box::new(|message| {
                let value: sonic_rs::Value = sonic_rs::from_slice(message).expect("JSON");
                sonic_rs::JsonContainerTrait::as_object(&value).expect("an object").len()
            }),
        },
        Format {
            name: "csv",
            library: "csv",
            options: "format: csv\n    csv: { columns: [symbol, venue, ts, price, size, side, trade_id] }",
            schema: None,
            messages: ticks.iter().map(Tick::csv).collect(),
            tree: Box::new(|message| {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(message);
                let mut record = csv::StringRecord::new();
                reader.read_record(&mut record).expect("a line");
                record.len()
            }),
        },
        Format {
            name: "avro",
            library: "apache-avro",
            options: "format: avro",
            schema: schema(SchemaKind::Avro, AVRO),
            messages: ticks.iter().map(|tick| with_schema_id(SCHEMA_ID, &tick.avro(&avro))).collect(),
            tree: Box::new(|message| {
                let value = apache_avro::from_avro_datum(&avro, &mut &message[5..], None).expect("a tick");
                let apache_avro::types::Value::Record(fields) = value else { panic!("a record") };
                fields.len()
            }),
        },
        Format {
            name: "protobuf",
            library: "prost-reflect",
            options: "format: protobuf",
            schema: schema(SchemaKind::Protobuf, PROTOBUF),
            messages: ticks
                .iter()
                .map(|tick| [&with_schema_id(SCHEMA_ID, &[0])[..], &tick.protobuf(&descriptor)].concat())
                .collect(),
            tree: Box::new(|message| {
                let message = DynamicMessage::decode(descriptor.clone(), &message[6..]).expect("a tick");
                message.fields().count()
            }),
        },
    ];
    println!("messages a second of one core, in millions; {RECORDS} flat ticks\n");
    println!("| format | bytes | seven fields | three of them | library's tree | seven fields : tree |");
    println!("|---|---|---|---|---|---|");
    let mut expected: Option<RecordBatch> = None;
    for format in formats {
        let rows = measure(&format, if quick { 1 } else { ROUNDS });
        let expected = expected.get_or_insert_with(|| rows.clone());
        assert!(rows == *expected, "{}: other rows than the first format's", format.name);
    }
}

fn measure(format: &Format<'_>, rounds: usize) -> RecordBatch {
    let records = format.messages.iter().fold(RecordsBuilder::new(0, 0), |records, message| {
        // Ticks have the time of their own field.
        records.value(message).time_ms(None)
    });
    let batch: Batch = records.build();
    let decoder = |few| {
        let mut decoder = Decoder::new(&normalizer(format.options, few)).expect("the topology compiles");
        if let Some(schema) = &format.schema {
            decoder.know(SCHEMA_ID, &Known::Schema(Arc::new(schema.clone())));
        }
        decoder
    };
    let (mut all, mut few) = (decoder(false), decoder(true));
    let decoded = all.decode(&batch);
    let rejects = &decoded.rejects;
    assert!(
        rejects.is_empty() && decoded.rows.num_rows() == RECORDS,
        "{}: {:?}",
        format.name,
        rejects.first()
    );
    let mut seconds: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        seconds[0].push(cpu_seconds_of(ROUND, || drop(black_box(all.decode(&batch)))));
        seconds[1].push(cpu_seconds_of(ROUND, || drop(black_box(few.decode(&batch)))));
        seconds[2].push(cpu_seconds_of(ROUND, || {
            let values: usize = format.messages.iter().map(|message| (format.tree)(black_box(message))).sum();
            assert_eq!(values, RECORDS * 7, "every value is there");
        }));
    }
    let rate = seconds.map(|mut seconds| {
        seconds.sort_unstable_by(f64::total_cmp);
        RECORDS as f64 / seconds[seconds.len() / 2] / 1e6
    });
    let bytes: usize = format.messages.iter().map(Vec::len).sum();
    println!(
        "| {} | {} | {:.2} | {:.2} | {:.2} ({}) | {:.2} |",
        format.name,
        bytes / RECORDS,
        rate[0],
        rate[1],
        rate[2],
        format.library,
        rate[0] / rate[2]
    );
    decoded.rows
}
