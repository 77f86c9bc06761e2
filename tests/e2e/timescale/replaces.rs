//! Rows that take the place of others with their business key.

use super::*;

/// A row with a key of its own: seconds and symbol; what it says; by what it is newer or older.
type Keyed = (i64, &'static str, i128, i64);

/// A batch of such rows, one a message, from offset `first` on.
fn keyed(first: i64, rows: &[Keyed]) -> Batch {
    let plain = batch(0, 1, first, &vec![Row::default(); rows.len()]);
    let mut columns = plain.rows.columns().to_vec();
    let times = rows.iter().map(|row| 1_700_000_000_000_000 + row.0 * 1_000_000);
    columns[0] = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
    columns[1] = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    let prices = Decimal128Array::from_iter_values(rows.iter().map(|row| row.2 * 100_000_000));
    columns[2] = Arc::new(prices.with_precision_and_scale(18, 8).expect("18 digits"));
    columns[4] = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.3)));
    plain.with_rows(RecordBatch::try_new(plain.rows.schema(), columns).expect("the same columns"))
}

const PRICES: &str = "SELECT symbol || extract(epoch FROM ts)::bigint % 1700000000 || ' = ' || price::int FROM m.trades \
                      ORDER BY symbol, ts";

async fn base(options: &str) -> Base {
    Base::with_writer(&format!(", unique: [ts, symbol], on_conflict: replace{options}")).await
}

#[test]
fn of_one_key_the_last_row_to_come_stays_however_often_they_come() {
    on_arbiter(async {
        let base = base("").await;
        base.sql_batch("ALTER TABLE m.trades ADD CHECK (price > 0)").await;
        let first = [(0, "A", 9, 0), (0, "B", 1, 0), (0, "A", 2, 0), (1, "A", 3, 0)];
        // The database refuses the second of these, which replaces nothing.
        let second = [(0, "A", 4, 0), (0, "B", -1, 0), (2, "A", 5, 0)];
        let expected = ["A0 = 4", "A1 = 3", "A2 = 5", "B0 = 1"];
        for _ in 0..2 {
            let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
            let again = |mut batch: Batch| {
                batch.origin.epoch = claim.epoch;
                batch
            };
            let batches = vec![again(keyed(0, &first)), again(keyed(4, &second))];
            write(&base, "a", &[&claim], batches).await.1.expect("drained");
            assert_eq!(base.texts(PRICES).await, expected);
            assert_eq!(base.integer(STORED).await, 7);
            base.sql_batch("UPDATE aqueduct.offsets SET next_offset = 0").await;
        }
        let letters = "SELECT reason || ' ' || \"offset\" FROM aqueduct.dead_letter";
        assert_eq!(base.texts(letters).await, ["check_violation 5"]);
    });
}

#[test]
fn a_row_never_gives_way_to_one_with_a_lower_order() {
    on_arbiter(async {
        let base = base(", order_by: id").await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let first = keyed(0, &[(0, "A", 5, 5), (0, "A", 9, 9), (0, "A", 7, 7), (0, "B", 1, 1)]);
        write(&base, "a", &[&claim], vec![first]).await.1.expect("drained");
        assert_eq!(base.texts(PRICES).await, ["A0 = 9", "B0 = 1"]);
        let older = keyed(4, &[(0, "A", 8, 8), (0, "B", 2, 1)]);
        write(&base, "a", &[&claim], vec![older]).await.1.expect("drained");
        assert_eq!(base.texts(PRICES).await, ["A0 = 9", "B0 = 2"], "the last of those that are equal");
        let newer = keyed(6, &[(0, "A", 10, 10)]);
        write(&base, "a", &[&claim], vec![newer]).await.1.expect("drained");
        assert_eq!(base.texts(PRICES).await, ["A0 = 10", "B0 = 2"]);
    });
}

#[test]
fn a_key_without_a_unique_index_is_told_before_the_first_row() {
    on_arbiter(async {
        let base = base("").await;
        base.sql_batch("DROP INDEX m.trades_ts_symbol_idx").await;
        let claim = claim(&offsets(&base, "a"), 0).await.expect("a claim");
        let mut harness = Harness::sink("history", true);
        prepare(&harness, &[&claim], vec![keyed(0, &[(0, "A", 1, 0)])]);
        let probe = harness.probe();
        let script = async {
            until(async || probe.status().state().0.reason().is_some_and(|why| why.contains("unique index")))
                .await;
            base.sql_batch("CREATE UNIQUE INDEX ON m.trades (ts, symbol)").await;
            until(async || probe.input_link(0).fill().batches == 0).await;
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
        assert_eq!(base.texts(PRICES).await, ["A0 = 1"]);
    });
}
