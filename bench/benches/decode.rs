//! What decoding costs a core: flat ticks, and the recorded trades of all venues among everything else they send.
//!
//! `cargo bench -p aqueduct-bench --bench decode`. Throughput is in messages a second of the thread's CPU time, which
//! others on the same machine disturb less than wall time.

use aqueduct_actors::json::Tape;
use aqueduct_actors::normalizer::Decoder;
use aqueduct_bench::clock::thread_cpu;
use aqueduct_engine::Batch;
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_topology::model::{Kind, Normalizer};
use aqueduct_topology::{Source, load};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

const MD_TRADES: &str = include_str!("../../config/topologies/md-trades/topology.yaml");
const SAMPLES: &str = include_str!("../../config/samples/crypto_msg_parser_2.9.2.jsonl");
const TICKS: &str = r#"
topology: ticks
connections: { kafka: { bootstrap: "127.0.0.1:9092" } }
actors:
  raw: { kind: kafka_source, topic: ticks }
  ticks:
    kind: normalizer
    from: raw
    fields:
      symbol:   { type: text, path: /symbol, max_bytes: 32 }
      venue:    { type: text, path: /venue }
      ts:       { type: timestamp, unit: iso, path: /ts }
      price:    { type: "decimal(18,8)", path: /price }
      size:     { type: "decimal(18,8)", path: /size }
      side:     { type: text, path: /side }
      trade_id: { type: int64, path: /trade_id }
    require: { price_positive: price > 0 }
  out: { kind: kafka_sink, from: ticks, topic: out }
"#;

/// Records of one batch, as a source makes them.
const RECORDS: usize = 8192;

/// Addresses that no benchmark calls.
fn environment(name: &str) -> Option<String> {
    match name {
        "TIMESCALE_URL" => Some("postgres://127.0.0.1:1/x".to_owned()),
        "REDIS_URL" => Some("redis://127.0.0.1:1".to_owned()),
        _ => Some("127.0.0.1:1".to_owned()),
    }
}

fn normalizer(text: &str) -> Normalizer {
    let (topology, diagnostics) = load(&Source::new("bench.yaml", text), &environment);
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

fn batch(messages: impl Iterator<Item = String>) -> Batch {
    let records = RecordsBuilder::new(0, 0);
    messages.take(RECORDS).fold(records, |records, message| records.value(message).time_ms(None)).build()
}

/// The tick of 140 bytes that the comparisons with other engines use.
fn ticks() -> impl Iterator<Item = String> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..).map(move |index| {
        format!(
            r#"{{"symbol":"S{:03}-USD","venue":"XNAS","ts":"2026-11-23T06:{:02}:{:02}.{:06}Z","price":{:.2},"size":{:.4},"side":"{}","trade_id":{}}}"#,
            random.u32(0..200),
            index / 60 % 60,
            index % 60,
            random.u32(0..1_000_000),
            random.f64() * 70_000.0 + 1.0,
            random.f64() * 5.0 + 0.001,
            if random.bool() { "buy" } else { "sell" },
            100_000_000 + index
        )
    })
}

/// The member `msg` of the recorded lines, over and over.
fn recorded() -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        msg: &'a serde_json::value::RawValue,
        case: &'a str,
    }
    let lines = SAMPLES.lines().map(|line| serde_json::from_str::<Line<'_>>(line).expect("a recorded line"));
    lines.filter(|line| line.case.starts_with("trade")).map(|line| line.msg.get().to_owned()).collect()
}

fn decode(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);

    let flat = batch(ticks());
    let mut decoder = Decoder::new(&normalizer(TICKS)).expect("the topology compiles");
    assert_eq!(decoder.decode(&flat).rows.num_rows(), RECORDS);
    group.bench_function("flat_ticks", |bencher| bencher.iter(|| black_box(decoder.decode(&flat))));

    let trades = recorded();
    let mixed = batch(trades.iter().cycle().cloned());
    let mut decoder = Decoder::new(&normalizer(MD_TRADES)).expect("the topology compiles");
    assert!(decoder.decode(&mixed).rejects.is_empty());
    group.bench_function("md_trades", |bencher| bencher.iter(|| black_box(decoder.decode(&mixed))));

    let binance = trades.iter().find(|message| message.contains("aggTrade")).expect("a Binance trade");
    let one_venue = batch(std::iter::repeat(binance.clone()));
    group.bench_function("md_trades_binance", |bencher| {
        bencher.iter(|| black_box(decoder.decode(&one_venue)))
    });
    group.finish();
}

/// The scanner beside the library that is fastest at a tree of values.
fn scan(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(RECORDS as u64)).sample_size(20);
    let trades = recorded();
    let sets: [(&str, Vec<String>); 2] = [
        ("flat_ticks", ticks().take(RECORDS).collect()),
        ("recorded", trades.iter().cycle().take(RECORDS).cloned().collect()),
    ];
    for (name, messages) in &sets {
        let mut tape = Tape::default();
        group.bench_function(format!("tape/{name}"), |bencher| {
            bencher.iter(|| messages.iter().for_each(|message| tape.scan(black_box(message)).expect("JSON")));
        });
        group.bench_function(format!("sonic_value/{name}"), |bencher| {
            bencher.iter(|| {
                for message in messages {
                    black_box(sonic_rs::from_str::<sonic_rs::Value>(black_box(message)).expect("JSON"));
                }
            });
        });
    }
    group.finish();
}

/// CPU time of this thread.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        thread_cpu()
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, first: &Duration, second: &Duration) -> Duration {
        *first + *second
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decode, scan
}
criterion_main!(benches);
