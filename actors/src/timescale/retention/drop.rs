//! One slice of time after the other, until nothing is past its retention that nobody holds.

use crate::timescale::connect::Connection;
use crate::timescale::{TableName, limits};
use aqueduct_engine::Error;
use std::time::Duration;
use tokio_postgres::types::ToSql;

const DROP: &str = "\
    SELECT rows, bytes, pg_catalog.cardinality(chunks)::int8 \
    FROM aqueduct.drop_past($1, $2, $3, $4, $5::int8 * interval '1 microsecond', \
                            'epoch'::timestamptz + $6::int8 * interval '1 microsecond')";

const STANDING: &str = "\
    SELECT count(*), count(*) FILTER (WHERE EXISTS ( \
               SELECT FROM aqueduct.legal_holds AS h \
               WHERE h.released_at IS NULL AND h.from_time < c.range_end AND h.to_time > c.range_start \
                 AND (h.table_name IS NULL OR (h.schema_name = $1 AND h.table_name = $2)))), \
           count(*) FILTER (WHERE EXISTS ( \
               SELECT FROM aqueduct.rollups AS r \
               WHERE r.source_schema = $1 AND r.source_table = $2 \
                 AND c.range_end > coalesce(r.done_to, '-infinity') - r.lateness)) \
    FROM timescaledb_information.chunks AS c \
    WHERE c.hypertable_schema = $1 AND c.hypertable_name = $2 \
      AND c.range_end <= 'epoch'::timestamptz + ($4::int8 - $3::int8) * interval '1 microsecond'";

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Chunks.
    pub chunks: i64,
    /// Their rows.
    pub rows: i64,
    /// What they took, indexes included.
    pub bytes: i64,
}

/// What is past its retention and still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Chunks.
    pub chunks: i64,
    /// Of them under a legal hold.
    pub held: i64,
    /// Of them such as a roll-up still has to read.
    pub unread: i64,
}

/// Drops the oldest slice of `table` that is past `retention` at `now_us`; `None` = there is none. `by` is the topology
/// and the node that ask.
pub async fn drop_past(
    connection: &Connection,
    by: (&str, &str),
    table: &TableName,
    retention: Duration,
    now_us: i64,
) -> Result<Option<Dropped>, Error> {
    let (schema, name, kept) = (table.schema.as_str(), table.table.as_str(), micros(retention));
    let params: [&(dyn ToSql + Sync); 6] = [&by.0, &by.1, &schema, &name, &kept, &now_us];
    let doing = ["drop what is past its retention of ", &table.plain()].concat();
    let dropped = connection.client().query_opt(DROP, &params);
    let row = connection.within(&doing, limits::RETENTION_STEP_WAIT_MAX, dropped).await?;
    Ok(row.map(|row| Dropped { rows: row.get(0), bytes: row.get(1), chunks: row.get(2) }))
}

/// What of `table` is past `retention` at `now_us`.
pub async fn standing(
    connection: &Connection,
    table: &TableName,
    retention: Duration,
    now_us: i64,
) -> Result<Standing, Error> {
    let (schema, name, kept) = (table.schema.as_str(), table.table.as_str(), micros(retention));
    let params: [&(dyn ToSql + Sync); 4] = [&schema, &name, &kept, &now_us];
    let row = connection.row("count what is past its retention", STANDING, &params).await?;
    Ok(Standing { chunks: row.get(0), held: row.get(1), unread: row.get(2) })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
