//! What a writer leaves in the table, whatever happens to its connection and its claim.

use super::*;
use crate::harness::wire::{How, Moment, Proxy, When};
use aqueduct_actors::timescale::LetterStore;
use aqueduct_engine::Loss;

#[test]
fn every_type_arrives_exactly_and_the_offset_with_it() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let rows = [
            Row { price: 999_999_999_999_999_999, symbol: "é\"\\\t".into() },
            Row { price: -1, symbol: String::new() },
            Row { price: 0, ..Row::default() },
        ];
        let (harness, ended) = write(&base, "a", &[&claim], vec![batch(0, claim.epoch, 0, &rows)]).await;
        ended.expect("drained");
        let written = "SELECT concat_ws('|', extract(epoch FROM ts)::text, symbol, price::text, qty::text, id, buy, extra) \
                       FROM m.trades ORDER BY id";
        assert_eq!(
            base.texts(written).await,
            [
                "1700000000.000000|é\"\\\t|9999999999.99999999|0|0|[0]",
                "1700000000.000001||-0.00000001|0.25|1|t",
                "1700000000.000002|A|0.00000000|0.5|2|f|[2]",
            ]
        );
        assert_eq!(base.integer(STORED).await, 3);
        assert_eq!(harness.input_link(0).fill().batches, 0, "the lease is settled");
    });
}

#[test]
fn decimals_of_every_size_survive() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let mut random = fastrand::Rng::with_seed(7);
        let prices: Vec<i128> =
            (0..4000).map(|index| i128::from(random.i64(..)) % 10i128.pow(index % 18 + 1)).collect();
        let rows: Vec<Row> = prices.iter().map(|price| Row { price: *price, ..Row::default() }).collect();
        write(&base, "a", &[&claim], vec![batch(0, claim.epoch, 0, &rows)]).await.1.expect("drained");
        let stored =
            base.texts("SELECT (price * 100000000)::numeric(18,0)::text FROM m.trades ORDER BY id").await;
        let expected: Vec<String> = prices.iter().map(ToString::to_string).collect();
        assert_eq!(stored, expected);
    });
}

#[test]
fn partitions_share_a_transaction() {
    on_arbiter(async {
        let base = Base::new().await;
        let offsets = offsets(&base, "a");
        let requests: Vec<ClaimRequest> = (0..4).map(|partition| request(partition, 100)).collect();
        let claims = offsets.claim(&requests).await.expect("claims");
        let batches = (0..4).map(|partition| plain(partition, 1, 0, 10)).collect();
        let claims: Vec<&Claim> = claims.iter().collect();
        write(&base, "a", &claims, batches).await.1.expect("drained");
        assert_eq!(base.integer(COUNT).await, 40);
        assert_eq!(base.integer("SELECT count(DISTINCT xmin::text) FROM m.trades").await, 1);
        assert_eq!(base.integer("SELECT count(*) FROM aqueduct.offsets WHERE next_offset = 10").await, 4);
    });
}

#[test]
fn rows_below_the_sinks_own_offset_are_dropped_but_settled() {
    on_arbiter(async {
        let base = Base::new().await;
        let offsets = offsets(&base, "a");
        let first = claim(&offsets, 0).await.expect("a claim");
        write(&base, "a", &[&first], vec![plain(0, 1, 0, 10)]).await.1.expect("drained");
        let second = claim(&offsets, 0).await.expect("a claim");
        assert_eq!((second.epoch, second.start), (2, 10));
        // Another sink lags, so the source reads from further back.
        let (harness, ended) = write(&base, "a", &[&second], vec![plain(0, 2, 4, 10)]).await;
        ended.expect("drained");
        assert_eq!(base.integer("SELECT count(DISTINCT id) FROM m.trades").await, 14);
        assert_eq!(base.integer(COUNT).await, 14);
        assert_eq!(harness.input_link(0).fill().batches, 0);
    });
}

#[test]
fn a_zombie_writes_nothing_and_its_source_is_told() {
    on_arbiter(async {
        let base = Base::new().await;
        let old = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let new = claim(&offsets(&base, "b"), 0).await.expect("a claim");
        let (harness, ended) = write(&base, "a", &[&old], vec![plain(0, old.epoch, 0, 10)]).await;
        ended.expect("drained");
        assert_eq!(base.integer(COUNT).await, 0);
        assert_eq!(base.integer(STORED).await, 0);
        assert_eq!(harness.claims().take_rewinds("ticks"), [(key(0), old.epoch, Loss::Fenced)]);
        assert_eq!(fates(&harness), [0, 0, 10, 0], "what a zombie read is nobody's success");
        // The owner is not disturbed.
        write(&base, "b", &[&new], vec![plain(0, new.epoch, 0, 10)]).await.1.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (10, 10));
    });
}

#[test]
fn no_offset_moves_over_a_record_whose_letter_a_failover_lost() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        // Somebody upstream has rejected the record, and its letter was durable: on the server that is gone.
        let rejected = async || {
            let mut harness = Harness::sink("history", true);
            prepare(&harness, &[&claim], vec![plain(0, 1, 0, 3), plain(0, 1, 4, 6)]);
            harness.ledger().dead_lettered(&key(0), 1, 5, &"trades".into());
            harness.close_inputs();
            harness.run(base.writer("a")).await.expect("drained");
            harness
        };
        let harness = rejected().await;
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (0, 0));
        assert_eq!(harness.claims().take_rewinds("ticks"), [(key(0), 1, Loss::WentBack)]);
        letters::store(&base).store(&[letters::letter(1, 5)]).await.expect("stored");
        let harness = rejected().await;
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (9, 10));
        assert_eq!(harness.claims().take_rewinds("ticks"), []);
    });
}

#[test]
fn a_fence_between_two_transactions_stops_only_that_partition() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let claims = store.claim(&[request(0, 100), request(1, 100)]).await.expect("claims");
        let mut harness = Harness::sink("history", true);
        prepare(&harness, &[&claims[0], &claims[1]], vec![plain(0, 1, 0, 5), plain(1, 1, 0, 5)]);
        let probe = harness.probe();
        let script = async {
            settled(&probe).await;
            claim(&offsets(&base, "b"), 0).await.expect("a claim");
            probe.send(plain(0, 1, 5, 5));
            probe.send(plain(1, 1, 5, 5));
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
        let written =
            "SELECT o.partition::text || ':' || o.next_offset FROM aqueduct.offsets o ORDER BY o.partition";
        assert_eq!(base.texts(written).await, ["0:5", "1:10"]);
        assert_eq!(base.integer(COUNT).await, 15);
        assert_eq!(harness.claims().take_rewinds("ticks"), [(key(0), 1, Loss::Fenced)]);
    });
}

#[test]
fn a_database_that_went_back_is_noticed_and_not_written_over() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        for change in ["next_offset = 3", "epoch = 1, owner = owner, next_offset = 5"] {
            let raised = Claim { epoch: 7, ..claim.clone() };
            base.sql_batch("DELETE FROM m.trades; UPDATE aqueduct.offsets SET epoch = 7, next_offset = 0")
                .await;
            let mut harness = Harness::sink("history", true);
            prepare(&harness, &[&raised], vec![plain(0, 7, 0, 5)]);
            let probe = harness.probe();
            let script = async {
                settled(&probe).await;
                base.sql_batch(&["UPDATE aqueduct.offsets SET ", change].concat()).await;
                probe.send(plain(0, 7, 5, 5));
                probe.close_inputs();
            };
            let (ended, ()) = harness.run_while(base.writer("a"), script).await;
            ended.expect("drained");
            assert_eq!(base.integer(COUNT).await, 5, "{change}");
            assert_eq!(harness.claims().take_rewinds("ticks"), [(key(0), 7, Loss::WentBack)], "{change}");
        }
    });
}

/// A failover that lost the last commits of a partition in which nothing is sent any more: no batch comes to show it.
#[test]
fn a_database_that_went_back_is_noticed_while_nothing_comes() {
    on_arbiter(async {
        let base = Base::new().await;
        let store = offsets(&base, "a");
        let claims = [claim(&store, 0).await.expect("a claim"), claim(&store, 1).await.expect("a claim")];
        let mut harness = Harness::sink("history", true);
        prepare(&harness, &[&claims[0], &claims[1]], vec![plain(0, 1, 0, 5), plain(1, 1, 0, 5)]);
        let probe = harness.probe();
        let script = async {
            settled(&probe).await;
            base.sql_batch("UPDATE aqueduct.offsets SET next_offset = 3 WHERE partition = 1").await;
            base.sql_batch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name LIKE 'aqueduct/unit/a/%'",
            )
            .await;
            let mut rewinds = Vec::new();
            until(async || {
                rewinds.extend(probe.claims().take_rewinds("ticks"));
                !rewinds.is_empty()
            })
            .await;
            assert_eq!(rewinds, [(key(1), 1, Loss::WentBack)], "the one that went back, and no other");
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
    });
}

/// Some types would take the bytes of another for a value of their own without a word, and a column that nobody fills
/// would make every record look at fault.
#[test]
fn a_table_altered_beneath_an_open_session_is_noticed_before_anything_is_written() {
    let alterations = [
        (
            "id",
            "ALTER TABLE m.trades ALTER COLUMN id TYPE float8 USING id::float8",
            "ALTER TABLE m.trades ALTER COLUMN id TYPE bigint USING id::bigint",
        ),
        (
            "price",
            "ALTER TABLE m.trades ALTER COLUMN price TYPE text USING price::text",
            "ALTER TABLE m.trades ALTER COLUMN price TYPE numeric(18,8) USING price::numeric(18,8)",
        ),
        (
            "qty",
            "ALTER TABLE m.trades ALTER COLUMN qty TYPE bigint USING qty::bigint",
            "ALTER TABLE m.trades ALTER COLUMN qty TYPE float8 USING qty::float8",
        ),
        ("extra", "ALTER TABLE m.trades DROP COLUMN extra", "ALTER TABLE m.trades ADD COLUMN extra jsonb"),
        (
            "desk",
            "ALTER TABLE m.trades ADD COLUMN desk text NOT NULL DEFAULT ''; \
             ALTER TABLE m.trades ALTER COLUMN desk DROP DEFAULT",
            "ALTER TABLE m.trades ALTER COLUMN desk SET DEFAULT ''",
        ),
    ];
    on_arbiter(async {
        for (column, altered, repaired) in alterations {
            let base = Base::new().await;
            let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
            let mut harness = Harness::sink("history", true);
            prepare(&harness, &[&claim], vec![plain(0, 1, 0, 5)]);
            let probe = harness.probe();
            let script = async {
                settled(&probe).await;
                base.sql_batch(altered).await;
                probe.send(plain(0, 1, 5, 5));
                let named = format!("column `{column}`");
                let says = || probe.status().state().0.reason().is_some_and(|why| why.contains(&named));
                until(async || says()).await;
                assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (5, 5), "{column}");
                base.sql_batch(repaired).await;
                settled(&probe).await;
                probe.close_inputs();
            };
            let (ended, ()) = harness.run_while(base.writer("a"), script).await;
            ended.expect("an altered table is waited for");
            assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (10, 10), "{column}");
            assert_eq!(base.integer("SELECT count(*) FROM aqueduct.dead_letter").await, 0, "{column}");
            assert_eq!(
                base.integer("SELECT count(*) FROM m.trades WHERE id > 4 AND qty <> id / 4.0").await,
                0
            );
        }
    });
}

#[test]
fn a_restarted_writer_notices_rows_that_are_missing_before_its_first_batch() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let (harness, ended) = write(&base, "a", &[&claim], vec![plain(0, 1, 20, 5)]).await;
        ended.expect("drained");
        assert_eq!(base.integer(COUNT).await, 0);
        assert_eq!(harness.claims().take_rewinds("ticks"), [(key(0), 1, Loss::WentBack)]);
    });
}

#[test]
fn a_restarted_writer_goes_on_where_its_predecessor_stopped() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        write(&base, "a", &[&claim], vec![plain(0, 1, 0, 10)]).await.1.expect("drained");
        // Its lease was not settled when it died: the link delivers it again, together with what follows.
        write(&base, "a", &[&claim], vec![plain(0, 1, 0, 10), plain(0, 1, 10, 5)]).await.1.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (15, 15));
    });
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_repeated() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        // One row of it is refused: its letter lies in the commit that nobody answered.
        let mut rows = vec![Row::default(); 10];
        rows[3].symbol = "a\0b".into();
        let proxy = Proxy::to(base.world.database_url());
        proxy.strike(Moment::Commit, When::After, How::Reset);
        let wired = base.through(&proxy);
        let (harness, ended) =
            write(&wired, "a", &[&claim], vec![batch(0, 1, 0, &rows), plain(0, 1, 10, 5)]).await;
        ended.expect("drained");
        assert_eq!(proxy.struck(), 1, "the wire was cut");
        assert_eq!((wired.integer(COUNT).await, wired.integer(STORED).await), (14, 15));
        assert_eq!(wired.integer("SELECT count(*) FROM aqueduct.dead_letter").await, 1);
        assert_eq!(harness.input_link(0).fill().batches, 0, "all is settled");
        assert_eq!(fates(&harness), [14, 1, 0, 0], "the letter in the unanswered commit is accounted for");
    });
}

#[test]
fn a_connection_lost_within_a_copy_leaves_nothing_and_everything_is_written_once() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let proxy = Proxy::to(base.world.database_url());
        proxy.strike(Moment::CopyData, When::After, How::Reset);
        let wired = base.through(&proxy);
        write(&wired, "a", &[&claim], vec![plain(0, 1, 0, 5000)]).await.1.expect("drained");
        assert_eq!(proxy.struck(), 1, "the wire was cut");
        assert_eq!((wired.integer(COUNT).await, wired.integer(STORED).await), (5000, 5000));
    });
}

#[test]
fn batches_without_rows_move_the_offset() {
    on_arbiter(async {
        let base = Base::new().await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let filtered = plain(0, 1, 0, 10);
        let none = filtered.rows.slice(0, 0);
        let marker = RecordsBuilder::new(0, 10).of(key(0)).gap(2).build();
        let (harness, ended) =
            write(&base, "a", &[&claim], vec![filtered.with_rows(none.clone()), marker.with_rows(none)])
                .await;
        ended.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (0, 12));
        assert_eq!(harness.input_link(0).fill().batches, 0);
    });
}

#[test]
fn a_business_key_is_written_once() {
    on_arbiter(async {
        let base = Base::with_writer(", unique: [ts, symbol]").await;
        base.sql_batch("ALTER TABLE m.trades ADD CHECK (price > 0)").await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let again = batch(0, 1, 0, &[Row { price: 7, ..Row::default() }]);
        // The rows of offset 0 once more at offset 6, and one the table refuses.
        let columns =
            again.rows.columns()[..7].iter().cloned().chain(hidden_columns(vec![6], vec![0])).collect();
        let copied = RecordBatch::try_new(again.rows.schema(), columns).expect("the same columns");
        let copied = RecordsBuilder::new(0, 6).of(key(0)).value("raw 6").build().with_rows(copied);
        let mut rows = vec![Row::default(); 6];
        rows[2].price = -5;
        write(&base, "a", &[&claim], vec![batch(0, 1, 0, &rows), copied]).await.1.expect("drained");
        assert_eq!((base.integer(COUNT).await, base.integer(STORED).await), (5, 7));
        assert_eq!(
            base.integer("SELECT (price * 100000000)::bigint FROM m.trades WHERE id = 0").await,
            150_000_000
        );
        assert_eq!(
            base.texts("SELECT reason || ' ' || \"offset\" FROM aqueduct.dead_letter").await,
            ["check_violation 2"]
        );
    });
}

impl Base {
    /// The same database, over that wire for what the product does and directly for what the test asks.
    fn through(self, proxy: &Proxy) -> Self {
        let url = proxy.url(self.world.database_url());
        Self { topology: Arc::new(topology(&url, "")), world: self.world }
    }
}

/// Once everything sent has been settled.
async fn settled(probe: &Probe) {
    until(async || probe.input_link(0).fill().batches == 0).await;
}
