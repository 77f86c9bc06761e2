//! What must be true afterwards, whatever happened meanwhile.

use super::topologies::KEYS;
use super::wait;
use super::world::{Sql, World};
use bb8_redis::redis::Commands;
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits until the writer of the topology has passed every record of the topic.
pub fn await_drained(world: &World, sql: &Sql, records: u64, bound: Duration) {
    let topology = format!("trades-{}", world.topic);
    let query = "SELECT coalesce(sum(next_offset), 0)::bigint FROM aqueduct.offsets WHERE topology = $1 AND sink = 'history'";
    wait::until(&format!("{records} records written"), bound, || {
        let written: i64 = sql.rows(query, &[&topology])[0].get(0);
        assert!(written <= records as i64, "offsets passed the topic's end: {written} of {records}");
        (written == records as i64).then_some(())
    });
}

/// Every id `1..=produced` exactly once in table or dead letter; offsets at the ends of the partitions.
pub fn assert_exactly_once(world: &World, sql: &Sql, produced: u64) {
    let row = &sql.rows(
        "SELECT count(*), count(DISTINCT id), coalesce(min(id), 0), coalesce(max(id), 0) FROM market.trades",
        &[],
    )[0];
    let (rows, distinct, least, greatest): (i64, i64, i64, i64) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let dead = sql.integer("SELECT count(*) FROM aqueduct.dead_letter");
    assert_eq!(rows, distinct, "rows are doubled");
    assert_eq!(rows + dead, produced as i64, "{rows} rows and {dead} dead letters of {produced} records");
    assert!(least >= 1 && greatest <= produced as i64, "ids {least}..={greatest} were never sent");
    let ends = ends(world);
    let topology = format!("trades-{}", world.topic);
    let query =
        "SELECT partition, next_offset FROM aqueduct.offsets WHERE topology = $1 AND sink = 'history'";
    let stored: BTreeMap<i32, i64> =
        sql.rows(query, &[&topology]).iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(stored, ends, "next offsets are the ends of the partitions");
}

/// The high watermark of each partition.
fn ends(world: &World) -> BTreeMap<i32, i64> {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", world.stack().kafka_bootstrap())
        .create()
        .expect("a consumer");
    let end = |partition| {
        consumer.fetch_watermarks(&world.topic, partition, Duration::from_secs(10)).expect("watermarks").1
    };
    (0..super::world::PARTITIONS as i32).map(|partition| (partition, end(partition))).collect()
}

/// Each key holds its newest trade; waits a little, for the cache may lag behind.
pub fn await_newest_in_cache(world: &World, produced: u64) {
    let mut redis = world.redis();
    for offset in 0..KEYS.min(produced) {
        let id = produced - offset;
        let key = format!("{}K{:02}", world.prefix, id % KEYS);
        wait::until(&format!("{key} at id {id}"), Duration::from_secs(20), || {
            let found: Option<String> = redis.hget(&key, "id").expect("a hash");
            (found.as_deref() == Some(&id.to_string())).then_some(())
        });
    }
}
