//! Recorded market data, with totals known exactly.

use crate::harness::node::Node;
use crate::harness::world::World;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

const RUN_MAX: Duration = Duration::from_secs(180);

/// A recorded file that may not be committed; `None` (and a note) where it is absent.
pub(super) fn recorded(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !file.exists() {
        eprintln!("skipped: {name} is not on this machine");
        return None;
    }
    Some(file)
}

pub(super) fn unzipped(file: &Path) -> impl BufRead {
    BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(file).expect("open")))
}

const BINANCE_CSV: &str = r#"
topology: binance-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" } }
actors:
  raw: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: raw
    fields:
      ts:       { type: timestamp, path: /trade_ms, unit: ms }
      market:   { type: text, path: /market }
      symbol:   { type: text, path: /symbol }
      trade_id: { type: int64, path: /trade_id }
      price:    { type: "decimal(18,8)", path: /price }
      qty:      { type: "decimal(18,8)", path: /qty }
      maker:    { type: text, path: /buyer_is_maker, map: { "1": sell, "0": buy } }
  history: { kind: timescale_writer, from: trades, table: market.trades }
"#;

/// market, symbol, rows, sum of qty, sum of price * qty, least and greatest price.
const TOTALS: [(&str, &str, i64, &str, &str, &str, &str); 6] = [
    ("spot", "BTCUSDT", 19_904, "437.91552", "27006929.5910348", "61556.04", "61860.8"),
    ("spot", "ETHUSDT", 14_515, "4272.7241", "11454209.126352", "2673.6", "2685.37"),
    ("usdm", "BTCUSDT", 21_313, "2429.366", "149845680.8898", "61590.3", "61839.9"),
    ("usdm", "ETHUSDT", 14_076, "9164.948", "24574856.5142", "2677.9", "2684.82"),
    ("cm", "BTCUSD_PERP", 5_235, "182183", "11232102459.4", "61536.4", "61845"),
    ("cm", "ETHUSD_PERP", 3_595, "459497", "1231461678.42", "2673.37", "2684.85"),
];

#[test]
fn every_recorded_binance_trade_arrives_with_exact_totals() {
    let Some(file) = recorded("binance_trades_20240808_09.csv.gz") else { return };
    let world = World::shared();
    let topology = world.write_topology(BINANCE_CSV);
    world.migrate(&topology);
    let feed = world.feed();
    let mut reader = csv::Reader::from_reader(unzipped(&file));
    let mut sent = 0_i64;
    for record in reader.deserialize() {
        let record: BTreeMap<String, String> = record.expect("a line");
        let value = serde_json::to_vec(&record).expect("JSON");
        let time = record["trade_ms"].parse().expect("a time");
        feed.send(Some(record["symbol"].as_bytes()), Some(&value), Some(time)).expect("send");
        sent += 1;
    }
    feed.flush().expect("flush");
    assert_eq!(sent, 78_638);
    let node = Node::start(&world, &topology, "recorded", &["--until-idle", "1s"]);
    assert_eq!(node.exit_code(RUN_MAX), 0);

    let sql = world.sql();
    assert_eq!(sql.integer("SELECT count(*) FROM aqueduct.dead_letter"), 0);
    let query = "SELECT count(*), trim_scale(sum(qty))::text, trim_scale(sum(price * qty))::text,
                        trim_scale(min(price))::text, trim_scale(max(price))::text, max(trade_id) - min(trade_id) + 1
                 FROM market.trades WHERE market = $1 AND symbol = $2";
    for (market, symbol, rows, qty, notional, least, greatest) in TOTALS {
        let row = &sql.rows(query, &[&market, &symbol])[0];
        let found: (i64, String, String, String, String, i64) =
            (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4), row.get(5));
        let expected = (rows, qty.into(), notional.into(), least.into(), greatest.into(), rows);
        assert_eq!(found, expected, "{market} {symbol}: rows, qty, price * qty, min, max, span of ids");
    }
    assert_eq!(sql.integer("SELECT count(*) FROM market.trades"), 78_638);
}

const BINANCE_RAW: &str = r#"
topology: multi-{topic}
connections: { kafka: { bootstrap: "${KAFKA_BOOTSTRAP}" }, timescale: { url: "${TIMESCALE_URL}" } }
actors:
  raw: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: raw
    select: msg.msg.data.e == "trade" || msg.msg.data.e == "aggTrade"
    fields:
      ts:       { type: timestamp, path: /msg/data/T, unit: ms }
      conn:     { type: text, path: /conn }
      symbol:   { type: text, path: /msg/data/s }
      price:    { type: "decimal(18,8)", path: /msg/data/p }
      qty:      { type: "decimal(18,8)", path: /msg/data/q }
  history: { kind: timescale_writer, from: trades, table: market.trades }
"#;

#[test]
fn a_raw_recording_gives_its_trades_and_filters_the_rest() {
    let Some(file) = recorded("binance_multi_60s.jsonl.gz") else { return };
    let world = World::shared();
    let topology = world.write_topology(BINANCE_RAW);
    world.migrate(&topology);
    let feed = world.feed();
    let mut lines = 0_i64;
    for line in unzipped(&file).lines() {
        let line = line.expect("a line");
        feed.send(None, Some(line.as_bytes()), Some(1_723_161_300_000)).expect("send");
        lines += 1;
    }
    feed.flush().expect("flush");
    assert_eq!(lines, 51_047);
    let node = Node::start(&world, &topology, "multi", &[]);
    crate::harness::wait::until("every message decided", RUN_MAX, || {
        (node.ledger("read") == lines && node.ledger("in_flight") == 0).then_some(())
    });
    assert_eq!(node.ledger("written"), 7_269);
    assert_eq!(node.ledger("filtered"), lines - 7_269);
    assert_eq!(node.ledger("dead_lettered"), 0);
    assert_eq!(node.ledger("unaccounted"), 0);
    node.terminate();
    assert_eq!(node.exit_code(RUN_MAX), 0);
    assert_eq!(world.sql().integer("SELECT count(*) FROM market.trades"), 7_269);
}

/// A line of the sample; the message stays byte for byte.
#[derive(serde::Deserialize)]
struct Line<'a> {
    case: &'a str,
    #[serde(borrow)]
    msg: &'a serde_json::value::RawValue,
}

#[test]
fn twenty_one_venues_flow_through_the_example_topology() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text =
        std::fs::read_to_string(root.join("config/topologies/md-trades/topology.yaml")).expect("the example");
    let world = World::shared();
    let text = text
        .replace("topic: md.raw", "topic: \"{topic}\"")
        .replace("topology: md-trades", "topology: md-{topic}");
    let topology = world.write_topology(&text.replace("\"last:", "\"{prefix}last:"));
    world.migrate(&topology);
    let mut sample = String::new();
    std::fs::File::open(root.join("config/samples/crypto_msg_parser_2.9.2.jsonl"))
        .and_then(|mut file| file.read_to_string(&mut sample))
        .expect("the sample");
    let feed = world.feed();
    let (mut messages, mut trades) = (0, 0);
    for line in sample.lines() {
        let line: Line<'_> = serde_json::from_str(line).expect("JSON");
        feed.send(None, Some(line.msg.get().as_bytes()), None).expect("send");
        messages += 1;
        trades += i64::from(line.case.starts_with("trade"));
    }
    feed.flush().expect("flush");
    assert_eq!((messages, trades), (503, 89));
    let node = Node::start(&world, &topology, "venues", &[]);
    crate::harness::wait::until("every message decided", RUN_MAX, || {
        (node.ledger("read") == messages && node.ledger("in_flight") == 0).then_some(())
    });
    assert_eq!(node.ledger("written"), 85, "all but two `tu` and two snapshots of Bitfinex");
    assert_eq!(node.ledger("filtered"), messages - 85);
    assert_eq!(node.ledger("dead_lettered"), 0);
    node.terminate();
    assert_eq!(node.exit_code(RUN_MAX), 0);
    let sql = world.sql();
    let venues = sql.integer("SELECT count(DISTINCT split_part(venue, '_', 1)) FROM market.trades");
    assert_eq!(venues, 20);
}
