//! Where a topic begins, and what comes later.

use super::*;
use aqueduct_engine::Class;
use std::collections::BTreeMap;

const STORED: &str =
    "SELECT partition || ' at ' || next_offset FROM aqueduct.offsets ORDER BY sink, partition";

/// A claim as of a source that has begun: a partition without an offset is new.
async fn claim_begun(offsets: &dyn OffsetStore, partition: i32, start: i64) -> Result<Claim, Error> {
    let log = LogRange { start, end: 1_000_000, initial: start };
    let claims = offsets.claim(&[ClaimRequest { key: key(partition), log, begun: true }]).await?;
    Ok(claims.into_iter().next().expect("one claim a request"))
}

fn starts<const N: usize>(starts: [(i32, i64); N]) -> BTreeMap<i32, i64> {
    starts.into()
}

#[test]
fn a_topic_begins_once_whoever_comes_first() {
    on_arbiter(async {
        let base = Base::new().await;
        let (one, two) = (offsets(&base, "one"), offsets(&base, "two"));
        assert!(!one.has_begun("ticks", "md").await.expect("an answer"));
        one.begin("ticks", "md", &starts([(0, 90), (1, 80)])).await.expect("begun");
        assert!(two.has_begun("ticks", "md").await.expect("an answer"));
        assert!(!two.has_begun("ticks", "other").await.expect("an answer"), "another topic");
        // It asked at the same time, a little later.
        two.begin("ticks", "md", &starts([(0, 95), (1, 85), (2, 70)])).await.expect("begun");
        assert_eq!(base.texts(STORED).await, ["0 at 90", "1 at 80"]);
        let claimed = claim_begun(&two, 1, 0).await.expect("a claim");
        assert_eq!((claimed.start, claimed.epoch), (80, 2));
        let grown = claim_begun(&two, 2, 3).await.expect("a claim");
        assert_eq!((grown.start, grown.epoch), (3, 1), "a partition that came later begins at its start");
    });
}

#[test]
fn a_claim_takes_nothing_for_new_where_no_beginning_is_stored() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        store.begin("ticks", "md", &starts([(0, 90)])).await.expect("begun");
        base.sql_batch("DELETE FROM aqueduct.offsets").await;
        let refused = claim_begun(&store, 0, 0).await.expect_err("it must begin again first");
        assert_eq!(refused.class, Class::Transient);
        assert!(base.texts(STORED).await.is_empty());
        store.begin("ticks", "md", &starts([(0, 95)])).await.expect("begun");
        assert_eq!(claim_begun(&store, 0, 0).await.expect("a claim").start, 95);
    });
}

#[test]
fn a_sink_under_a_new_name_has_begun_with_the_offsets_it_takes_over() {
    on_arbiter(async {
        let base = Base::new().await;
        let former = offsets_of(&base, "a", "former", None);
        former.begin("ticks", "md", &starts([(0, 40)])).await.expect("begun");
        let refused = offsets(&base, "a").begin("ticks", "md", &starts([(0, 90)])).await;
        assert_eq!(refused.expect_err("its table is another's").class, Class::Config);
        let heir = offsets_of(&base, "a", "history", Some("former"));
        assert!(heir.has_begun("ticks", "md").await.expect("an answer"));
        heir.begin("ticks", "md", &starts([(0, 90)])).await.expect("begun before");
        assert_eq!(claim_begun(&heir, 0, 0).await.expect("a claim").start, 40);
    });
}
