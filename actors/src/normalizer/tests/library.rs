//! Recorded messages of real venues through the library's topologies.

use super::{Outcome, normalizer_of, outcome};
use crate::normalizer::Decoder;
use aqueduct_engine::{Batch, testing::RecordsBuilder};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

const MD_TRADES: &str = include_str!("../../../../config/topologies/md-trades/topology.yaml");
const SAMPLES: &str = include_str!("../../../../config/samples/crypto_msg_parser_2.9.2.jsonl");

/// The member `msg` of each line as it is written, and its member `case` where there is one. No Kafka time.
fn recorded(lines: &str) -> (Batch, Vec<String>) {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        msg: &'a serde_json::value::RawValue,
        #[serde(default)]
        case: String,
    }
    let mut records = RecordsBuilder::new(0, 0);
    let mut cases = Vec::new();
    for line in lines.lines() {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        records = records.value(line.msg.get()).time_ms(None);
        cases.push(line.case);
    }
    (records.build(), cases)
}

fn offsets(lines: &[String]) -> Vec<usize> {
    let mut offsets: Vec<usize> =
        lines.iter().map(|line| line.split('.').next().unwrap().parse().unwrap()).collect();
    offsets.dedup();
    offsets
}

#[test]
fn the_recorded_trades_of_all_venues_are_normalized_and_nothing_else() {
    let (batch, cases) = recorded(SAMPLES);
    assert_eq!(batch.raw.len(), 503);
    let found = outcome(&normalizer_of(MD_TRADES), &batch);
    assert_eq!(found.rejects, Vec::<String>::new(), "{:#?}", found.details);
    let messages = offsets(&found.rows);
    assert_eq!(messages.len(), 85);
    for &offset in &messages {
        assert!(cases[offset].starts_with("trade"), "message {offset} is a {}", cases[offset]);
    }
    let trades = cases.iter().filter(|case| case.starts_with("trade")).count();
    assert_eq!((trades, cases.len() - trades), (89, 414));
    assert_eq!(found.filtered, 418);
    let venues: BTreeMap<&str, usize> = found.rows.iter().fold(BTreeMap::new(), |mut venues, row| {
        *venues.entry(row.split([' ', '|']).nth(1).unwrap()).or_default() += 1;
        venues
    });
    assert_eq!(venues.len(), 35, "every case of the file gives rows: {venues:?}");
    let row = "0.0: binance | 2021-03-19T18:01:01.893000Z | BTCUSDT | 58942.010000000000000000 \
               | 0.000356000000000000 | buy | 640283266";
    assert!(found.rows.iter().any(|found| found == row), "{row} is not among {:#?}", found.rows);
}

/// A file of recorded market data, where it is at hand.
fn recording(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let found = [folder, other].into_iter().map(|folder| folder.join(name)).find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: ../shared/data/{name} is not here");
    }
    found
}

#[test]
fn a_minute_of_binance_gives_its_trades_and_nothing_unaccounted() {
    let Some(path) = recording("binance_multi_60s.jsonl.gz") else { return };
    let mut lines = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
    let (batch, _) = recorded(&lines);
    assert_eq!(batch.raw.len(), 51_047);
    let text = MD_TRADES
        .replace(r#"msg.data.e == "aggTrade""#, r#"msg.data.e == "trade""#)
        .replace("/data/a,", "/data/t,");
    let Outcome { rows, rejects, details, filtered } = outcome(&normalizer_of(&text), &batch);
    assert_eq!(rejects, Vec::<String>::new(), "{details:#?}");
    assert_eq!((rows.len(), filtered), (7_269, 51_047 - 7_269));
}

#[test]
fn recorded_messages_cut_and_flipped_never_harm_the_decoder() {
    let (batch, _) = recorded(SAMPLES);
    let mut decoder = Decoder::new(&normalizer_of(MD_TRADES)).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20 {
        let mut records = RecordsBuilder::new(0, 0);
        for index in 0..batch.raw.len() {
            let mut message = batch.raw.value(index).unwrap().to_vec();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(0..message.len());
                match random.u8(0..5) {
                    0 => message.truncate(at.max(1)),
                    1 => message[at] = random.u8(..),
                    2 => message[at] = *random.choice(br#"{}[],:"\09e.-tn"#).unwrap(),
                    3 => drop(message.remove(at)),
                    _ => message.insert(at, random.u8(..)),
                }
                if message.is_empty() {
                    message.push(b'{');
                }
            }
            records = records.value(message);
        }
        let mutated = records.build();
        let decoded = decoder.decode(&mutated);
        let mut rows = mutated.with_rows(decoded.rows).row_offsets().to_vec();
        rows.dedup();
        let mut rejected: Vec<_> = decoded.rejects.iter().map(|reject| reject.offset).collect();
        rejected.dedup();
        let mut judged: Vec<_> = rows.into_iter().chain(rejected).collect();
        judged.sort_unstable();
        judged.dedup();
        assert_eq!(judged.len() as u64 + decoded.filtered, batch.raw.len() as u64);
    }
}
