//! Drafts, as a reviewer sees them.

use super::*;
use crate::timescale::migrate::MigrationSet;
use aqueduct_topology::Source;
use std::path::{Path, PathBuf};

fn env(name: &str) -> Option<String> {
    match name {
        "KAFKA_BOOTSTRAP" => Some("127.0.0.1:9092".into()),
        "TIMESCALE_URL" => Some("postgres://u@127.0.0.1/d".into()),
        "REDIS_URL" => Some("redis://127.0.0.1".into()),
        "SCHEMA_REGISTRY_URL" => Some("http://127.0.0.1".into()),
        file if file.ends_with("_FILE") => Some(format!("/run/secrets/{file}")),
        _ => None,
    }
}

fn topology(text: &str) -> Topology {
    let source = Source::new("topology.yaml", text);
    let (topology, found) = aqueduct_topology::load(&source, &env);
    topology.unwrap_or_else(|| panic!("{}", aqueduct_topology::to_text(&source, &found, false)))
}

fn none() -> MigrationSet {
    MigrationSet::topology("t", "migrations", []).unwrap()
}

fn with(files: &[(&str, &str)]) -> MigrationSet {
    MigrationSet::topology("t", "migrations", files.iter().copied()).unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/topologies")
}

const TRADES: &str = "
topology: t
actors:
  ticks: { kind: kafka_source, topic: t }
  trades: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, path: /t }, symbol: { type: text, path: /s }, note: { type: json, path: /n, optional: true } } }
  history: { kind: timescale_writer, from: trades, table: market.trades }
";

#[test]
fn a_declared_policy_is_in_the_draft() {
    let text = TRADES.replace(
        "table: market.trades",
        "table: market.trades, retention: 90d, chunk_interval: 6h, compress_after: 7d",
    );
    let text = text + "  keeper: { kind: schedule, every: 1h, run: retention }\n";
    let sql = draft(&topology(&text), &none()).unwrap().unwrap().sql;
    assert!(sql.contains("by_range('ts', INTERVAL '6 hours')"), "{sql}");
    assert!(sql.contains("INTERVAL '7 days', if_not_exists => true"), "{sql}");
    assert!(!draft(&topology(TRADES), &none()).unwrap().unwrap().sql.contains("compress"));
}

#[test]
fn the_migrations_of_the_examples_are_what_is_drafted_for_them() {
    let mut with_tables = Vec::new();
    for entry in std::fs::read_dir(examples()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(folder.join("topology.yaml")).unwrap();
        let topology = topology(&text);
        let Some(draft) = draft(&topology, &none()).unwrap() else { continue };
        let file = folder.join("migrations").join(&draft.file_name);
        let stored = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}; `aqueduct migrate new` writes it:\n{}", file.display(), draft.sql)
        });
        assert_eq!(stored, draft.sql, "{}", file.display());
        let set = MigrationSet::beside(&topology.name.value, &folder.join("topology.yaml")).unwrap();
        assert_eq!(super::draft(&topology, &set).unwrap(), None, "{} is covered", folder.display());
        with_tables.push(folder.file_name().unwrap().to_string_lossy().into_owned());
    }
    with_tables.sort();
    assert_eq!(
        with_tables,
        [
            "audit-log",
            "executions",
            "fills",
            "kraken",
            "md-trades",
            "minimal",
            "orders",
            "phemex",
            "plant",
            "quotes",
            "risk-gate",
            "staging"
        ]
    );
}

#[test]
fn every_type_has_its_column() {
    let text = "
topology: t
actors:
  ticks: { kind: kafka_source, topic: t }
  rows:
    kind: normalizer
    from: ticks
    fields:
      at:     { type: timestamp, path: /t }
      name:   { type: text, path: /s }
      count:  { type: int64, path: /c }
      ratio:  { type: float64, path: /r, optional: true }
      price:  { type: \"decimal(18,8)\", path: /p }
      flag:   { type: bool, path: /f, default: false }
      extra:  { type: json, path: /x, optional: true }
  history: { kind: timescale_writer, from: rows, table: Market.Rows, unique: [name, at] }
";
    let draft = draft(&topology(text), &none()).unwrap().unwrap();
    assert_eq!(draft.file_name, "0001_market_rows.sql");
    insta::assert_snapshot!(draft.sql);
}

#[test]
fn who_replaces_rows_may_update_them() {
    let keyed = |options: &str| {
        let text = TRADES
            .replace("table: market.trades", &format!("table: market.trades, unique: [ts, symbol]{options}"));
        assert_ne!(text, TRADES);
        draft(&topology(&text), &none()).unwrap().unwrap().sql
    };
    let (kept, replaced) = (keyed(""), keyed(", on_conflict: replace"));
    let grants = |sql: &str| sql.contains("GRANT SELECT, INSERT, UPDATE ON \"market\".\"trades\"");
    assert!(grants(&replaced) && !grants(&kept), "{replaced}");
    assert!(kept.contains("is not written again") && replaced.contains("takes the place"), "{replaced}");
}

#[test]
fn rows_without_a_time_go_into_a_plain_table() {
    let mut topology = topology(TRADES);
    for actor in &mut topology.actors {
        if let Kind::Normalizer(normalizer) = &mut actor.kind {
            normalizer.event_time = None;
        }
    }
    let sql = draft(&topology, &none()).unwrap().unwrap().sql;
    assert!(!sql.contains("create_hypertable") && sql.contains("stays a plain table"), "{sql}");
    assert!(!sql.contains("CREATE INDEX"), "no suggestion without a time: {sql}");
}

#[test]
fn a_table_that_a_file_creates_is_not_drafted_again() {
    let file = "CREATE TABLE IF NOT EXISTS Market.trades (ts timestamptz, symbol text, note jsonb);";
    assert_eq!(draft(&topology(TRADES), &with(&[("0001_a.sql", file)])).unwrap(), None);
    let commented = "-- CREATE TABLE market.trades (ts timestamptz, symbol text, note jsonb)\nSELECT 'CREATE TABLE market.trades (x int)';";
    let draft = draft(&topology(TRADES), &with(&[("0001_a.sql", commented)])).unwrap().unwrap();
    assert_eq!(draft.file_name, "0002_market_trades.sql");
}

#[test]
fn a_field_that_the_table_lacks_is_added() {
    let first = "CREATE TABLE market.trades (ts timestamptz);";
    let second = "ALTER TABLE market.trades ADD COLUMN symbol text;";
    let draft =
        draft(&topology(TRADES), &with(&[("0001_a.sql", first), ("0002_b.sql", second)])).unwrap().unwrap();
    assert_eq!(draft.file_name, "0003_market_trades_columns.sql");
    let statements: Vec<_> =
        draft.sql.lines().filter(|line| !line.starts_with("--") && !line.is_empty()).collect();
    assert_eq!(statements, [r#"ALTER TABLE "market"."trades" ADD COLUMN "note" jsonb;"#]);
}

#[test]
fn a_draft_is_a_migration_itself_and_covers_the_topology() {
    let topology = topology(TRADES);
    let drafted = draft(&topology, &none()).unwrap().unwrap();
    let set = with(&[(&drafted.file_name, &drafted.sql)]);
    assert_eq!(set.files[0].statements().unwrap().len(), 4, "schema, table, hypertable, grants");
    assert_eq!(draft(&topology, &set).unwrap(), None);
}

#[test]
fn two_writers_of_one_schema_share_a_file() {
    let text = TRADES.to_owned() + "  copy: { kind: timescale_writer, from: trades, table: market.copy }\n";
    let draft = draft(&topology(&text), &none()).unwrap().unwrap();
    assert_eq!(draft.file_name, "0001_market_trades_market_copy.sql");
    assert_eq!(draft.sql.matches("CREATE SCHEMA").count(), 1);
    assert_eq!(draft.sql.matches("CREATE TABLE \"").count(), 2);
}

#[test]
fn a_quote_in_a_literal_is_doubled() {
    assert_eq!(literal("a'b"), "'a''b'");
}
