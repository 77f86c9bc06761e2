use super::*;
use crate::timescale::retention::{Edition, Hold};
use aqueduct_topology::{Source, load};

const DAY: i64 = DAY_US;
const NOW: i64 = 20_000 * DAY;

fn topology(policy: &str, schedule: &str) -> Topology {
    let text = format!(
        "topology: t\nconnections: {{ kafka: {{ bootstrap: \"k:1\" }}, timescale: {{ url: \"postgres://d/d\" }} }}\nactors:\n  \
         a: {{ kind: kafka_source, topic: x }}\n  b: {{ kind: normalizer, from: a, fields: {{ ts: {{ type: timestamp, path: /t }} }} }}\n  \
         c: {{ kind: timescale_writer, from: b, table: m.t{policy} }}\n{schedule}"
    );
    let (topology, found) = load(&Source::new("t.yaml", text), &|_| None);
    topology.unwrap_or_else(|| panic!("{found:?}"))
}

const HOURLY: &str = "  k: { kind: schedule, every: 1h, run: retention }\n";

fn chunks(days_ago: &[i64]) -> Vec<Chunk> {
    let chunk = |ago: &i64| Chunk {
        from_us: NOW - (ago + 1) * DAY,
        to_us: NOW - ago * DAY,
        bytes: 1000,
        held: false,
    };
    days_ago.iter().map(chunk).collect()
}

fn live(chunks: Vec<Chunk>) -> Live {
    let table = LiveTable {
        table: "m.t".into(),
        is_hypertable: true,
        chunk_interval_us: Some(DAY),
        bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
        chunks,
        ..LiveTable::default()
    };
    Live { edition: Edition::Apache, tables: vec![table], holds: Vec::<Hold>::new(), drops: Vec::new() }
}

fn kinds(report: &Report) -> Vec<(FindingKind, bool)> {
    report.findings.iter().map(|finding| (finding.kind, finding.breach)).collect()
}

#[test]
fn what_is_past_is_a_breach_unless_it_is_held_or_the_next_run_is_still_to_come() {
    let topology = topology(", retention: 10d", HOURLY);
    let mut there = live(chunks(&[12, 11, 10, 9, 0]));
    let report = audit(&topology, there.clone(), NOW);
    assert_eq!(report.tables[0].past, Past { chunks: 3, bytes: 3000, held: 0, late: 2 });
    assert_eq!(kinds(&report), [(FindingKind::PastRetention, true)]);
    assert!(
        report.breach && report.findings[0].message.starts_with("2 chunks are past the retention of 10 days")
    );
    for chunk in &mut there.tables[0].chunks[..2] {
        chunk.held = true;
    }
    let report = audit(&topology, there, NOW);
    assert_eq!((report.tables[0].past.held, report.tables[0].past.late, report.breach), (2, 0, false));
}

#[test]
fn a_cron_line_gives_until_its_next_time() {
    let nightly = "  k: { kind: schedule, every: \"0 3 * * *\", run: retention }\n";
    let report = audit(&topology(", retention: 10d", nightly), live(chunks(&[11, 10])), NOW);
    assert_eq!(report.tables[0].past.late, 0, "a day and an hour");
    let report = audit(&topology(", retention: 10d", nightly), live(chunks(&[12, 10])), NOW);
    assert_eq!(report.tables[0].past.late, 1);
}

#[test]
fn nobody_who_drops_is_a_breach_and_no_policy_is_none() {
    let report = audit(&topology(", retention: 10d", ""), live(chunks(&[1])), NOW);
    assert_eq!(kinds(&report), [(FindingKind::NobodyDrops, true)]);
    let report = audit(&topology("", ""), live(chunks(&[1])), NOW);
    assert_eq!(kinds(&report), [(FindingKind::NoPolicy, false)]);
    let mut there = live(chunks(&[1]));
    there.tables[0].table = "other.t".into();
    let report = audit(&topology(", retention: 10d", HOURLY), there, NOW);
    assert_eq!(kinds(&report), [(FindingKind::NotAHypertable, true), (FindingKind::NoPolicy, false)]);
    assert_eq!(report.tables.iter().map(|table| table.kind).collect::<Vec<_>>(), ["missing", "hypertable"]);
}

#[test]
fn a_policy_of_the_server_and_other_chunks_than_declared_are_breaches() {
    let topology = topology(", retention: 10d, chunk_interval: 2d, compress_after: 3d", HOURLY);
    let mut there = live(chunks(&[1]));
    there.tables[0].drops_after = Some("30 days".into());
    let report = audit(&topology, there.clone(), NOW);
    let expected = [
        (FindingKind::ServerDrops, true),
        (FindingKind::ChunkInterval, true),
        (FindingKind::NobodyCompresses, false),
    ];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.findings[1].message, "new chunks span 1 day, and 2 days is declared");
    // An edition that can and does not is a breach.
    there.edition = Edition::Timescale;
    assert_eq!(kinds(&audit(&topology, there.clone(), NOW))[2], (FindingKind::NobodyCompresses, true));
    there.tables[0].compresses_after = Some("3 days".into());
    let report = audit(&topology, there, NOW);
    assert_eq!((report.findings.len(), report.tables[0].compressed_by), (2, "server"));
}

#[test]
fn growth_is_that_of_the_last_days_without_the_chunk_that_still_fills() {
    let mut measured = chunks(&[30, 3, 2, 1, 0]);
    measured[4].bytes = 7;
    measured[0].bytes = 9_999_999;
    assert_eq!(growth(&measured), Some(1000));
    assert_eq!(growth(&chunks(&[0])), Some(1000));
    assert_eq!(growth(&[]), None);
    let report = audit(&topology(", retention: 30d, growth: 500B/d", HOURLY), live(measured), NOW);
    assert!(kinds(&report).contains(&(FindingKind::Growth, false)));
}

#[test]
fn a_table_grows_up_to_what_its_retention_keeps() {
    let day = Some(DAY);
    let kept = forecast(5000, 1000, Some(10 * 86_400), day);
    assert_eq!(kept, Forecast { bytes_30d: 11_000, bytes_90d: 11_000, bytes_steady: Some(11_000) });
    let forever = forecast(5000, 1000, None, day);
    assert_eq!(forever, Forecast { bytes_30d: 35_000, bytes_90d: 95_000, bytes_steady: None });
}
