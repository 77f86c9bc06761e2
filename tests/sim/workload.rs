//! What flows: a topology, the records sent to it, and the fate each of them must have. All by a seed.

use aqueduct_actors::replay_source::Message;
use aqueduct_actors::stand_in::Declared;
use aqueduct_topology::model::Topology;
use aqueduct_topology::{Source, load_unconnected};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// When a run begins, milliseconds since 1970 UTC: 2026-01-01T00:00:00Z.
pub const BEGINS_MS: i64 = 1_767_225_600_000;
/// Keys of the cache.
const NAMES: [&str; 4] = ["ann", "bob", "cleo", "dan"];
/// The price that the table refuses.
const UNLUCKY: i64 = 13;
/// A byte bound small enough to be felt.
const LINK_BYTES: [usize; 3] = [600, 4_000, 1 << 20];

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A row of every table.
    Written,
    /// A letter of that actor, for that reason.
    Rejected(&'static str, &'static str),
    /// The table refuses it: a letter of that writer beside the rows of the other.
    Refused,
    /// Nothing: it is not selected.
    Filtered,
    /// Nothing: it is no record, but the marker of a transaction, which takes an offset.
    Marker,
    /// It kills that actor: a letter, or a row where another process was spared.
    Deadly(&'static str),
}

/// One record.
#[derive(Clone, Debug)]
pub struct Sent {
    pub id: i64,
    pub partition: u32,
    /// When it is sent, after the beginning.
    pub at: Duration,
    pub fate: Fate,
    /// Its event time, milliseconds since 1970 UTC.
    pub time_ms: i64,
    pub who: &'static str,
    pub value: Vec<u8>,
}

impl Sent {
    /// Sent so many milliseconds after the beginning, of an event so many seconds before.
    pub fn new(id: i64, partition: u32, at_ms: u64, fate: Fate, late_s: i64, who: &'static str) -> Self {
        let time_ms = BEGINS_MS + at_ms as i64 - late_s * 1000;
        let time_ms = if fate == Fate::Rejected("trades", "event_time") { time_ms + 20_000 } else { time_ms };
        let at = Duration::from_millis(at_ms);
        Self { id, partition, at, fate, time_ms, who, value: value(id, time_ms, fate) }
    }

    pub fn message(&self) -> Message {
        Message {
            key: Some(self.who.as_bytes().to_vec()),
            value: Some(self.value.clone()),
            // By the record's own time, not by when it is read: so every judgement is the same.
            time_ms: Some(BEGINS_MS + self.at.as_millis() as i64),
            headers: Vec::new(),
            partition: Some(self.partition),
        }
    }

    /// Whether the cache is given it.
    pub fn is_cached(&self) -> bool {
        matches!(self.fate, Fate::Written | Fate::Refused | Fate::Deadly("history"))
    }
}

/// A topology and its records.
#[derive(Clone, Debug)]
pub struct Workload {
    pub topology: Arc<Topology>,
    pub text: String,
    pub partitions: u32,
    /// In the order of sending; the offset of each is its place among those of its partition.
    pub records: Vec<Sent>,
    /// Whether a second writer is there, and a required one.
    pub copy: bool,
    /// Whether the cache is a required one.
    pub cache_required: bool,
    /// The most batches on a link, and bytes.
    pub link: (usize, usize),
    /// What the table of `history` is like.
    pub declared: Declared,
}

impl Workload {
    pub fn of(rng: &mut fastrand::Rng) -> Self {
        let partitions = rng.u32(1..=4);
        let shape = Shape::of(rng);
        let records = records(rng, partitions);
        Self::with(&shape, partitions, records)
    }

    /// Those records through a topology of that shape.
    pub fn with(shape: &Shape, partitions: u32, records: Vec<Sent>) -> Self {
        let text = shape.topology();
        let (loaded, diagnostics) = load_unconnected(&Source::new("sim.yaml", text.as_str()), &|_| None);
        let (topology, _) = loaded.unwrap_or_else(|| panic!("{diagnostics:?}\n{text}"));
        let declared = Declared {
            check: vec![("not_unlucky".into(), format!("price != {UNLUCKY}"))],
            ..Declared::default()
        };
        let Shape { copy, cache_required, link, .. } = *shape;
        let (topology, copy) = (Arc::new(topology), copy.is_some());
        Self { topology, text, partitions, records, copy, cache_required, link, declared }
    }

    /// Sends one more record to every partition, when all others are sent.
    pub fn trail(&mut self, at: Duration) {
        for partition in 0..self.partitions {
            let id = self.records.len() as i64 + 1;
            let at_ms = at.as_millis() as u64;
            self.records.push(Sent::new(id, partition, at_ms, Fate::Written, 0, NAMES[0]));
        }
    }

    /// The records of each partition; the place of each is its offset.
    pub fn of_partition(&self, partition: u32) -> impl Iterator<Item = (i64, &Sent)> {
        let own = self.records.iter().filter(move |sent| sent.partition == partition);
        own.enumerate().map(|(offset, sent)| (offset as i64, sent))
    }

    /// Each record that kills somebody: whom, and where it is.
    pub fn deadly(&self) -> Vec<(&'static str, u32, i64)> {
        let of_partition = |partition| {
            self.of_partition(partition).filter_map(move |(offset, sent)| match sent.fate {
                Fate::Deadly(actor) => Some((actor, partition, offset)),
                _ => None,
            })
        };
        (0..self.partitions).flat_map(of_partition).collect()
    }
}

/// What a topology is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of its supervisor.
    pub strategy: &'static str,
    /// Clones of the normalizer.
    pub clones: u8,
    /// When `history` flushes: rows, milliseconds.
    pub history: (u8, u8),
    /// The most transactions that a writer has in flight.
    pub transactions: u8,
    /// When a second writer does, if there is one.
    pub copy: Option<(u8, u8)>,
    pub cache_required: bool,
    /// The most batches on a link, and bytes.
    pub link: (usize, usize),
}

impl Shape {
    fn of(rng: &mut fastrand::Rng) -> Self {
        let copy = rng.u8(..3) == 0;
        let cache_required = rng.u8(..3) == 0;
        let link = (rng.usize(2..=8), LINK_BYTES[rng.usize(..LINK_BYTES.len())]);
        let strategy = ["one_for_one", "one_for_all", "rest_for_one"][rng.usize(..3)];
        let clones = rng.u8(1..=2);
        let mut flush = || (rng.u8(1..=6), rng.u8(1..=40));
        let history = flush();
        let copy = copy.then(flush);
        let transactions = rng.u8(1..=3);
        Self { strategy, clones, history, transactions, copy, cache_required, link }
    }

    fn topology(&self) -> String {
        let Self { strategy, clones, history, transactions, copy, cache_required, link } = self;
        let flush = |(rows, interval): &(u8, u8)| {
            format!("{{ rows: {rows}, interval: {interval}ms }}, transactions: {transactions}")
        };
        let link = format!("link: {{ batches: {}, bytes: {} }}", link.0, link.1);
        let policy = if *cache_required { "required" } else { "best_effort" };
        let mut text = format!(
            r#"
topology: sim
supervisors:
  root: {{ strategy: {strategy}, intensity: 1000, period: 1s, backoff: {{ initial: 10ms, max: 500ms }}, children: [ticks, trades, history, {last}last] }}
actors:
  ticks: {{ kind: kafka_source, topic: md.raw }}
  trades:
    kind: normalizer
    from: ticks
    parallelism: {clones}
    {link}
    select: msg.e == "t"
    fields:
      ts:    {{ type: timestamp, path: /T, unit: ms }}
      id:    {{ type: int64, path: /t }}
      who:   {{ type: text, expr: key }}
      price: {{ type: "decimal(18,2)", path: /p }}
    require: {{ price_positive: price > 0 }}
    event_time: {{ field: ts, future_max: 10s }}
  history: {{ kind: timescale_writer, from: trades, table: market.trades, {link}, flush: {history} }}
  last: {{ kind: redis_cache, from: trades, key: "last:{{who}}", value: [id, price], order_by: ts, policy: {policy}, {link} }}
"#,
            last = if copy.is_some() { "copy, " } else { "" },
            history = flush(history),
        );
        if let Some(copy) = copy {
            let flush = flush(copy);
            let _ = writeln!(
                text,
                "  copy: {{ kind: timescale_writer, from: trades, table: market.copy, {link}, flush: {flush} }}"
            );
        }
        text
    }
}

fn records(rng: &mut fastrand::Rng, partitions: u32) -> Vec<Sent> {
    let count = rng.usize(8..=60);
    // Some bursts, some long after the others.
    let mut bursts: Vec<u64> = (0..rng.usize(1..=6)).map(|_| rng.u64(..12_000)).collect();
    if rng.bool() {
        // Some are there before anybody reads.
        bursts[0] = 0;
    }
    let mut moments: Vec<u64> =
        (0..count).map(|_| bursts[rng.usize(..bursts.len())] + rng.u64(..20)).collect();
    moments.sort_unstable();
    let mut deadly_left = if rng.u8(..4) == 0 { rng.u8(1..=2) } else { 0 };
    let record = |(id, at): (usize, u64)| {
        let fate = match rng.u8(..20) {
            0 => Fate::Rejected("trades", "not_json"),
            1 => Fate::Rejected("trades", "price_positive"),
            2 => Fate::Rejected("trades", "event_time"),
            3 => Fate::Refused,
            4 => [Fate::Filtered, Fate::Marker][rng.usize(..2)],
            5 if deadly_left > 0 => {
                deadly_left -= 1;
                Fate::Deadly(["trades", "history"][rng.usize(..2)])
            }
            _ => Fate::Written,
        };
        // Ties and stragglers: the newest by its time is often not the last to come.
        let late_s = rng.i64(0..4);
        let partition = rng.u32(..partitions);
        let who = NAMES[rng.usize(..NAMES.len())];
        Sent::new(id as i64 + 1, partition, at, fate, late_s, who)
    };
    moments.into_iter().enumerate().map(record).collect()
}

fn value(id: i64, time_ms: i64, fate: Fate) -> Vec<u8> {
    let (kind, price) = match fate {
        Fate::Rejected(_, "not_json") => return format!("nonsense {id}").into_bytes(),
        Fate::Rejected(_, "price_positive") => ("t", -1),
        Fate::Refused => ("t", UNLUCKY),
        Fate::Marker => return Vec::new(),
        Fate::Filtered => ("q", 1),
        Fate::Written | Fate::Deadly(_) | Fate::Rejected(..) => ("t", 100 + id),
    };
    format!(r#"{{"e":"{kind}","T":{time_ms},"t":{id},"p":"{price}"}}"#).into_bytes()
}
