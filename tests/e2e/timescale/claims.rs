//! Who owns a partition, and from where it is read.

use super::*;
use aqueduct_actors::timescale::LetterStore;
use aqueduct_engine::{Class, SinkIdentity};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::NoTls;

#[test]
fn each_claim_raises_the_epoch_and_has_an_owner_of_its_own() {
    on_arbiter(async {
        let base = Base::new().await;
        let first = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let second = claim(&offsets(&base, "b"), 0).await.expect("a claim");
        assert_eq!((first.epoch, second.epoch), (1, 2));
        assert_ne!(first.owner, second.owner);
        let stored =
            base.texts("SELECT replace(owner::text, '-', '') || ' ' || node FROM aqueduct.offsets").await;
        assert_eq!(stored, [format!("{:032x} b", second.owner.0)]);
    });
}

#[test]
fn two_claims_at_once_get_two_epochs() {
    on_arbiter(async {
        let base = Base::new().await;
        let (a, b) = (offsets(&base, "a"), offsets(&base, "b"));
        let (one, other) = futures::join!(claim(&a, 0), claim(&b, 0));
        let mut epochs = [one.expect("a claim").epoch, other.expect("a claim").epoch];
        epochs.sort();
        assert_eq!(epochs, [1, 2]);
    });
}

#[test]
fn positions_tell_every_sink() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let claim = claim(&store, 3).await.expect("a claim");
        store.advance("history", &[(key(3), claim.epoch, 12)]).await.expect("recorded");
        store.advance("history", &[(key(3), claim.epoch, 9)]).await.expect("never back");
        store
            .advance("history", &[(key(3), claim.epoch - 1, 99)])
            .await
            .expect("nothing under another claim");
        let positions = store.positions().await.expect("positions");
        let [position] = positions.as_slice() else { panic!("{positions:?}") };
        assert_eq!(
            (&*position.sink, &position.key, position.epoch, position.next_offset),
            ("history", &key(3), 1, 12)
        );
    });
}

#[test]
fn an_offset_recorded_by_a_former_owner_hits_nothing() {
    on_arbiter(async {
        let base = Base::new().await;
        let former = offsets(&base, "a");
        let old = claim(&former, 0).await.expect("a claim");
        claim(&offsets(&base, "b"), 0).await.expect("a claim");
        former.advance("history", &[(key(0), old.epoch, 50)]).await.expect("no error: it just hits nothing");
        assert_eq!(base.integer(STORED).await, 0);
    });
}

#[test]
fn a_table_fed_under_another_name_is_refused_until_the_file_says_so() {
    on_arbiter(async {
        let base = Base::new().await;
        let old = offsets_of(&base, "a", "former", None);
        let claimed = claim(&old, 0).await.expect("a claim");
        old.advance("former", &[(key(0), claimed.epoch, 40)]).await.expect("recorded");
        let refused = claim(&offsets(&base, "a"), 0).await.expect_err("the rows would be written again");
        assert_eq!(refused.class, Class::Config);
        assert!(
            refused.message.contains("`m.trades`") && refused.message.contains("adopts: former"),
            "{refused}"
        );
        let adopted = claim(&offsets_of(&base, "a", "history", Some("former")), 0).await.expect("a claim");
        assert_eq!((adopted.epoch, adopted.start), (2, 40));
        assert_eq!(base.texts("SELECT sink FROM aqueduct.offsets").await, ["history"]);
        // The old file does not get it back.
        assert_eq!(claim(&old, 0).await.expect_err("renamed").class, Class::Config);
    });
}

#[test]
fn a_best_effort_sink_keeps_an_offset_of_its_own() {
    on_arbiter(async {
        let base = Base::new().await;
        let sink =
            |id: &str, required| SinkIdentity { id: id.into(), adopts: None, target: id.into(), required };
        let sinks = BTreeMap::from([("ticks".into(), vec![sink("history", true), sink("cache", false)])]);
        let store = TimescaleOffsets::new(base.timescale("a"), "unit".into(), "a".into(), sinks);
        let first = claim(&store, 0).await.expect("a claim");
        store.advance("history", &[(key(0), first.epoch, 100)]).await.expect("recorded");
        store.advance("cache", &[(key(0), first.epoch, 70)]).await.expect("recorded");
        let second = claim(&store, 0).await.expect("a claim");
        assert_eq!(second.start, 70);
        assert_eq!(second.sinks, BTreeMap::from([("cache".into(), 70), ("history".into(), 100)]));
    });
}

#[test]
fn a_log_that_lost_records_waits_for_somebody() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let first = claim(&store, 0).await.expect("a claim");
        store.advance("history", &[(key(0), first.epoch, 100)]).await.expect("recorded");
        let refused = store.claim(&[request(0, 20)]).await.expect_err("beyond the end");
        assert_eq!(refused.class, Class::Config);
        assert_eq!(base.integer("SELECT epoch FROM aqueduct.offsets").await, 1, "nothing was claimed");
    });
}

#[test]
fn a_reset_sink_starts_over_under_a_newer_claim() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let first = claim(&store, 0).await.expect("a claim");
        store.advance("history", &[(key(0), first.epoch, 100)]).await.expect("recorded");
        assert_eq!(store.reset(Some("other")).await.expect("nothing to do"), 0);
        assert_eq!(store.reset(None).await.expect("reset"), 1);
        let second = claim(&store, 0).await.expect("a claim");
        assert_eq!((second.epoch, second.start), (2, 0), "links of this process have seen epoch 1");
    });
}

#[test]
fn a_session_that_holds_the_rows_of_a_claim_is_ended() {
    on_arbiter(async {
        let base = Base::new().await;
        let former = base.timescale("a");
        claim(&offsets_on(&base, &former, "a"), 0).await.expect("a claim");
        let stuck = former.connect().await.expect("a session of the former owner");
        stuck
            .client()
            .batch_execute("BEGIN; UPDATE aqueduct.offsets SET next_offset = 5")
            .await
            .expect("a lock");
        let next = claim(&offsets(&base, "b"), 0).await.expect("a claim all the same");
        assert_eq!((next.epoch, next.start), (2, 0), "what it held was never committed");
        assert!(stuck.client().batch_execute("COMMIT").await.is_err(), "its session is gone");
    });
}

#[test]
fn a_session_stopped_inside_copy_is_ended_once_its_owner_has_nothing_left() {
    on_arbiter(async {
        let base = Base::new().await;
        let former = base.timescale("a");
        let store = offsets_on(&base, &former, "a");
        store.claim(&[request(0, 100), request(1, 100)]).await.expect("claims");
        let stuck = former.connect().await.expect("a session of the former owner");
        stuck.client().batch_execute("BEGIN").await.expect("begun");
        let sink = stuck.client().copy_in::<_, Bytes>("COPY m.trades FROM STDIN").await.expect("a COPY");
        claim(&offsets(&base, "b"), 0).await.expect("a claim");
        assert_eq!(base.integer(SESSIONS_IN_COPY).await, 1, "it still owns the other partition");
        claim(&offsets(&base, "b"), 1).await.expect("a claim");
        until(async || base.integer(SESSIONS_IN_COPY).await == 0).await;
        drop(sink);
    });
}

#[test]
fn only_our_own_applications_sessions_can_be_ended() {
    on_arbiter(async {
        let base = Base::new().await;
        let url = [
            base.world.database_url(),
            if base.world.database_url().contains('?') { "&" } else { "?" },
            "application_name=dashboard",
        ]
        .concat();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("a session");
        let _driver = tokio::task::spawn_local(connection);
        client.batch_execute("BEGIN; SELECT 1").await.expect("begun");
        assert_eq!(base.integer("SELECT aqueduct.end_sessions('{dashboard}')::bigint").await, 0);
        client.batch_execute("COMMIT").await.expect("still there");
    });
}

#[test]
fn letters_that_will_be_judged_again_are_deleted() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let first = claim(&store, 0).await.expect("a claim");
        store.advance("history", &[(key(0), first.epoch, 10)]).await.expect("recorded");
        let letters: Vec<_> = [9, 10, 11].iter().map(|offset| super::letters::letter(1, *offset)).collect();
        super::letters::store(&base).store(&letters).await.expect("stored");
        claim(&store, 0).await.expect("a claim");
        assert_eq!(base.texts("SELECT \"offset\"::text FROM aqueduct.dead_letter").await, ["9"]);
    });
}

/// The cache lags behind the table: its healing begins at 4, but the fate of what lies below 10 was decided.
#[test]
fn letters_below_the_required_sinks_outlive_the_healing_of_a_cache() {
    on_arbiter(async {
        let base = Base::new().await;
        let identity =
            |id: &str, required| SinkIdentity { id: id.into(), adopts: None, target: id.into(), required };
        let sinks =
            BTreeMap::from([(Arc::from("ticks"), vec![identity("history", true), identity("cache", false)])]);
        let store = TimescaleOffsets::new(base.timescale("a"), "unit".into(), "a".into(), sinks);
        let first = claim(&store, 0).await.expect("a claim");
        store.advance("history", &[(key(0), first.epoch, 10)]).await.expect("recorded");
        store.advance("cache", &[(key(0), first.epoch, 4)]).await.expect("recorded");
        let letters: Vec<_> = [3, 5, 9, 10].iter().map(|offset| super::letters::letter(1, *offset)).collect();
        super::letters::store(&base).store(&letters).await.expect("stored");
        let second = claim(&store, 0).await.expect("a claim");
        assert_eq!(second.start, 4);
        let left = base.texts("SELECT \"offset\"::text FROM aqueduct.dead_letter ORDER BY \"offset\"").await;
        assert_eq!(left, ["3", "5", "9"]);
    });
}

const SESSIONS_IN_COPY: &str = "SELECT count(*) FROM pg_stat_activity \
                                WHERE application_name LIKE 'aqueduct/unit/a/%' AND query LIKE 'COPY%' \
                                  AND datname = current_database()";

fn offsets_on(_base: &Base, timescale: &Timescale, node: &str) -> TimescaleOffsets {
    let identity =
        SinkIdentity { id: "history".into(), adopts: None, target: "m.trades".into(), required: true };
    let sinks = BTreeMap::from([(Arc::from("ticks"), vec![identity])]);
    TimescaleOffsets::new(timescale.clone(), "unit".into(), node.into(), sinks)
}
