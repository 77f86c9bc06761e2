//! When a transaction begins, and how many are in flight at once.

use super::*;
use std::time::Duration;

/// Sessions of the writer that wait for a lock: each is in the COPY of a transaction.
const IN_COPY: &str = "\
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
    AND application_name LIKE 'aqueduct/unit/a/%'";

/// How often each row of each partition is there: `partition: rows, different rows`.
const ROWS: &str = "\
    SELECT symbol || ': ' || count(*) || ', ' || count(DISTINCT id) FROM m.trades GROUP BY symbol ORDER BY symbol";

/// Long enough for a writer to do what it should not.
const A_WHILE: Duration = Duration::from_millis(300);

/// Ten rows that tell their partition.
fn ten(partition: i32, first: i64) -> Batch {
    let row = Row { symbol: format!("p{partition}"), ..Row::default() };
    batch(partition, 1, first, &vec![row; 10])
}

async fn claims_of(base: &Base, partitions: i32) -> Vec<Claim> {
    let requests: Vec<ClaimRequest> = (0..partitions).map(|partition| request(partition, 1000)).collect();
    offsets(base, "a").claim(&requests).await.expect("claims")
}

/// Keeps everybody from writing into the table until it is dropped.
async fn nobody_writes(base: &Base) -> Held {
    let url = base.world.database_url().to_owned();
    let holder = blocking(move || {
        let holder = Sql::connect(&url);
        holder.batch("BEGIN; LOCK TABLE m.trades IN SHARE MODE");
        holder
    });
    Held(Some(holder.await))
}

struct Held(Option<Sql>);

impl Held {
    async fn release(mut self) {
        let holder = self.0.take().expect("held");
        blocking(move || holder.batch("COMMIT")).await;
    }
}

async fn settled(probe: &Probe) {
    until(async || probe.input_link(0).fill().batches == 0).await;
}

#[test]
fn transactions_of_other_partitions_are_in_flight_at_once_and_of_one_never() {
    on_arbiter(async {
        let base = Base::with_writer(", transactions: 3, flush: { rows: 10, interval: 1h }").await;
        let claims = claims_of(&base, 4).await;
        let mut harness = Harness::sink("history", true);
        let claims: Vec<&Claim> = claims.iter().collect();
        prepare(&harness, &claims, (0..4).map(|partition| ten(partition, 0)).collect());
        let probe = harness.probe();
        let script = async {
            settled(&probe).await;
            let held = nobody_writes(&base).await;
            for (partition, first) in [(0, 10), (0, 20), (0, 30), (1, 10), (1, 20)] {
                probe.send(ten(partition, first));
            }
            until(async || base.integer(IN_COPY).await == 2).await;
            tokio::time::sleep(A_WHILE).await;
            assert_eq!(base.integer(IN_COPY).await, 2, "one a partition, though three are allowed");
            for partition in [2, 3] {
                probe.send(ten(partition, 10));
            }
            until(async || base.integer(IN_COPY).await == 3).await;
            tokio::time::sleep(A_WHILE).await;
            assert_eq!(base.integer(IN_COPY).await, 3, "three, though four partitions have rows");
            held.release().await;
            settled(&probe).await;
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
        assert_eq!(base.texts(ROWS).await, ["p0: 40, 40", "p1: 30, 30", "p2: 20, 20", "p3: 20, 20"]);
        assert_eq!(fates(&harness.probe()), [110, 0, 0, 0]);
    });
}

#[test]
fn transactions_whose_connections_end_in_flight_are_written_once() {
    on_arbiter(async {
        let base = Base::with_writer(", transactions: 3, flush: { rows: 10, interval: 1h }").await;
        let claims = claims_of(&base, 3).await;
        let mut harness = Harness::sink("history", true);
        let claims: Vec<&Claim> = claims.iter().collect();
        prepare(&harness, &claims, (0..3).map(|partition| ten(partition, 0)).collect());
        let probe = harness.probe();
        let script = async {
            settled(&probe).await;
            let held = nobody_writes(&base).await;
            (0..6).for_each(|turn| probe.send(ten(turn % 3, 10 + 10 * i64::from(turn / 3))));
            until(async || base.integer(IN_COPY).await == 3).await;
            base.sql_batch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND application_name LIKE 'aqueduct/unit/a/%' LIMIT 2",
            )
            .await;
            held.release().await;
            settled(&probe).await;
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
        assert_eq!(base.texts(ROWS).await, ["p0: 30, 30", "p1: 30, 30", "p2: 30, 30"]);
    });
}

#[test]
fn a_record_that_comes_to_a_writer_at_rest_is_seen_at_once_and_the_next_after_the_interval() {
    on_arbiter(async {
        let base = Base::with_writer(", flush: { rows: 1000, interval: 1h }").await;
        let claims = claims_of(&base, 2).await;
        let mut harness = Harness::sink("history", true);
        prepare(&harness, &[&claims[0], &claims[1]], vec![plain(0, 1, 0, 1)]);
        let probe = harness.probe();
        let script = async {
            settled(&probe).await;
            assert_eq!(base.integer(COUNT).await, 1, "long before an hour has passed");
            probe.send(plain(0, 1, 1, 1));
            tokio::time::sleep(A_WHILE).await;
            assert_eq!(base.integer(COUNT).await, 1, "an hour after the first at the latest");
            probe.send(plain(1, 1, 0, 999));
            settled(&probe).await;
            assert_eq!(base.integer(COUNT).await, 1001, "or when there is enough");
            probe.close_inputs();
        };
        let (ended, ()) = harness.run_while(base.writer("a"), script).await;
        ended.expect("drained");
        assert_eq!(base.integer("SELECT count(DISTINCT xmin::text) FROM m.trades").await, 2);
    });
}
