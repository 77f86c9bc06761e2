//! What was exported comes back: `aqueduct backfill --parquet`.

use super::place::QUICK;
use crate::harness::console::{errors, path};
use crate::harness::wait;
use crate::harness::world::World;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(120);

/// A field of every type. No topic feeds it: what comes, comes from files.
const TOPOLOGY: &str = r#"
topology: back-{topic}
connections: { timescale: { url: "${TIMESCALE_URL}" } }
actors:
  recorded: { kind: replay_source, file: recorded.jsonl, topic: "{topic}" }
  values:
    kind: normalizer
    from: recorded
    fields:
      ts: { type: timestamp, path: /ts, unit: ms }
      n:  { type: int64, path: /n }
      k:  { type: text, path: /k, optional: true }
      p:  { type: "decimal(38,18)", path: /p, optional: true }
      f:  { type: float64, path: /f, optional: true }
      b:  { type: bool, path: /b, optional: true }
      t:  { type: timestamp, path: /t, unit: ms, optional: true }
      j:  { type: json, path: /j, optional: true }
    event_time: ts
  history: { kind: timescale_writer, from: values, table: market.back }
"#;

const ROWS: i64 = 3_000;
/// Two days; of each third moment two rows, and of one of them nothing but the time differs from the other's.
const INSERT: &str = r#"
INSERT INTO market.back (ts, n, k, p, f, b, t, j)
SELECT '2026-11-26 00:00:00.000001+00'::timestamptz + (i - i % 3 / 2) * interval '57.6 seconds', i * 3000000000000007,
    CASE i % 4 WHEN 0 THEN E'a"b\\c\n\u2028' WHEN 1 THEN '' WHEN 2 THEN 'ü ~🚀' END,
    CASE WHEN i % 5 > 0 THEN (i - 1500) * 0.000000000000000001 + 12345678901234567890 * (i % 2) END,
    CASE i % 3 WHEN 0 THEN '-0'::float8 WHEN 1 THEN i / 3.0 * 1e-300 END,
    CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END,
    CASE WHEN i % 2 = 0 THEN '1900-01-01 00:00:00.000001+00'::timestamptz + i * interval '1 hour' END,
    CASE i % 3 WHEN 0 THEN jsonb_build_object('n', 1.50, 's', E'q"\n', 'big', 12345678901234567890.123) WHEN 1 THEN '[null, "x"]' END
FROM generate_series(0, 2999) AS i"#;
const COUNT: &str = "SELECT count(*) FROM market.back";
const SUM: &str = "SELECT md5(string_agg(t::text, ',' ORDER BY t::text)) FROM market.back AS t";
/// The range has its ends inside of what was exported.
const DELETE: &str =
    "DELETE FROM market.back WHERE ts >= '2026-11-26T06:00:00Z' AND ts < '2026-11-27T18:00:00Z'";
const INSIDE: [&str; 4] = ["--from", "2026-11-26T06:00:00Z", "--to", "2026-11-27T18:00:00Z"];

fn aqueduct(world: &World, temporary: &Path, words: &[&str]) -> Command {
    let mut command = world.mortal_aqueduct(&[]);
    command.args(words).args(QUICK).env("TMPDIR", temporary);
    command
}

/// Lines that Spark made and that are still needed.
fn lines(temporary: &Path) -> usize {
    let folders = std::fs::read_dir(temporary).expect("a folder").flatten();
    let ours =
        folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("aqueduct-backfill-"));
    ours.map(|folder| std::fs::read_dir(folder.path()).expect("a folder").count()).sum()
}

#[test]
fn an_exported_range_comes_back_killed_on_the_way_and_what_was_changed_does_not() {
    let world = World::shared();
    let (file, sql) = world.prepare(TOPOLOGY);
    sql.batch(INSERT);
    sql.batch(
        "GRANT USAGE ON SCHEMA market TO aqueduct_export; GRANT SELECT ON market.back TO aqueduct_export",
    );
    let sum = || sql.rows(SUM, &[])[0].get::<_, String>(0);
    let before = sum();
    let (place, temporary) = (world.folder().join("exported"), world.folder().join("temporary"));
    std::fs::create_dir(&temporary).expect("a folder");
    let days = ["--from", "2026-11-26", "--to", "2026-11-28", "--assume-closed"];
    let export = [&["export", path(&file), "--into", path(&place)], days.as_slice()].concat();
    let output = aqueduct(&world, &temporary, &export).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));

    sql.batch(DELETE);
    let kept = sql.integer(COUNT);
    assert!(0 < kept && kept < ROWS / 2, "{kept}");
    let fill = [&["backfill", path(&file), "--parquet", path(&place)], INSIDE.as_slice()].concat();
    let slow = [fill.as_slice(), &["--rate", "200"]].concat();
    let mut cut =
        aqueduct(&world, &temporary, &slow).stderr(Stdio::null()).spawn().expect("the binary starts");
    wait::until("rows of the backfill", BOUND, || (sql.integer(COUNT) > kept).then_some(()));
    cut.kill().expect("killed");
    cut.wait().expect("its end");
    assert!(sql.integer(COUNT) < ROWS, "it was at its end before it was killed");
    assert_eq!(lines(&temporary), 1);

    let output = aqueduct(&world, &temporary, &fill).output().expect("the binary starts");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("it goes on from where it stood"), "{said}");
    assert_eq!((sql.integer(COUNT), sum()), (ROWS, before), "every value is what it was");
    assert_eq!(lines(&temporary), 0, "what is not needed any more goes");

    let manifest = std::fs::read_to_string(place.join("_manifest.json")).expect("a manifest");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let name = manifest["files"][0]["path"].as_str().expect("a path");
    let mut bytes = std::fs::read(place.join(name)).expect("a file");
    bytes[100] ^= 1;
    std::fs::write(place.join(name), bytes).expect("written");
    let again = [fill.as_slice(), &["--replace"]].concat();
    let output = aqueduct(&world, &temporary, &again).output().expect("the binary starts");
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(&format!("{name}: the file is not the one that was written")), "{said}");
    assert_eq!(sql.integer(COUNT), ROWS, "nothing was touched");
}
