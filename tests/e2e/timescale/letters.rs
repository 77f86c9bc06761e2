//! Dead letters: durable once, and only under the newest claim.

use super::*;
use aqueduct_actors::dead_letter;
use aqueduct_actors::timescale::{LetterStore, TimescaleLetters};
use aqueduct_engine::{Class, Extent, Letter};
use std::sync::Arc;

pub(super) fn letter(epoch: i64, offset: i64) -> Letter {
    Letter {
        actor: "trades".into(),
        key: key(0),
        epoch,
        offset,
        row: 0,
        extent: Extent::Row,
        class: Class::Data,
        reason: "price_positive".into(),
        detail: "price -1 is not above 0\0".into(),
        record_key: Some(b"\xff".to_vec()),
        payload: Some(b"\0\xfe{}".to_vec()),
        headers: vec![("h".into(), Some(b"v".to_vec()))],
        record_time_ms: Some(1_700_000_000_123),
    }
}

pub(super) fn store(base: &Base) -> TimescaleLetters {
    TimescaleLetters::new(base.timescale("a"), "unit".into(), "a".into(), true)
}

const LETTERS: &str = "SELECT count(*) FROM aqueduct.dead_letter";

#[test]
fn a_letter_keeps_the_record_as_it_came_and_is_stored_once() {
    on_arbiter(async {
        let base = Base::new().await;
        claim(&offsets(&base, "a"), 0).await.expect("a claim");
        for _ in 0..2 {
            store(&base).store(&[letter(1, 5)]).await.expect("stored");
        }
        let kept = "SELECT concat_ws('|', topology, actor, source, topic, partition, \"offset\", row_index, class, reason, \
                    detail, encode(key, 'hex'), encode(payload, 'hex'), headers, extract(epoch FROM record_time)) \
                    FROM aqueduct.dead_letter";
        assert_eq!(
            base.texts(kept).await,
            ["unit|trades|ticks|md|0|5|0|data|price_positive|price -1 is not above 0\u{fffd}|ff|00fe7b7d|\
              [{\"name\": \"h\", \"value\": \"v\"}]|1700000000.123000"]
        );
    });
}

#[test]
fn a_letter_judged_under_an_older_claim_is_dropped() {
    on_arbiter(async {
        let base = Base::new().await;
        let offsets = offsets(&base, "a");
        claim(&offsets, 0).await.expect("a claim");
        claim(&offsets, 0).await.expect("a claim");
        store(&base).store(&[letter(1, 5), letter(2, 6)]).await.expect("stored");
        assert_eq!(base.texts("SELECT \"offset\"::text FROM aqueduct.dead_letter").await, ["6"]);
    });
}

#[test]
fn a_claim_waits_for_letters_under_way_and_deletes_them() {
    on_arbiter(async {
        let base = Base::new().await;
        claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let other = base.timescale("a").connect().await.expect("a session");
        let hold = "BEGIN; SELECT FROM aqueduct.offsets FOR KEY SHARE";
        other.client().batch_execute(hold).await.expect("held as letters hold it");
        let next = offsets(&base, "b");
        let claiming = claim(&next, 0);
        let letters = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            until(async || base.integer(waiting).await == 1).await;
            // A writer is not in the way of letters, nor they in its way.
            base.sql_batch("UPDATE aqueduct.offsets SET next_offset = next_offset").await;
            let insert = "INSERT INTO aqueduct.dead_letter (topology, actor, source, topic, partition, \"offset\", row_index, \
                          epoch, class, reason, detail, node) VALUES ('unit', 'trades', 'ticks', 'md', 0, 3, 0, 1, 'data', 'r', '', 'a')";
            other.client().batch_execute(insert).await.expect("stored");
            other.client().batch_execute("COMMIT").await.expect("committed");
        };
        let (claimed, ()) = futures::join!(claiming, letters);
        assert_eq!(claimed.expect("a claim").epoch, 2);
        assert_eq!(base.integer(LETTERS).await, 0, "the claim saw the letter and deleted it");
    });
}

#[test]
fn ten_megabytes_are_kept() {
    on_arbiter(async {
        let base = Base::new().await;
        claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let large = |offset| Letter { payload: Some(vec![0xfe; 10 << 20]), ..letter(1, offset) };
        store(&base).store(&[large(1), letter(1, 2), large(3)]).await.expect("stored");
        let lengths = base
            .texts("SELECT octet_length(payload)::text FROM aqueduct.dead_letter ORDER BY \"offset\"")
            .await;
        assert_eq!(lengths, ["10485760", "4", "10485760"]);
    });
}

#[test]
fn whoever_rejects_is_answered_once_the_letter_is_durable() {
    on_arbiter(async {
        let base = Base::new().await;
        claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let keeper = dead_letter::keeper(Arc::new(store(&base)))();
        let mut harness = Harness::builder("dead_letter").inputs(0).outputs(0).letters_left().build();
        let probe = harness.probe();
        let script = async {
            let port = probe.port();
            futures::join!(port.store(vec![letter(1, 1)]), port.store(vec![letter(1, 2), letter(1, 3)]));
            let stored = base.integer(LETTERS).await;
            probe.stop();
            stored
        };
        let (ended, stored) = harness.run_while(keeper, script).await;
        ended.expect("stopped");
        assert_eq!(stored, 3);
    });
}

#[test]
fn letters_wait_through_an_outage_instead_of_being_lost() {
    on_arbiter(async {
        let base = Base::empty("");
        let keeper = dead_letter::keeper(Arc::new(store(&base)))();
        let mut harness = Harness::builder("dead_letter").inputs(0).outputs(0).letters_left().build();
        let probe = harness.probe();
        let script = async {
            // The schema is missing; somebody adds it while the letter waits.
            let storing = probe.port().store(vec![letter(1, 1)]);
            let mending = async {
                until(async || matches!(probe.status().state().0, aqueduct_engine::State::Waiting { .. }))
                    .await;
                base.migrator().up(&|_| {}).await.expect("migrated");
                claim(&offsets(&base, "a"), 0).await.expect("a claim");
            };
            futures::join!(storing, mending);
            probe.stop();
        };
        let (ended, ()) = harness.run_while(keeper, script).await;
        ended.expect("stopped");
    });
}
