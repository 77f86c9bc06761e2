//! Figures of the database that no actor alone could tell: the pool's connections, and how large the tables have grown.
//!
//! The pool is looked at on every beat, for that costs nothing; the tables now and then, for their sizes are asked of every
//! chunk. Deliberately absent: errors. What cannot be measured has no series.

use super::{TableName, Timescale};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::telemetry::names;
use aqueduct_engine::{Error, Figures};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// How often the tables are asked for.
const TABLES_EVERY: Duration = Duration::from_secs(30);
/// The pool's name among others.
const POOL: (&str, &str) = ("pool", "timescale");

const TABLES: &str = "\
    SELECT h.hypertable_schema || '.' || h.hypertable_name, h.num_chunks::int8, \
           hypertable_size(pg_catalog.format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass)::int8 \
    FROM timescaledb_information.hypertables AS h \
    JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS n(schema, name) \
      ON n.schema = h.hypertable_schema AND n.name = h.hypertable_name";

/// When the tables were last asked for.
#[derive(Debug, Default)]
pub(super) struct Beat(Mutex<Option<Instant>>);

impl Beat {
    fn is_due(&self, now: Instant) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = asked.is_none_or(|at| now.duration_since(at) >= TABLES_EVERY);
        if is_due {
            *asked = Some(now);
        }
        is_due
    }
}

/// Shows the pool, and the tables among `targets` when it is time.
pub(super) async fn measure(timescale: &Timescale, targets: &[&str], beat: &Beat, figures: &Figures) {
    let load = timescale.load();
    figures.set(names::POOL_CONNECTIONS, &[POOL, ("state", "idle")], f64::from(load.idle));
    figures.set(names::POOL_CONNECTIONS, &[POOL, ("state", "busy")], f64::from(load.busy));
    figures.set(names::POOL_CONNECTIONS_MAX, &[POOL], f64::from(load.max));
    figures.set(names::POOL_WAITS_TOTAL, &[POOL, ("outcome", "served")], load.waited as f64);
    figures.set(names::POOL_WAITS_TOTAL, &[POOL, ("outcome", "timed_out")], load.timed_out as f64);
    if !beat.is_due(timescale.clock().now()) {
        return;
    }
    match tables(timescale, targets).await {
        Ok(tables) => {
            let of = |value: fn(&Table) -> f64| {
                tables.iter().map(move |table| (vec![("table", table.name.as_str())], value(table)))
            };
            figures.show(names::CHUNKS, of(|table| table.chunks as f64));
            figures.show(names::TABLE_BYTES, of(|table| table.bytes as f64));
        }
        Err(error) => tracing::debug!(%error, "cannot measure the tables"),
    }
}

struct Table {
    name: String,
    chunks: i64,
    bytes: i64,
}

/// Those of `targets` that are hypertables; the others are keys of a cache, topics, or plain tables.
async fn tables(timescale: &Timescale, targets: &[&str]) -> Result<Vec<Table>, Error> {
    let named: Vec<TableName> = targets.iter().filter_map(|target| TableName::parse(target).ok()).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let schemas: Vec<&str> = named.iter().map(|table| table.schema.as_str()).collect();
    let tables: Vec<&str> = named.iter().map(|table| table.table.as_str()).collect();
    let params: [&(dyn ToSql + Sync); 2] = [&schemas, &tables];
    let connection = timescale.checkout().await?;
    let rows = connection.rows("measure the tables", TABLES, &params).await?;
    let table = |row: &tokio_postgres::Row| Table {
        name: row.get(0),
        chunks: row.get(1),
        bytes: row.get::<_, Option<i64>>(2).unwrap_or(0),
    };
    Ok(rows.iter().map(table).collect())
}
