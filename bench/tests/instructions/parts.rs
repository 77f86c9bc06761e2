//! The pure parts of the hot path, each on fixed input: what a row costs between Kafka's client and the database's.

use aqueduct_actors::normalizer::Decoder;
use aqueduct_actors::redis_cache::rows::Layout;
use aqueduct_actors::timescale_writer::encode::{Cells, Encoding, put_rows};
use aqueduct_bench::workload::{self, Work};
use aqueduct_engine::Batch;
use aqueduct_engine::link::{Bounds, Link, Receiver, Sender};
use aqueduct_engine::testing::RecordsBuilder;
use aqueduct_topology::model::{Kind, Normalizer, RedisCache};
use aqueduct_topology::{Source, load};
use std::hint::black_box;

/// Messages of a batch.
const MESSAGES: usize = 2_048;
/// Batches that go over the link.
const HOPS: u64 = 256;
/// Conditions on flat ticks: what `select` and `require` cost beside the decoding of the same ticks.
const CONDITIONS: &str = "    select: msg.side in [\"buy\", \"sell\"] && msg.trade_id > 0
    require:
      price_positive: price > 0.0
      size_sane: size > 0.0 && size < 1e6
      symbol_synthetic: symbol.startsWith(\"SYN\")
      notional_sane: price * size < 1e9
";

/// What flat ticks also hold: fields computed from others.
const COMPUTED: &str = "      notional: { type: float64, expr: price * size }
      is_large: { type: bool, expr: price * size > 1e5 }
      next_id:  { type: int64, expr: trade_id + 1 }
";

/// One part with its input.
#[allow(clippy::large_enum_variant, reason = "there is one of them in a process")]
pub(super) enum Part {
    /// Messages to typed columns.
    Decode { decoder: Decoder, batch: Batch },
    /// Columns to COPY BINARY.
    Encode { batch: Batch, plan: Vec<(usize, Encoding)>, out: Vec<u8> },
    /// Batches over a link: push, lease, settle.
    Hop { sender: Sender, receiver: Receiver, batch: Batch },
    /// The newest row of each key.
    Coalesce { layout: Layout, batch: Batch },
}

impl Part {
    /// All of them.
    pub(super) const NAMES: [&str; 8] = [
        "coalesce",
        "computed",
        "conditions",
        "decode_flat",
        "decode_venues",
        "encode",
        "hop",
        "venues_conditions",
    ];

    /// The part of this name, ready to run.
    pub(super) fn named(name: &str) -> Option<Self> {
        let flat = Work::Ticks;
        match name {
            "decode_flat" => Some(decode(&text_of(flat), flat)),
            "conditions" => {
                let text = text_of(flat).replacen("    fields:\n", &format!("{CONDITIONS}    fields:\n"), 1);
                Some(decode(&text, flat))
            }
            "computed" => {
                let text = text_of(flat).replacen(
                    "    event_time: ts\n",
                    &format!("{COMPUTED}    event_time: ts\n"),
                    1,
                );
                Some(decode(&text, flat))
            }
            "decode_venues" => Some(decode(&text_of(Work::Venues), Work::Venues)),
            "venues_conditions" => Some(decode(&text_of(Work::Conditions), Work::Conditions)),
            "encode" => Some(Part::Encode {
                batch: decoded(flat),
                // As the fields of the topology stand.
                plan: [
                    Encoding::Timestamptz,
                    Encoding::Text,
                    Encoding::Text,
                    Encoding::Float8,
                    Encoding::Float8,
                    Encoding::Text,
                    Encoding::Int8,
                ]
                .into_iter()
                .enumerate()
                .collect(),
                out: Vec::with_capacity(MESSAGES * 160),
            }),
            "hop" => {
                let link = Link::new(Bounds { batches: 16, bytes: 64 << 20 });
                Some(Part::Hop { sender: link.sender(), receiver: link.receiver(), batch: decoded(flat) })
            }
            "coalesce" => {
                let layout = Layout::new(&cache(&text_of(flat)), vec!["ticks".into()]);
                Some(Part::Coalesce { layout, batch: decoded(flat) })
            }
            _ => None,
        }
    }

    /// Does it once; how many rows (or hops) that was.
    #[inline(never)]
    pub(super) fn run(&mut self) -> u64 {
        match self {
            Part::Decode { decoder, batch } => {
                let decoded = decoder.decode(batch);
                assert!(decoded.rejects.is_empty(), "the market is well formed");
                black_box(decoded).rows.num_rows() as u64
            }
            Part::Encode { batch, plan, out } => {
                out.clear();
                let rows = batch.rows.num_rows();
                let cells = Cells::of(&batch.rows, plan).expect("the columns' types");
                black_box(put_rows(&cells, 0..rows, usize::MAX, out))
                    .expect("rows that have a place in their columns");
                rows as u64
            }
            Part::Hop { sender, receiver, batch } => {
                for _ in 0..HOPS {
                    // Offsets go up, as they do in a partition.
                    let length = batch.origin.next - batch.origin.first;
                    (batch.origin.first, batch.origin.next) = (batch.origin.next, batch.origin.next + length);
                    assert!(sender.try_push(batch.clone()).is_ok(), "the link has room");
                    receiver.try_lease().expect("a batch waits").settle();
                }
                HOPS
            }
            Part::Coalesce { layout, batch } => {
                let winners = layout.winners(batch, 0).expect("the columns are there");
                assert!(winners.coalesced > 0, "symbols come again");
                black_box(winners);
                batch.rows.num_rows() as u64
            }
        }
    }
}

fn decode(topology: &str, work: Work) -> Part {
    Part::Decode { decoder: decoder(topology), batch: messages(work) }
}

fn decoder(topology: &str) -> Decoder {
    Decoder::new(&normalizer(topology)).expect("the topology compiles")
}

fn decoded(work: Work) -> Batch {
    let batch = messages(work);
    let rows = decoder(&text_of(work)).decode(&batch).rows;
    batch.with_rows(rows)
}

fn messages(work: Work) -> Batch {
    let market = workload::market(work, workload::SYMBOLS, 0).take(MESSAGES);
    market
        .fold(RecordsBuilder::new(0, 0), |records, message| {
            records.value(message.value).time_ms(Some(message.time_ms))
        })
        .build()
}

fn text_of(work: Work) -> String {
    work.topology().to_owned()
}

fn kinds(topology: &str) -> Vec<Kind> {
    let environment = |name: &str| match name {
        "TIMESCALE_URL" => Some("postgres://127.0.0.1:1/x".to_owned()),
        "REDIS_URL" => Some("redis://127.0.0.1:1".to_owned()),
        "KAFKA_BOOTSTRAP" => Some("127.0.0.1:1".to_owned()),
        _ => Some("bench".to_owned()),
    };
    let (read, diagnostics) = load(&Source::new("topology.yaml", topology), &environment);
    let read = read.unwrap_or_else(|| panic!("{diagnostics:?}"));
    read.actors.into_iter().map(|actor| actor.kind).collect()
}

fn normalizer(topology: &str) -> Normalizer {
    let found = kinds(topology).into_iter().find_map(|kind| match kind {
        Kind::Normalizer(normalizer) => Some(normalizer),
        _ => None,
    });
    found.expect("the topology has a normalizer")
}

fn cache(topology: &str) -> RedisCache {
    let found = kinds(topology).into_iter().find_map(|kind| match kind {
        Kind::RedisCache(cache) => Some(cache),
        _ => None,
    });
    found.expect("the topology has a cache")
}
