//! What the database refuses: rows become letters, everything else waits with a message that says what to do.

use super::*;
use aqueduct_engine::State;
use aqueduct_topology::Spanned;
use secrecy::{ExposeSecret, SecretString};

#[test]
fn one_bad_row_in_ten_thousand_is_rejected_alone() {
    on_arbiter(async {
        let base = Base::new().await;
        base.sql_batch(
            "ALTER TABLE m.trades ALTER price TYPE numeric(16,8), ADD CONSTRAINT known CHECK (symbol <> 'Z')",
        )
        .await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let mut rows = vec![Row::default(); 10_000];
        rows[5713].price = 10i128.pow(17);
        rows[9999].symbol = "Z".into();
        let (harness, ended) = write(
            &base,
            "a",
            &[&claim],
            vec![batch(0, 1, 0, &rows[..6000]), batch(0, 1, 6000, &rows[6000..])],
        )
        .await;
        ended.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (9998, 10_000));
        let letters = base
            .texts(
                "SELECT concat_ws(' ', actor, \"offset\", class, reason, convert_from(payload, 'UTF8')) \
                                  FROM aqueduct.dead_letter ORDER BY \"offset\"",
            )
            .await;
        assert_eq!(
            letters,
            [
                "history 5713 data numeric_value_out_of_range raw 5713",
                "history 9999 data check_violation raw 9999"
            ]
        );
        let details = base.texts("SELECT detail FROM aqueduct.dead_letter ORDER BY \"offset\"").await;
        assert!(details[0].contains("column `price`"), "{details:?}");
        assert!(details[1].contains("constraint `") && details[1].contains("known"), "{details:?}");
        assert_eq!(fates(&harness), [9998, 2, 0, 0]);
        assert_eq!(harness.input_link(0).fill().batches, 0);
    });
}

#[test]
fn a_batch_of_poison_only_is_all_letters() {
    on_arbiter(async {
        let base = Base::new().await;
        base.sql_batch("CREATE FUNCTION m.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$; \
                        CREATE TRIGGER refuse BEFORE INSERT ON m.trades FOR EACH ROW EXECUTE FUNCTION m.refuse()").await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        write(&base, "a", &[&claim], vec![plain(0, 1, 0, 60)]).await.1.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (0, 60));
        let reasons =
            base.texts("SELECT reason || ' ' || count(*) FROM aqueduct.dead_letter GROUP BY reason").await;
        assert_eq!(reasons, ["raise_exception 60"]);
    });
}

#[test]
fn what_text_and_time_cannot_hold_is_rejected_alone() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let mut rows = vec![Row::default(); 3];
        rows[1].symbol = "a\0b".into();
        let good = batch(0, 1, 0, &rows);
        let mut columns = plain(0, 1, 3, 2).rows.columns().to_vec();
        columns[0] = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX, i64::MIN]).with_timezone("UTC"));
        let wild = plain(0, 1, 3, 2);
        let wild = wild.with_rows(RecordBatch::try_new(wild.rows.schema(), columns).expect("columns"));
        write(&base, "a", &[&claim], vec![good, wild]).await.1.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (2, 5));
        let reasons = base
            .texts("SELECT reason || ' ' || \"offset\" FROM aqueduct.dead_letter ORDER BY \"offset\"")
            .await;
        assert_eq!(
            reasons,
            ["character_not_in_repertoire 1", "datetime_field_overflow 3", "datetime_field_overflow 4"]
        );
    });
}

#[test]
fn a_missing_table_is_waited_for_and_named_with_its_remedy() {
    on_arbiter(async {
        let base = Base::without_table("").await;
        let reason =
            waits_then(&base, &base.topology, async || base.sql_batch(&drafted(&base.topology)).await).await;
        assert!(
            reason.contains("`m.trades` does not exist") && reason.contains("aqueduct migrate new FILE"),
            "{reason}"
        );
    });
}

#[test]
fn a_column_of_another_type_is_waited_for_and_named_with_both_types() {
    on_arbiter(async {
        let base = Base::new().await;
        base.sql_batch("ALTER TABLE m.trades ALTER price TYPE double precision").await;
        let mend = async || base.sql_batch("ALTER TABLE m.trades ALTER price TYPE numeric(18,8)").await;
        let reason = waits_then(&base, &base.topology, mend).await;
        for word in ["`m.trades`", "`price`", "double precision", "decimal(18,8)", "numeric(18,8)"] {
            assert!(reason.contains(word), "{reason} lacks {word}");
        }
    });
}

#[test]
fn the_engines_own_tables_are_missed_by_name() {
    on_arbiter(async {
        let base = Base::empty("");
        base.sql_batch(&drafted(&base.topology)).await;
        let mend = async || {
            base.migrator().up(&|_| {}).await.expect("migrated");
        };
        let reason = waits_then(&base, &base.topology, mend).await;
        assert!(
            reason.contains("aqueduct.offsets") && reason.contains("aqueduct migrate up FILE"),
            "{reason}"
        );
    });
}

#[test]
fn a_wrong_password_waits_and_the_right_one_is_picked_up_from_its_file() {
    on_arbiter(async {
        let base = Base::new().await;
        let url = base.connection().url.value.expose_secret().to_owned();
        let (login, rest) = url.split_once("://").expect("a url").1.split_once('@').expect("a user");
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let file = base.world.folder().join("password");
        std::fs::write(&file, "wrong\n").expect("a file");
        let mut topology = (*base.topology).clone();
        let connection = topology.connections.timescale.as_mut().expect("a connection");
        let bare = ["postgres://", user, "@", rest].concat();
        connection.url = Spanned::new(SecretString::from(bare), connection.url.span);
        connection.password_file = Some(file.clone());
        let mend = async || std::fs::write(&file, password).expect("a file");
        let reason = waits_then(&base, &topology, mend).await;
        assert!(reason.contains("password") && !reason.contains("wrong"), "{reason}");
    });
}

/// Runs a writer under `topology`, which must wait; mends; sees it work. Returns what it waited for.
async fn waits_then(base: &Base, topology: &Topology, mend: impl AsyncFn()) -> String {
    let changed = Base { topology: Arc::new(topology.clone()), world: World::shared() };
    let mut harness = Harness::sink("history", true);
    let probe = harness.probe();
    let script = async {
        let mut reason = String::new();
        until(async || match probe.status().state().0 {
            State::Waiting { class: "config", reason: why } => {
                reason = why;
                true
            }
            _ => false,
        })
        .await;
        mend().await;
        let claim = claim(&offsets(base, "a"), 0).await.expect("a claim");
        prepare(&probe, &[&claim], vec![plain(0, claim.epoch, 0, 5)]);
        probe.close_inputs();
        reason
    };
    let (ended, reason) = harness.run_while(changed.writer("a"), script).await;
    ended.expect("drained");
    assert_eq!(base.integer(COUNT).await, 5);
    reason
}
