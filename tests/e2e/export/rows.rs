//! The programs of `config/spark` by themselves: their own tests, and the example of batch analytics against SQL.

use super::place::{Place, spark};
use std::path::Path;
use std::process::Command;

fn programs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/spark"))
}

#[test]
fn the_pure_parts_hold_without_spark() {
    let mut python = Command::new("python3");
    python.args(["-m", "unittest", "discover", "-t", ".", "-s", "tests"]).current_dir(programs());
    let output = python.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python3 starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nRan ") && !said.contains("Ran 0 tests"), "{said}");
}

/// What SQL says of the same bars, profiles and volatility, as the lines that the files are turned into.
const IN_SQL: &str = "
WITH bars AS (
    SELECT (ts AT TIME ZONE 'UTC')::date AS day, symbol,
        (array_agg(price ORDER BY ts, price))[1] AS open, max(price) AS high, min(price) AS low,
        (array_agg(price ORDER BY ts DESC, price DESC))[1] AS close, sum(i8::numeric) AS volume, count(*) AS trades
    FROM market.every GROUP BY 1, 2),
profile AS (
    SELECT (ts AT TIME ZONE 'UTC')::date AS day, symbol, floor(price / 500) * 500 AS bin, sum(i8::numeric) AS volume
    FROM market.every GROUP BY 1, 2, 3),
closes AS (
    SELECT (ts AT TIME ZONE 'UTC')::date AS day, symbol, floor(extract(epoch FROM ts) / 3600) AS interval,
        (array_agg(price ORDER BY ts DESC, price DESC))[1]::float8 AS price
    FROM market.every GROUP BY 1, 2, 3),
changes AS (
    SELECT day, symbol, ln(price) - ln(lag(price) OVER (PARTITION BY day, symbol ORDER BY interval)) AS change FROM closes),
lines AS (
    SELECT concat_ws(' ', 'bar', day, coalesce(symbol, '-'), open::numeric(38,18), high::numeric(38,18),
                     low::numeric(38,18), close::numeric(38,18), volume::numeric(38,0), trades) AS line FROM bars
    UNION ALL SELECT concat_ws(' ', 'profile', day, coalesce(symbol, '-'), bin::numeric(38,8), volume::numeric(38,0)) FROM profile
    UNION ALL SELECT concat_ws(' ', 'volatility', day, coalesce(symbol, '-'), round(sqrt(sum(change * change))::numeric, 9),
                     count(change)) FROM changes GROUP BY day, symbol)
SELECT line FROM lines ORDER BY line COLLATE \"C\"";

/// Runs the example, and reads what it wrote as the same lines: one submission for both.
const LINES: &str = r#"
import sys
sys.path.insert(0, sys.argv.pop(1))
import ohlcv
from pyspark.sql import SparkSession
assert ohlcv.main(sys.argv[1]) == 0
spark = SparkSession.builder.getOrCreate()
result = sys.argv[2]
for name, text in [
    ("bars", "concat_ws(' ', 'bar', day, coalesce(symbol, '-'), CAST(open AS decimal(38,18)), CAST(high AS decimal(38,18)), CAST(low AS decimal(38,18)), CAST(close AS decimal(38,18)), CAST(volume AS decimal(38,0)), trades)"),
    ("profile", "concat_ws(' ', 'profile', day, coalesce(symbol, '-'), CAST(bin AS decimal(38,8)), CAST(volume AS decimal(38,0)))"),
    ("volatility", "concat_ws(' ', 'volatility', day, coalesce(symbol, '-'), CAST(volatility AS decimal(20,9)), samples)"),
]:
    for row in spark.read.parquet(f"{result}/{name}").selectExpr(text).collect():
        print("line", row[0])
"#;

#[test]
fn the_batch_example_computes_what_sql_computes() {
    let place = Place::new(0, 1);
    let installed = spark();
    // Prices of which logarithms are taken.
    place.sql.batch(
        "INSERT INTO market.every (ts, symbol, price, i8) \
         SELECT '2026-11-26+00'::timestamptz + i * interval '173.3 seconds', CASE i % 3 WHEN 0 THEN 'A' WHEN 1 THEN 'B/C' END, \
                1000 + (i * 37 % 1000) + 1e-18, i + 1 FROM generate_series(0, 899) AS i",
    );
    place.export(0, "2026-11-28", &[]);
    let expected: Vec<String> = place.sql.rows(IN_SQL, &[]).iter().map(|row| row.get(0)).collect();
    let result = place.world.folder().join("result");
    let reader = place.world.folder().join("lines.py");
    std::fs::write(&reader, LINES).unwrap();
    let mut command = Command::new(installed.home.join("bin/spark-submit"));
    for setting in ["spark.ui.enabled=false", "spark.sql.shuffle.partitions=2", "spark.driver.host=127.0.0.1"]
    {
        command.args(["--conf", setting]);
    }
    command.args(["--master", "local[2]"]).args([&*reader, programs(), &*place.folder(), &*result]);
    command.args(["symbol=symbol", "price=price", "quantity=i8", "bin=500", "sample_seconds=3600"]);
    command.env("SPARK_HOME", &installed.home).env("PYTHONPATH", installed.python.as_ref().unwrap());
    command.env("SPARK_LOCAL_IP", "127.0.0.1").env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().expect("spark-submit starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("line ")).collect();
    lines.sort_unstable();
    assert!(expected.len() > 20, "{expected:?}");
    assert_eq!(lines, expected);
}
