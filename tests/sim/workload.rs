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
    /// The most batches on a link, and bytes.
    pub link: (usize, usize),
    /// What the table of `history` is like.
    pub declared: Declared,
}

impl Workload {
    pub fn of(rng: &mut fastrand::Rng) -> Self {
        let partitions = rng.u32(1..=4);
        let copy = rng.u8(..3) == 0;
        let cache_required = rng.u8(..3) == 0;
        let link = (rng.usize(2..=8), LINK_BYTES[rng.usize(..LINK_BYTES.len())]);
        let text = topology(rng, copy, cache_required, link);
        let (loaded, diagnostics) = load_unconnected(&Source::new("sim.yaml", text.as_str()), &|_| None);
        let (topology, _) = loaded.unwrap_or_else(|| panic!("{diagnostics:?}\n{text}"));
        let declared = Declared {
            check: vec![("not_unlucky".into(), format!("price != {UNLUCKY}"))],
            ..Declared::default()
        };
        let records = records(rng, partitions);
        let topology = Arc::new(topology);
        Self { topology, text, partitions, records, copy, link, declared }
    }

    /// Sends one more record to every partition, when all others are sent.
    pub fn trail(&mut self, at: Duration) {
        for partition in 0..self.partitions {
            let (id, fate, who) = (self.records.len() as i64 + 1, Fate::Written, NAMES[0]);
            let time_ms = BEGINS_MS + at.as_millis() as i64;
            self.records.push(Sent {
                id,
                partition,
                at,
                fate,
                time_ms,
                who,
                value: value(id, time_ms, fate),
            });
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

fn topology(rng: &mut fastrand::Rng, copy: bool, cache_required: bool, link: (usize, usize)) -> String {
    let strategy = ["one_for_one", "one_for_all", "rest_for_one"][rng.usize(..3)];
    let clones = rng.u8(1..=2);
    let flush =
        |rng: &mut fastrand::Rng| format!("{{ rows: {}, interval: {}ms }}", rng.u8(1..=6), rng.u8(1..=40));
    let link = format!("link: {{ batches: {}, bytes: {} }}", link.0, link.1);
    let policy = if cache_required { "required" } else { "best_effort" };
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
        last = if copy { "copy, " } else { "" },
        history = flush(rng),
    );
    if copy {
        let flush = flush(rng);
        let _ = writeln!(
            text,
            "  copy: {{ kind: timescale_writer, from: trades, table: market.copy, {link}, flush: {flush} }}"
        );
    }
    text
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
            4 => Fate::Filtered,
            5 if deadly_left > 0 => {
                deadly_left -= 1;
                Fate::Deadly(["trades", "history"][rng.usize(..2)])
            }
            _ => Fate::Written,
        };
        let at = Duration::from_millis(at);
        // Ties and stragglers: the newest by its time is often not the last to come.
        let time_ms = BEGINS_MS + at.as_millis() as i64 - rng.i64(0..4) * 1000;
        let time_ms = if fate == Fate::Rejected("trades", "event_time") { time_ms + 20_000 } else { time_ms };
        let (id, partition) = (id as i64 + 1, rng.u32(..partitions));
        let who = NAMES[rng.usize(..NAMES.len())];
        Sent { id, partition, at, fate, time_ms, who, value: value(id, time_ms, fate) }
    };
    moments.into_iter().enumerate().map(record).collect()
}

fn value(id: i64, time_ms: i64, fate: Fate) -> Vec<u8> {
    let (kind, price) = match fate {
        Fate::Rejected(_, "not_json") => return format!("nonsense {id}").into_bytes(),
        Fate::Rejected(_, "price_positive") => ("t", -1),
        Fate::Refused => ("t", UNLUCKY),
        Fate::Filtered => ("q", 1),
        Fate::Written | Fate::Deadly(_) | Fate::Rejected(..) => ("t", 100 + id),
    };
    format!(r#"{{"e":"{kind}","T":{time_ms},"t":{id},"p":"{price}"}}"#).into_bytes()
}
