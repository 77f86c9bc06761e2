//! Bad input: refused before Spark is asked, with what to do.

use super::place::{Place, spark};
use crate::harness::console::{errors, path};
use crate::harness::world::Sql;

fn refused(place: &Place, code: i32, words: &[&str], sentences: &[&str]) {
    let into = place.folder();
    let words = [&["export", path(&place.file), "--into", path(&into)], words].concat();
    let output = place.world.run(&words);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    for sentence in sentences {
        assert!(said.contains(sentence), "{words:?}: no `{sentence}` in: {said}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_a_remedy() {
    let place = Place::new(10, 1);
    let days = ["--assume-closed", "--from", "2026-11-26", "--to", "2026-11-27"];
    let with = |words: &[&'static str]| -> Vec<&str> { [words, &days].concat() };
    let every = "--table=market.every";
    refused(
        &place,
        64,
        &["--from", "2026-11-27", "--to", "2026-11-26"],
        &["is not before", "nothing between"],
    );
    refused(&place, 64, &[], &["--from"]);
    refused(&place, 64, &with(&["--sink", "other"]), &["no timescale_writer named `other`; it has: history"]);
    refused(&place, 78, &with(&["--table", "market.none"]), &["there is no table market.none"]);
    refused(&place, 64, &with(&[every, "--partition-by", "symbol"]), &["by the day first"]);
    refused(
        &place,
        64,
        &with(&[every, "--partition-by", "day,none"]),
        &["no column `none`", "it has ts, symbol"],
    );
    refused(
        &place,
        78,
        &with(&[every, "--time-column", "i4"]),
        &["is integer, and exports are cut by a timestamp"],
    );
    refused(
        &place,
        64,
        &["--table=market.every", "--from", "2026-11-26", "--to", "2026-11-27"],
        &["--assume-closed"],
    );
    refused(&place, 64, &with(&[every, "--conf", "spark.hadoop.fs.s3a.secret.key=x"]), &["SPARK_CONF_DIR"]);
    // Nobody has said that this table may leave.
    let grant = r#"GRANT SELECT ON "market"."rows" TO aqueduct_export"#;
    refused(&place, 78, &with(&[]), &["may not read market.rows; its owner decides", grant]);
    let runs = "SELECT count(*) FROM aqueduct.exports";
    assert_eq!(place.sql.integer(runs), 0, "a refusal is no run");
}

#[test]
fn a_machine_without_java_and_a_database_that_is_away_are_said_so() {
    let place = Place::new(10, 1);
    spark();
    let output = place.export_with(78, "2026-11-27", &[], &[("JAVA_HOME", "/nowhere")]);
    assert!(errors(&output).contains("`/nowhere/bin/java` 17 or later, for Spark"), "{}", errors(&output));
    let output = place.export_with(78, "2026-11-27", &[], &[("SPARK_HOME", "/nowhere")]);
    assert!(errors(&output).contains("no bin/spark-submit is there"), "{}", errors(&output));
    let away = [("AQUEDUCT_EXPORT_URL", "postgres://somebody@127.0.0.1:1/none")];
    place.export_with(69, "2026-11-27", &[], &away);
}

#[test]
fn who_works_at_a_place_or_at_the_same_rows_is_named() {
    let place = Place::new(10, 1);
    spark();
    let held = std::fs::create_dir_all(place.folder())
        .and_then(|()| std::fs::File::create(place.folder().join("_lock")));
    let held = held.unwrap();
    std::fs::write(place.folder().join("_lock"), "the export of m.t, process 7 on elsewhere").unwrap();
    held.lock().unwrap();
    let said = errors(&place.export(78, "2026-11-27", &[]));
    assert!(said.contains("is held by the export of m.t, process 7 on elsewhere; wait for it"), "{said}");
    drop(held);

    // Another place, and rows that overlap: the lock of that session says that somebody works at it.
    let session = Sql::connect(place.world.database_url());
    session.batch(
        "INSERT INTO aqueduct.exports (topology, target, destination, from_time, to_time, state, node) \
         VALUES ('t', 'market.every', '/elsewhere', '2026-11-26T12:00Z', '2026-11-30', 'running', 'far-away'); \
         SELECT pg_advisory_lock(hashtext('aqueduct export'), (SELECT max(id) FROM aqueduct.exports)::int)",
    );
    let said = errors(&place.export(78, "2026-11-27", &[]));
    assert!(
        said.contains("export 1 of market.every into /elsewhere is at work")
            && said.contains("on far-away holds it"),
        "{said}"
    );
    assert_eq!(place.sql.integer("SELECT count(*) FROM aqueduct.exports"), 1);
}

/// What the role may do, it may do as a role: whoever logs in.
#[test]
fn the_role_of_exports_reads_what_it_was_granted_and_changes_nothing() {
    let place = Place::new(10, 1);
    let sql = Sql::connect(place.world.database_url());
    sql.batch("SET ROLE aqueduct_export");
    assert_eq!(sql.integer("SELECT count(*) FROM market.every"), 10);
    sql.integer("SELECT count(*) FROM aqueduct.offsets");
    for statement in [
        "INSERT INTO market.every (ts) VALUES (now())",
        "UPDATE market.every SET price = 0",
        "DELETE FROM market.every",
        "TRUNCATE market.every",
        "DROP TABLE market.every",
        "ALTER TABLE market.every DROP COLUMN price",
        "SELECT drop_chunks('market.every', INTERVAL '1 second')",
        "CREATE TABLE market.mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "CREATE TABLE aqueduct.mine (x int)",
        "CREATE SCHEMA mine",
        "SELECT count(*) FROM market.rows",
        "SELECT count(*) FROM aqueduct.dead_letter",
        "UPDATE aqueduct.offsets SET next_offset = 0",
        "DELETE FROM aqueduct.exports",
        "UPDATE aqueduct.exports SET who = 'somebody else'",
        "UPDATE aqueduct.exports SET from_time = to_time - interval '1 day'",
        "SELECT aqueduct.grant_export()",
    ] {
        let error = sql.try_rows(statement, &[]).map(|_| ()).expect_err(statement);
        assert_eq!(error.code().map(|state| state.code()), Some("42501"), "{statement}: {error}");
    }
    place.sql.batch("GRANT INSERT ON market.every TO aqueduct_export");
    let words = ["--table=market.every", "--assume-closed", "--from", "2026-11-26", "--to", "2026-11-27"];
    refused(
        &place,
        78,
        &words,
        &["may change market.every, and exports read with a role that cannot: REVOKE"],
    );
}
