//! Migrations: once, in order, by one node, and noticed when their files change.

use super::*;
use aqueduct_actors::timescale::migrate::Drift;
use aqueduct_engine::Class;

fn folder(files: &[(&str, &str)]) -> Folder {
    let files = files.iter().map(|(name, sql)| File::new(name, sql).expect("a numbered file"));
    Folder::new("unit", files).expect("distinct numbers")
}

fn migrator(base: &Base, files: &[(&str, &str)]) -> Migrator {
    Migrator::new(base.timescale("m"), vec![folder(files)], "m")
}

const A: (&str, &str) = ("0001_a.sql", "CREATE TABLE a (n integer)");
const B: (&str, &str) = ("0002_b.sql", "INSERT INTO a VALUES (1)");

#[test]
fn several_nodes_at_once_migrate_once() {
    on_arbiter(async {
        let base = Base::empty("");
        let nodes = [migrator(&base, &[A, B]), migrator(&base, &[A, B]), migrator(&base, &[A, B])];
        let applied = futures::future::join_all(nodes.iter().map(|node| node.up(|_| {}))).await;
        let counts: usize = applied.into_iter().map(|applied| applied.expect("migrated").len()).sum();
        assert_eq!(counts, 2);
        assert_eq!(base.integer("SELECT count(*) FROM a").await, 1);
        assert_eq!(nodes[0].plan().await.expect("a plan"), []);
    });
}

#[test]
fn a_file_that_fails_leaves_nothing_and_names_itself() {
    on_arbiter(async {
        let base = Base::empty("");
        let broken = ("0002_b.sql", "INSERT INTO a VALUES (1); SELECT nonsense FROM a");
        let error = migrator(&base, &[A, broken]).up(|_| {}).await.expect_err("nonsense");
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains("0002_b.sql") && error.message.contains("nonsense"), "{error}");
        assert_eq!(base.integer("SELECT count(*) FROM a").await, 0);
        // Mended, it goes on where it stopped.
        let applied = migrator(&base, &[A, B]).up(|_| {}).await.expect("migrated");
        assert_eq!(applied.len(), 1);
    });
}

#[test]
fn statements_that_cannot_run_in_a_transaction_do() {
    on_arbiter(async {
        let base = Base::empty("");
        let index = (
            "0002_index.sql",
            "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n); -- ;\nVACUUM a;\n",
        );
        migrator(&base, &[A, index]).up(|_| {}).await.expect("migrated");
        assert_eq!(base.integer("SELECT count(*) FROM pg_indexes WHERE indexname = 'a_n'").await, 1);
    });
}

#[test]
fn a_file_changed_after_it_was_applied_is_noticed_and_stops_the_next() {
    on_arbiter(async {
        let base = Base::empty("");
        migrator(&base, &[A]).up(|_| {}).await.expect("migrated");
        let changed = migrator(&base, &[("0001_a.sql", "CREATE TABLE a (n bigint)"), B]);
        let drift = Drift::Changed { scope: "unit".into(), name: "0001_a.sql".into() };
        assert_eq!(changed.verify().await.expect("verified"), [drift]);
        let refused = changed.up(|_| {}).await.expect_err("drift");
        assert!(refused.class == Class::Config && refused.message.contains("0001_a.sql"), "{refused}");
        assert_eq!(migrator(&base, &[A, B]).verify().await.expect("verified"), []);
    });
}

#[test]
fn the_draft_makes_a_hypertable_the_writer_can_write() {
    on_arbiter(async {
        let base = Base::new().await;
        let hypertables =
            "SELECT hypertable_schema || '.' || hypertable_name FROM timescaledb_information.hypertables";
        assert_eq!(base.texts(hypertables).await, ["m.trades"]);
        // It may be applied again.
        base.sql_batch(&draft(&base.topology).expect("a draft")).await;
        let columns = "SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY ordinal_position) \
                       FROM information_schema.columns WHERE table_schema = 'm' AND table_name = 'trades'";
        assert_eq!(
            base.texts(columns).await,
            [
                "ts timestamp with time zone NO, symbol text NO, price numeric NO, qty double precision NO, id bigint NO, \
              buy boolean YES, extra jsonb YES"
            ]
        );
    });
}
