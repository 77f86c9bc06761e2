//! A table with a value of every type, a place to export it into, and what the manifest of that place says.

use crate::harness::console::{errors, path};
use crate::harness::world::{Sql, World};
use aqueduct_stack::StackDir;
use aqueduct_stack::progress;
use aqueduct_stack::spark::{Spark, provision};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// No row comes by Kafka: what these tests say of times they say themselves.
const TOPOLOGY: &str = r#"
topology: exports-{topic}
connections:
  timescale: { url: "${TIMESCALE_URL}" }
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  rows:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /ts, unit: ms }, k: { type: text, path: /k }, n: { type: int64, path: /n } }
    event_time: ts
  history: { kind: timescale_writer, from: rows, table: market.rows }
"#;

/// Chunks of twelve hours, so that a day has two.
const TABLE: &str = "
CREATE TABLE market.every (
    ts timestamptz NOT NULL, symbol text, price numeric(38,18), free numeric, f4 real, f8 double precision, yes boolean,
    i2 smallint, i4 integer, i8 bigint, doc jsonb, raw json, day date, naive timestamp, bin bytea, id uuid, tags text[]);
SELECT create_hypertable('market.every', by_range('ts', INTERVAL '12 hours'));
GRANT USAGE ON SCHEMA market TO aqueduct_export;
GRANT SELECT ON market.every TO aqueduct_export;";

/// `rows` rows over `days` days from 2026-11-26 on, with microseconds, nulls, the odd ends of every type, and symbols that
/// no folder could be called.
pub const ROWS: &str = r#"
INSERT INTO market.every
SELECT '2026-11-26 00:00:00.000001+00'::timestamptz + i * (interval '{days} days' / {rows}),
    CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'BTC/USD' WHEN 3 THEN '007' WHEN 4 THEN 'a=b%2F' ELSE 'ü ~🚀' END,
    i * 1.000000000000000001 - 5000, CASE WHEN i % 5 > 0 THEN i * 1e30 + 1e-20 END,
    CASE i % 4 WHEN 0 THEN 'NaN'::real WHEN 1 THEN '-0'::real WHEN 2 THEN 'Infinity'::real ELSE i / 3.0 END,
    CASE i % 4 WHEN 0 THEN 'NaN'::float8 WHEN 1 THEN '-0'::float8 WHEN 3 THEN i / 3.0 END,
    CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END, i % 30000, -i, i::bigint * 1000000007,
    jsonb_build_object('n', i, 's', E'q"\n'), CASE WHEN i % 2 = 0 THEN '{"a" :  1.50}'::json END,
    date '1500-01-01' + i, timestamp '1900-01-01 00:00:00.000001' + i * interval '1 hour', decode(md5(i::text), 'hex'),
    CASE WHEN i % 3 = 0 THEN md5(i::text)::uuid END, ARRAY['a', NULL, i::text]
FROM generate_series(0, {rows} - 1) AS i"#;

/// Small data on few cores: what Spark does for large ones only costs time.
pub const QUICK: [&str; 8] = [
    "--master",
    "local[2]",
    "--conf",
    "spark.sql.shuffle.partitions=2",
    "--conf",
    "spark.sql.codegen.wholeStage=false",
    "--conf",
    "spark.driver.extraJavaOptions=-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
];

pub const WHICH: [&str; 8] = [
    "--table",
    "market.every",
    "--assume-closed",
    "--partition-by",
    "day,symbol",
    "--from",
    "2026-11-26",
    "--to",
];

pub struct Place {
    pub world: World,
    pub file: PathBuf,
    pub sql: Sql,
}

impl Place {
    /// With a table of so many rows over so many days.
    pub fn new(rows: u32, days: u32) -> Self {
        let world = World::shared();
        let (file, sql) = world.prepare(TOPOLOGY);
        sql.batch(TABLE);
        let place = Self { world, file, sql };
        if rows > 0 {
            place.insert(rows, days);
        }
        place
    }

    pub fn insert(&self, rows: u32, days: u32) {
        let text = ROWS.replace("{rows}", &rows.to_string()).replace("{days}", &days.to_string());
        self.sql.batch(&text);
    }

    pub fn folder(&self) -> PathBuf {
        self.world.folder().join("exported")
    }

    /// The words of `aqueduct export ..` into the place, as Spark is quickest.
    pub fn words(&self, words: &[&str]) -> Vec<String> {
        let into = self.folder();
        let all = [&["--into", path(&into)], QUICK.as_slice()].concat();
        words.iter().chain(&all).map(|word| (*word).to_owned()).collect()
    }

    /// `aqueduct export FILE` of the table up to `to`, which ends with that code.
    pub fn export(&self, code: i32, to: &str, further: &[&str]) -> Output {
        self.export_with(code, to, further, &[])
    }

    pub fn export_with(&self, code: i32, to: &str, further: &[&str], environment: &[(&str, &str)]) -> Output {
        let words = [&["export", path(&self.file)], WHICH.as_slice(), &[to], further].concat();
        self.ends(code, &words, environment)
    }

    /// `aqueduct export verify FILE` of all that the place holds.
    pub fn verify(&self, code: i32) -> Value {
        let words = ["export", "verify", path(&self.file), "--table", "market.every", "--format", "json"];
        let output = self.ends(code, &words, &[]);
        serde_json::from_slice(&output.stdout).expect("JSON on standard output")
    }

    fn ends(&self, code: i32, words: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = self.world.aqueduct();
        let output = command
            .args(self.words(words))
            .envs(environment.iter().copied())
            .output()
            .expect("the binary starts");
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        output
    }

    pub fn manifest(&self) -> Value {
        let text = std::fs::read_to_string(self.folder().join("_manifest.json")).expect("a manifest");
        serde_json::from_str(&text).expect("JSON in the manifest")
    }

    /// Every file that lies in the place but the manifest and the lock, by its path there.
    pub fn files(&self) -> Vec<String> {
        fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
                if entry.path().is_dir() {
                    walk(root, &entry.path(), found);
                } else {
                    let path = entry.path();
                    found.push(path.strip_prefix(root).expect("below").display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder(), &self.folder(), &mut found);
        found.retain(|name| name != "_manifest.json" && name != "_lock");
        found.sort();
        found
    }

    /// The files that the manifest lists.
    pub fn listed(&self) -> Vec<String> {
        let manifest = self.manifest();
        let files = manifest["files"].as_array().expect("files");
        let mut paths: Vec<String> =
            files.iter().map(|file| file["path"].as_str().expect("a path").to_owned()).collect();
        paths.sort();
        paths
    }

    /// The newest run: state, rows, attempts.
    pub fn run(&self) -> (String, Option<i64>, i32) {
        let row = &self
            .sql
            .rows("SELECT state, rows, attempts FROM aqueduct.exports ORDER BY id DESC LIMIT 1", &[])[0];
        (row.get(0), row.get(1), row.get(2))
    }
}

/// The stack's Spark.
pub fn spark() -> Spark {
    let dir = StackDir::from_env().expect("a folder for software");
    provision(&dir, &*progress::on_stderr()).unwrap_or_else(|error| panic!("{error}"))
}
