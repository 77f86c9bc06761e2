//! How long `check` takes on a topology of a thousand actors, right and wrong, beside a plain parse of the same text.
//!
//! `cargo bench -p aqueduct-bench --bench check` prints, for each file, the median of the runs, the fastest, and its ratio to
//! saphyr's events without anything done to them: what nobody can be faster than. Wanted: under 100 ms.

use aqueduct_topology::{Severity, Source, load, to_text};
use saphyr_parser::Parser;
use std::fmt::{self, Display, Formatter, Write};
use std::hint::black_box;
use std::time::Duration;

/// As the product has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Groups of a source, a normalizer and three sinks.
const GROUPS: usize = 200;
const RUNS: usize = 31;

/// Whether a file has mistakes, one in ten groups each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistakes {
    None,
    Some,
}

fn main() {
    let right = topology(Mistakes::None);
    let wrong = topology(Mistakes::Some);
    println!("the median of {RUNS} runs in one thread, and the fastest");
    report("right", &right);
    report("wrong", &wrong);
}

fn report(name: &str, text: &str) {
    let source = Source::new("topology.yaml", text);
    let (read, findings) = load(&source, &environment);
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let check = Times::of(|| drop(black_box(load(&source, &environment))));
    let print = Times::of(|| drop(black_box(to_text(&source, &findings, false))));
    let parse =
        Times::of(|| assert!(Parser::new_from_str(text).all(|event| event.is_ok()), "the text is YAML"));
    let (lines, kibibytes) = (text.lines().count(), text.len() >> 10);
    println!("{name}: {} actors, {lines} lines, {kibibytes} KiB, {errors} errors", GROUPS * 5);
    println!(
        "  check         {check}  {:.1} times a plain parse",
        check.fastest.as_secs_f64() / parse.fastest.as_secs_f64()
    );
    println!("  its text      {print}");
    println!("  a plain parse {parse}");
    assert_eq!(read.is_some(), errors == 0, "{}", to_text(&source, &findings, false));
}

/// What the runs of one work took.
struct Times {
    median: Duration,
    fastest: Duration,
}

impl Times {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn of(mut run: impl FnMut()) -> Self {
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|_| {
                let begin = std::time::Instant::now();
                run();
                begin.elapsed()
            })
            .collect();
        times.sort_unstable();
        Self { median: times[RUNS / 2], fastest: times[0] }
    }
}

impl Display for Times {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        write!(out, "{:7.1} ms {:7.1} ms", milliseconds(self.median), milliseconds(self.fastest))
    }
}

fn environment(name: &str) -> Option<String> {
    match name {
        "KAFKA_BOOTSTRAP" => Some("127.0.0.1:9092".to_owned()),
        "TIMESCALE_URL" => Some("postgres://me@127.0.0.1:5432/db".to_owned()),
        "REDIS_URL" => Some("redis://127.0.0.1:6379/0".to_owned()),
        _ => None,
    }
}

/// Sources, normalizers with cases, writers, caches, copies, and a supervisor for each ten groups. Of ten expressions of
/// a group four are its own and the rest are those of all groups, as in a file of many venues.
fn topology(mistakes: Mistakes) -> String {
    let mut text = "# A thousand actors.\ntopology: large\nconnections: { kafka: { bootstrap: \"${KAFKA_BOOTSTRAP}\" } }\nsupervisors:\n".to_owned();
    for tens in 0..GROUPS / 10 {
        let children: Vec<String> = (tens * 10..tens * 10 + 10)
            .map(|group| format!("ticks_{group}, trades_{group}, history_{group}"))
            .collect();
        let _ = writeln!(
            text,
            "  ingest_{tens}: {{ strategy: rest_for_one, intensity: 5, period: 30s, children: [{}] }}",
            children.join(", ")
        );
    }
    text.push_str("actors:\n");
    for index in 0..GROUPS {
        group(&mut text, index, mistakes == Mistakes::Some);
    }
    text
}

fn group(text: &mut String, index: usize, wrong: bool) {
    let slip = |at: usize, right: &'static str, slip: &'static str| {
        if wrong && index % 10 == at { slip } else { right }
    };
    let from = slip(1, "ticks", "tickz");
    let condition = slip(2, "price > 0", "price > \"0\"");
    let volume = slip(3, "double(price) * double(qty)", "price * qty");
    let unit = slip(4, "ms", "msec");
    let column = slip(5, "price", "prise");
    let rows = slip(6, "rows", "row");
    let kind = slip(7, "redis_cache", "redis_cash");
    let interval = slip(8, "50ms", "50 millis");
    let _ = write!(
        text,
        "  # Group {index}: one venue.
  ticks_{index}: {{ kind: kafka_source, topic: md.raw.{index}, batch_rows: 8192, linger: 5ms }}
  trades_{index}:
    kind: normalizer
    from: {from}_{index}
    select: msg.data.e in [\"trade\", \"aggTrade\"] && topic.startsWith(\"md.raw.{index}\")
    fields:
      ts:       {{ type: timestamp, path: /data/T, unit: {unit} }}
      symbol:   {{ type: text, path: /data/s, max_bytes: 32 }}
      price:    {{ type: \"decimal(18,8)\", path: /data/p }}
      qty:      {{ type: \"decimal(18,8)\", path: /data/q }}
      volume:   {{ type: float64, expr: {volume} }}
      side:     {{ type: text, optional: true, map: {{ \"true\": sell, \"false\": buy }} }}
    require:
      price_positive: {condition}
      qty_positive: qty > 0 && volume < {index}e12
    cases:
      - name: spot
        when: msg.data.m == \"spot-{index}\" && msg.data.X != null
        fields: {{ side: /data/m }}
      - name: future
        when: msg.data.m == \"future-{index}\" || msg.data.fs.exists(leg, leg.q > 0)
        explode: /data/legs
        fields: {{ price: /p, qty: {{ expr: \"decimal(item.q)\" }}, side: {{ expr: 'item.s < 0 ? \"sell\" : \"buy\"', map: {{}} }} }}
      - name: other
        fields: {{ ts: {{ expr: record_time }} }}
    event_time: {{ field: ts, future_max: 1h }}
  history_{index}:
    kind: timescale_writer
    from: trades_{index}
    table: market.trades_{index}
    flush: {{ {rows}: 10000, interval: {interval} }}
  cache_{index}:
    kind: {kind}
    from: trades_{index}
    key: \"last:{index}:{{symbol}}\"
    value: [ts, {column}, qty]
    order_by: ts
    delete_when: qty == 0
    policy: best_effort
  copy_{index}: {{ kind: kafka_sink, from: trades_{index}, topic: md.trades.{index}, key: \"{{symbol}}\" }}
"
    );
}
