//! What becomes of an export over time: late rows, a new column, a kill in the middle.

use super::place::Place;
use crate::harness::console::errors;
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn every_value_is_there_once_and_late_rows_and_new_columns_find_their_way() {
    let place = Place::new(3_000, 3);
    place.export(0, "2026-11-28", &["--slice-rows", "2000"]);
    let manifest = place.manifest();
    assert_eq!((&manifest["rows"], &manifest["partition_by"]), (&json!(2_000), &json!(["day", "symbol"])));
    assert_eq!(place.files(), place.listed(), "nothing lies there that the manifest does not list");
    assert!(place.files().iter().any(|file| file.starts_with("day=2026-11-27/symbol=BTC%2FUSD/rows-")));
    assert_eq!(place.run(), ("published".into(), Some(2_000), 1));

    // One row changes, one comes late, a day is new and has a column more.
    place.sql.batch(
        "UPDATE market.every SET price = price + 1e-18 WHERE i4 = -10; \
         INSERT INTO market.every (ts, symbol) VALUES ('2026-11-27 23:59:59.999999+00', 'LATE'); \
         ALTER TABLE market.every ADD COLUMN venue text; \
         UPDATE market.every SET venue = 'x' WHERE ts >= '2026-11-28+00'",
    );
    let found = place.verify(1);
    let differences = found["differences"].as_array().unwrap();
    let said: Vec<_> = differences
        .iter()
        .map(|one| (&one["part"], &one["partition"]["symbol"], &one["table"], &one["files"], &one["what"]))
        .map(|(part, symbol, table, files, what)| json!([part, symbol, table, files, what]))
        .collect();
    assert_eq!(
        said,
        [
            json!(["2026-11-26", "a=b%2F", 166, 166, "as many rows, but not the same"]),
            json!(["2026-11-27", "LATE", 1, 0, "rows differ in number"]),
        ]
    );

    let before = place.listed();
    let said = errors(&place.export(0, "2026-11-29", &["--late"]));
    assert!(said.contains("late rows: 2 of 2 parts have changed"), "{said}");
    let manifest = place.manifest();
    assert_eq!(manifest["rows"], 3_001);
    assert!(
        before.iter().all(|file| !place.files().contains(file)),
        "the old files of changed parts are gone"
    );
    assert_eq!(place.files(), place.listed());
    assert_eq!(place.run(), ("published".into(), Some(3_001), 1));
    let verified = place.verify(0);
    assert_eq!((&verified["rows"], &verified["different"]), (&json!(3_001), &json!(0)));
}

#[test]
fn killed_in_the_middle_it_goes_on_and_there_is_one_copy_of_each_row() {
    let place = Place::new(4_000, 4);
    let words = ["export", place.file.to_str().unwrap()];
    let words = [words.as_slice(), &super::place::WHICH, &["2026-11-30", "--slice-rows", "2000"]].concat();
    let mut command = place.world.aqueduct();
    let mut child =
        command.args(place.words(&words)).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let done = |line: &String| line.contains("export") && line.contains(" rows") && !line.contains(" 0 rows");
    assert!(lines.into_iter().any(|line| done(&line)), "no slice was ever done");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.folder().join("_manifest.json").exists(), "nothing is published yet");
    assert_eq!(place.run(), ("running".into(), None, 1));

    let said = errors(&place.export(0, "2026-11-30", &["--slice-rows", "100"]));
    assert!(said.contains("attempt 2") && said.contains("slices of an earlier attempt"), "{said}");
    assert_eq!(place.run(), ("published".into(), Some(4_000), 2));
    assert_eq!(place.files(), place.listed());
    let verified = place.verify(0);
    assert_eq!((&verified["rows"], &verified["different"]), (&json!(4_000), &json!(0)));
}
