//! `migrate verify` finds what was altered by hand, of the topology's tables and of the engine's own, and nothing else.

use crate::harness::topologies::TRADES;
use crate::harness::world::World;
use serde_json::Value;
use std::path::Path;

/// Makes every kind of thing that is compared.
const MADE: &str = "\
    CREATE TYPE market.venue AS ENUM ('one', 'other');\n\
    CREATE TABLE market.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, said text NOT NULL DEFAULT 'x', \
                               n integer CONSTRAINT n_positive CHECK (n > 0), venue market.venue);\n\
    CREATE INDEX notes_n ON market.notes (n);\n\
    CREATE FUNCTION market.same() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;\n\
    CREATE TRIGGER keeps BEFORE INSERT ON market.notes FOR EACH ROW EXECUTE FUNCTION market.same();\n";

fn verify(world: &World, file: &Path) -> (Option<i32>, Vec<Value>) {
    let file = file.to_str().expect("a plain path");
    let output = world.run(&["migrate", "verify", "--format", "json", file]);
    let said = String::from_utf8_lossy(&output.stdout);
    let verified: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(verified["not_noted"], serde_json::json!([]), "{said}");
    assert!(verified["things"].as_u64() > Some(100), "{said}");
    (output.status.code(), verified["drift"].as_array().expect("a list").clone())
}

fn assert_no_drift(world: &World, file: &Path) {
    assert_eq!(verify(world, file), (Some(0), Vec::new()));
}

/// A topology whose tables are made by the drafted migration and by [`MADE`].
fn world() -> (World, std::path::PathBuf) {
    let world = World::shared();
    let (file, _) = world.prepare(TRADES);
    add(&world, "0002_notes.sql", MADE);
    world.migrate(&file);
    (world, file)
}

fn add(world: &World, name: &str, sql: &str) {
    std::fs::write(world.folder().join("migrations").join(name), sql).expect("write a migration");
}

#[test]
fn each_kind_of_change_by_hand_is_found_and_named_until_it_is_taken_back() {
    let (world, file) = world();
    assert_no_drift(&world, &file);
    let sql = world.sql();
    // The change, the way back, and what is said of it: kind, object, a part of what is expected and of what is found.
    #[rustfmt::skip]
    let changes = [
        ("ALTER TABLE market.notes ALTER n TYPE bigint", "ALTER TABLE market.notes ALTER n TYPE integer",
         "column", "market.notes.n", "integer", "bigint"),
        ("ALTER TABLE market.notes ALTER said DROP NOT NULL", "ALTER TABLE market.notes ALTER said SET NOT NULL",
         "column", "market.notes.said", "NOT NULL DEFAULT", "text DEFAULT"),
        ("ALTER TABLE market.notes ALTER said SET DEFAULT 'y'", "ALTER TABLE market.notes ALTER said SET DEFAULT 'x'",
         "column", "market.notes.said", "'x'", "'y'"),
        ("ALTER TABLE market.notes ADD more text", "ALTER TABLE market.notes DROP more",
         "column", "market.notes.more", "", "text"),
        ("ALTER TABLE market.notes DROP CONSTRAINT notes_pkey", "ALTER TABLE market.notes ADD PRIMARY KEY (id)",
         "constraint", "market.notes.notes_pkey", "PRIMARY KEY (id)", ""),
        ("ALTER TABLE market.notes ADD CONSTRAINT u UNIQUE (n)", "ALTER TABLE market.notes DROP CONSTRAINT u",
         "constraint", "market.notes.u", "", "UNIQUE (n)"),
        ("ALTER TABLE market.notes DROP CONSTRAINT n_positive", "ALTER TABLE market.notes ADD CONSTRAINT n_positive CHECK (n > 0)",
         "constraint", "market.notes.n_positive", "CHECK", ""),
        ("DROP INDEX market.notes_n", "CREATE INDEX notes_n ON market.notes (n)",
         "index", "market.notes_n", "(n)", ""),
        ("CREATE INDEX by_hand ON market.trades (id)", "DROP INDEX market.by_hand",
         "index", "market.by_hand", "", "market.trades"),
        ("ALTER TABLE market.notes DISABLE TRIGGER keeps", "ALTER TABLE market.notes ENABLE TRIGGER keeps",
         "trigger", "market.notes.keeps", "EXECUTE FUNCTION market.same()", "(disabled)"),
        ("ALTER TYPE market.venue RENAME VALUE 'one' TO 'first'", "ALTER TYPE market.venue RENAME VALUE 'first' TO 'one'",
         "type", "market.venue", "'one'", "'first'"),
        ("ALTER FUNCTION market.same() SECURITY DEFINER", "ALTER FUNCTION market.same() SECURITY INVOKER",
         "function", "market.same()", "plpgsql", "security definer"),
        ("SELECT set_chunk_time_interval('market.trades', interval '3 hours')",
         "SELECT set_chunk_time_interval('market.trades', interval '1 day')",
         "hypertable", "market.trades", "86400 s", "10800 s"),
        ("ALTER TABLE market.notes RENAME TO elsewhere", "ALTER TABLE market.elsewhere RENAME TO notes",
         "table", "market.notes", "table", ""),
        ("ALTER TABLE aqueduct.offsets ALTER session TYPE varchar(200)", "ALTER TABLE aqueduct.offsets ALTER session TYPE text",
         "column", "aqueduct.offsets.session", "text", "character varying(200)"),
        ("DROP INDEX aqueduct.dead_letter_pending",
         "CREATE INDEX dead_letter_pending ON aqueduct.dead_letter (topology, id) INCLUDE (at, attempts) WHERE replayed_at IS NULL",
         "index", "aqueduct.dead_letter_pending", "INCLUDE", ""),
        ("ALTER TABLE aqueduct.legal_holds DISABLE TRIGGER append_only", "ALTER TABLE aqueduct.legal_holds ENABLE TRIGGER append_only",
         "trigger", "aqueduct.legal_holds.append_only", "refuse_change", "(disabled)"),
        ("GRANT DELETE ON aqueduct.offsets TO aqueduct_writer", "REVOKE DELETE ON aqueduct.offsets FROM aqueduct_writer",
         "grant", "aqueduct.offsets to aqueduct_writer", "INSERT, SELECT, UPDATE", "DELETE, INSERT"),
        ("GRANT EXECUTE ON FUNCTION aqueduct.end_sessions(text[]) TO PUBLIC",
         "REVOKE EXECUTE ON FUNCTION aqueduct.end_sessions(text[]) FROM PUBLIC",
         "grant", "aqueduct.end_sessions(names text[]) to PUBLIC", "", "EXECUTE"),
        ("CREATE TABLE aqueduct.mine (x integer)", "DROP TABLE aqueduct.mine", "table", "aqueduct.mine", "", "table"),
    ];
    for (change, back, thing, object, expected, found) in changes {
        sql.batch(change);
        let (code, drift) = verify(&world, &file);
        assert_eq!(code, Some(1), "{change}");
        let told = drift.iter().find(|one| one["thing"] == thing && one["object"] == object);
        let told = told.unwrap_or_else(|| panic!("{change}: {drift:?}"));
        for (side, part) in [("expected", expected), ("found", found)] {
            let said = told[side].as_str().unwrap_or_default();
            assert!(said.contains(part) && part.is_empty() == said.is_empty(), "{change}: {told}");
        }
        sql.batch(back);
        assert_no_drift(&world, &file);
    }
    let text = {
        sql.batch("ALTER TABLE market.notes ALTER n TYPE bigint");
        world.run(&["migrate", "verify", file.to_str().expect("a plain path")])
    };
    let said = String::from_utf8_lossy(&text.stdout);
    for part in [
        "column market.notes.n (0002_notes.sql): expected `integer`, found `bigint`\n  take it back, or make it official by a new migration",
        "live schema: 1 differences",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_change_by_hand_outlives_other_migrations_and_ends_by_the_one_that_names_it() {
    let (world, file) = world();
    let sql = world.sql();
    sql.batch("ALTER TABLE market.notes ADD more text; DROP INDEX market.notes_n");
    add(
        &world,
        "0003_other.sql",
        "ALTER TABLE market.notes ADD own text; CREATE TABLE market.apart (x integer);",
    );
    world.migrate(&file);
    let objects = |drift: Vec<Value>| -> Vec<String> {
        drift.iter().map(|one| one["object"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(objects(verify(&world, &file).1), ["market.notes.more", "market.notes_n"]);
    let official = "ALTER TABLE market.notes ADD COLUMN IF NOT EXISTS more text; \
                    CREATE INDEX IF NOT EXISTS notes_n ON market.notes (n);";
    add(&world, "0004_official.sql", official);
    world.migrate(&file);
    assert_no_drift(&world, &file);
    // A table that other sets of files know nothing of, and one in another schema, are nobody's matter.
    sql.batch(
        "CREATE TABLE market.theirs (x integer); CREATE SCHEMA other; CREATE TABLE other.notes (x integer)",
    );
    assert_no_drift(&world, &file);
}

#[test]
fn a_database_that_an_earlier_version_migrated_is_noted_by_the_next_run() {
    let (world, file) = world();
    let sql = world.sql();
    sql.batch("TRUNCATE aqueduct.schema_snapshot; ALTER TABLE market.notes ADD before text");
    let plain = file.to_str().expect("a plain path");
    let output = world.run(&["migrate", "verify", plain]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("engine: the live schema is not compared"), "{said}");
    assert!(said.contains("the live schema is not compared; `aqueduct migrate up` notes it"), "{said}");
    world.migrate(&file);
    assert_no_drift(&world, &file);
    sql.batch("ALTER TABLE market.notes ADD after text; ALTER TABLE aqueduct.drills DROP report");
    let drift = verify(&world, &file).1;
    assert_eq!(drift.len(), 2, "{drift:?}");
}
