//! Migrations are applied once, whole, and never silently otherwise than the files say.

use crate::harness::topologies::TRADES;
use crate::harness::wait;
use crate::harness::world::World;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(60);

/// A topology file with these files in its `migrations` folder.
fn with_files(world: &World, files: &[(&str, &str)]) -> PathBuf {
    let file = world.write_topology(TRADES);
    let folder = world.folder().join("migrations");
    std::fs::create_dir_all(&folder).expect("create the folder");
    for (name, sql) in files {
        std::fs::write(folder.join(name), sql).expect("write a migration");
    }
    file
}

fn migrate(world: &World, verb: &str, file: &Path) -> Output {
    world.run(&["migrate", verb, file.to_str().expect("a plain path")])
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

fn up(world: &World, file: &Path) {
    let output = migrate(world, "up", file);
    assert!(output.status.success(), "{}", said(&output));
}

fn recorded(world: &World) -> i64 {
    world.sql().integer("SELECT count(*) FROM aqueduct.migrations WHERE \"set\" LIKE 'topology/%'")
}

#[test]
fn applying_twice_applies_once() {
    let world = World::shared();
    let file = world.write_topology(TRADES);
    world.migrate(&file);
    let before =
        world.sql().rows("SELECT version, applied_at::text FROM aqueduct.migrations ORDER BY 1, 2", &[]);
    world.migrate(&file);
    let after =
        world.sql().rows("SELECT version, applied_at::text FROM aqueduct.migrations ORDER BY 1, 2", &[]);
    let times =
        |rows: &[tokio_postgres::Row]| rows.iter().map(|row| row.get::<_, String>(1)).collect::<Vec<_>>();
    assert_eq!(times(&before), times(&after));
    let drafts = std::fs::read_dir(world.folder().join("migrations")).expect("the folder").count();
    assert_eq!(drafts, 1, "the second `new` had nothing to add");
    let chunks = world.sql().integer(
        "SELECT count(*) FROM timescaledb_information.dimensions WHERE hypertable_name = 'trades' AND column_name = 'ts'",
    );
    assert_eq!(chunks, 1, "market.trades is a hypertable on its event time");
    assert!(migrate(&world, "verify", &file).status.success());
}

#[test]
fn several_at_once_apply_each_file_once() {
    let world = World::shared();
    // Not fit to run twice, and slow enough that the others arrive meanwhile.
    let file = with_files(
        &world,
        &[
            ("0001_counter.sql", "CREATE TABLE counter (n int); SELECT pg_sleep(1);"),
            ("0002_count.sql", "INSERT INTO counter VALUES (1);"),
        ],
    );
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| migrate(&world, "up", &file))).collect();
        for run in runs {
            let output = run.join().expect("a run that ends");
            assert!(output.status.success(), "{}", said(&output));
        }
    });
    assert_eq!(world.sql().integer("SELECT count(*) FROM counter"), 1);
    assert_eq!(recorded(&world), 2);
}

#[test]
fn a_file_that_changed_after_being_applied_is_named_and_nothing_more_is_applied() {
    let world = World::shared();
    let file = with_files(&world, &[("0001_one.sql", "CREATE TABLE one (x int);")]);
    up(&world, &file);
    with_files(
        &world,
        &[("0001_one.sql", "CREATE TABLE one (x bigint);"), ("0002_two.sql", "CREATE TABLE two ();")],
    );
    for verb in ["verify", "up"] {
        let output = migrate(&world, verb, &file);
        assert!(!output.status.success(), "{verb}: {}", said(&output));
        assert!(
            said(&output).contains("0001_one.sql: changed after it was applied"),
            "{verb}: {}",
            said(&output)
        );
    }
    assert_eq!(world.sql().integer("SELECT count(*) FROM pg_tables WHERE tablename = 'two'"), 0);
}

#[test]
fn a_failing_statement_takes_its_file_back_and_is_named_with_its_line() {
    let world = World::shared();
    let broken = "CREATE TABLE kept (x int);\nINSERT INTO kept\n  SELECT nonsense;\n";
    let file =
        with_files(&world, &[("0001_good.sql", "CREATE TABLE good (x int);"), ("0002_broken.sql", broken)]);
    let output = migrate(&world, "up", &file);
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    for part in ["0002_broken.sql:3: statement 2 of 2", "\"nonsense\" does not exist", "SQLSTATE 42703"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(
        world.sql().integer("SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"),
        0,
        "rolled back"
    );
    assert_eq!(recorded(&world), 1, "the file before it stays applied");
    with_files(&world, &[("0002_broken.sql", "CREATE TABLE kept (x int);")]);
    up(&world, &file);
    assert_eq!(recorded(&world), 2);
    let schema = "SELECT count(*) FROM pg_tables WHERE tablename = 'kept' AND schemaname = 'public'";
    assert_eq!(
        world.sql().integer(schema),
        1,
        "a name without a schema lies in public, whatever the role is called"
    );
}

#[test]
fn a_file_outside_a_transaction_is_resumed_and_its_half_built_index_replaced() {
    let world = World::shared();
    let sql = "-- no-transaction\n\
               CREATE TABLE IF NOT EXISTS readings (x int);\n\
               CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS readings_x ON readings (x);\n\
               VACUUM readings;\n";
    world.sql().batch("CREATE TABLE readings (x int); INSERT INTO readings VALUES (1), (1)");
    let file = with_files(&world, &[("0001_index.sql", sql)]);
    let output = migrate(&world, "up", &file);
    let text = said(&output);
    assert!(!output.status.success() && text.contains("0001_index.sql:3: statement 2 of 3"), "{text}");
    let invalid =
        "SELECT count(*) FROM pg_index WHERE indexrelid = 'readings_x'::regclass AND NOT indisvalid";
    assert_eq!(world.sql().integer(invalid), 1, "the failed build left an invalid index behind");
    assert_eq!(recorded(&world), 0);

    world.sql().batch("TRUNCATE readings");
    up(&world, &file);
    assert_eq!(world.sql().integer(invalid), 0);
    let refused = world.sql().try_rows("INSERT INTO readings VALUES (1), (1)", &[]);
    assert!(refused.is_err(), "the index is valid and unique");
    assert_eq!(recorded(&world), 1);
}

#[test]
fn a_killed_migrator_keeps_nobody_waiting() {
    let world = World::shared();
    let file = with_files(&world, &[("0001_slow.sql", "CREATE TABLE slow (x int);\nSELECT pg_sleep(600);")]);
    let mut first = world.aqueduct().args(["migrate", "up"]).arg(&file).spawn().expect("the binary starts");
    let sql = world.sql();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    wait::until("the first to be in its long statement", BOUND, || {
        (sql.integer(sleeping) == 1).then_some(())
    });
    first.kill().expect("kill it");
    first.wait().expect("it ends");
    with_files(&world, &[("0001_slow.sql", "CREATE TABLE slow (x int);")]);
    up(&world, &file);
    assert_eq!(recorded(&world), 1);
}

#[test]
fn a_migrator_killed_within_a_concurrent_index_leaves_what_the_next_run_mends() {
    let world = World::shared();
    let sql = "-- no-transaction\n\
               CREATE INDEX CONCURRENTLY IF NOT EXISTS waits_x ON waits (x);\n\
               CREATE TABLE IF NOT EXISTS behind (x int);\n";
    let watch = world.sql();
    watch.batch("CREATE TABLE waits (x int)");
    let file = with_files(&world, &[("0001_index.sql", sql)]);
    // Such an index waits for who writes the table.
    let writer = world.sql();
    writer.batch("BEGIN; INSERT INTO waits VALUES (1)");
    let mut first = world.aqueduct().args(["migrate", "up"]).arg(&file).spawn().expect("the binary starts");
    let invalid =
        "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('waits_x') AND NOT indisvalid";
    wait::until("the index to be half built", BOUND, || (watch.integer(invalid) == 1).then_some(()));
    first.kill().expect("kill it");
    first.wait().expect("it ends");
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND pid <> pg_backend_pid()";
    wait::until("the server to notice", BOUND, || (watch.integer(at_work) == 0).then_some(()));
    writer.batch("ROLLBACK");
    assert_eq!((watch.integer(invalid), recorded(&world)), (1, 0));
    up(&world, &file);
    assert_eq!((watch.integer(invalid), recorded(&world)), (0, 1));
    let made = "SELECT count(*) FROM pg_class WHERE relname IN ('waits_x', 'behind')";
    assert_eq!(watch.integer(made), 2);
}

#[test]
fn the_way_back_is_a_new_migration() {
    let world = World::shared();
    let columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'way'";
    let forth = [
        ("0001_way.sql", "CREATE TABLE way (x int);"),
        ("0002_more.sql", "ALTER TABLE way ADD COLUMN y int;"),
    ];
    let file = with_files(&world, &forth);
    up(&world, &file);
    assert_eq!(world.sql().integer(columns), 2);
    with_files(&world, &[("0003_back.sql", "ALTER TABLE way DROP COLUMN y;")]);
    up(&world, &file);
    assert_eq!((world.sql().integer(columns), recorded(&world)), (1, 3));
    let verified = migrate(&world, "verify", &file);
    assert!(verified.status.success(), "{}", said(&verified));
}

#[test]
fn a_lock_that_another_session_holds_is_named() {
    let world = World::shared();
    let holder = world.sql();
    holder.batch("CREATE TABLE busy (x int)");
    holder.batch("BEGIN");
    holder.batch("LOCK TABLE busy");
    let file = with_files(&world, &[("0001_alter.sql", "ALTER TABLE busy ADD COLUMN y int;")]);
    let output = migrate(&world, "up", &file);
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("0001_alter.sql:1") && text.contains("LOCK TABLE busy"), "{text}");
    holder.batch("ROLLBACK");
    up(&world, &file);
}

#[test]
fn a_strange_file_in_the_folder_is_refused_before_anything_runs() {
    let world = World::shared();
    let file = with_files(&world, &[("0001_one.sql", "CREATE TABLE one (x int);"), ("two.sql", "SELECT 1;")]);
    let output = migrate(&world, "up", &file);
    assert!(!output.status.success());
    assert!(said(&output).contains("two.sql: is no migration"), "{}", said(&output));
    assert_eq!(world.sql().integer("SELECT count(*) FROM pg_tables WHERE tablename = 'one'"), 0);
}
