//! What is done about letters again and again: the old ones go, the waiting ones are counted.
//!
//! Both in bounded steps, so that neither a month of letters nor a flood of them holds anybody up. Invariant: none goes
//! while a replay of the topology is at work, which holds the same advisory lock.

use super::connect::Connection;
use aqueduct_engine::Error;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// Letters that one step deletes.
pub const DELETED_PER_STEP_MAX: i64 = 1000;
/// Letters that are counted; a greater number is given as this one.
pub const COUNTED_MAX: i64 = 100_000;

/// What came of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tended {
    /// Letters nobody has replayed.
    pub new: i64,
    /// Letters that a replay rejected again.
    pub failed_again: i64,
    /// Age of the oldest of both, seconds.
    pub oldest_age_seconds: i64,
    /// Letters deleted in this step.
    pub deleted: u64,
}

impl Tended {
    /// Whether more may be old enough.
    pub fn has_more(&self) -> bool {
        self.deleted >= DELETED_PER_STEP_MAX as u64
    }
}

/// One step for the letters of `topology`.
pub async fn tend(
    connection: &Connection,
    topology: &str,
    retention: Option<Duration>,
) -> Result<Tended, Error> {
    let mut tended = Tended::default();
    if let Some(retention) = retention {
        let kept_us = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
        let params: [&(dyn ToSql + Sync); 3] = [&topology, &kept_us, &DELETED_PER_STEP_MAX];
        tended.deleted = connection.hits("delete old letters", DELETE_OLD, &params).await?;
    }
    let row = connection.row("count waiting letters", COUNT_WAITING, &[&topology, &COUNTED_MAX]).await?;
    (tended.new, tended.failed_again, tended.oldest_age_seconds) = (row.get(0), row.get(1), row.get(2));
    Ok(tended)
}

/// Shared among nodes, so that none keeps another away; who is at it takes what nobody has locked.
const DELETE_OLD: &str = "\
    WITH free AS MATERIALIZED ( \
             SELECT pg_catalog.pg_try_advisory_xact_lock_shared( \
                        pg_catalog.hashtextextended('aqueduct replay ' || $1::text, 0)) AS free), \
         old AS ( \
             SELECT l.id FROM aqueduct.dead_letter AS l \
             WHERE (SELECT free FROM free) AND l.topology = $1 \
               AND l.at < pg_catalog.clock_timestamp() - $2::int8 * interval '1 microsecond' \
             ORDER BY l.at LIMIT $3 FOR UPDATE OF l SKIP LOCKED) \
    DELETE FROM aqueduct.dead_letter AS l USING old WHERE l.id = old.id";

/// By the index of those that wait alone.
const COUNT_WAITING: &str = "\
    SELECT count(*) FILTER (WHERE w.attempts = 0), count(*) FILTER (WHERE w.attempts > 0), \
           COALESCE(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - min(w.at))::int8, 0) \
    FROM (SELECT l.attempts, l.at FROM aqueduct.dead_letter AS l \
          WHERE l.topology = $1 AND l.replayed_at IS NULL ORDER BY l.id LIMIT $2) AS w";
