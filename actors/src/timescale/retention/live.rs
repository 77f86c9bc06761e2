//! What is there: hypertables with their chunks, policies of the server, holds, and evidence of drops. Changes nothing.

use super::edition::Edition;
use super::report::Drop;
use crate::timescale::connect::Connection;
use aqueduct_engine::Error;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Lines of evidence in one report: the newest.
const DROPS_MAX: i64 = 1000;

/// What is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The server's edition.
    pub edition: Edition,
    /// Every hypertable of the database, by name, and the declared tables that are none.
    pub tables: Vec<LiveTable>,
    /// Holds that stand, or stood.
    pub holds: Vec<Hold>,
    /// The newest lines of evidence, newest first.
    pub drops: Vec<Drop>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveTable {
    /// `schema.table`.
    pub table: String,
    /// Whether it has chunks.
    pub is_hypertable: bool,
    /// What a new chunk spans, microseconds; none where it is not divided by a time.
    pub chunk_interval_us: Option<i64>,
    /// What a policy of the server drops, in its words.
    pub drops_after: Option<String>,
    /// What a policy of the server compresses, in its words.
    pub compresses_after: Option<String>,
    /// What it takes, indexes included.
    pub bytes: i64,
    /// By time.
    pub chunks: Vec<Chunk>,
}

/// One chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The beginning of its range, microseconds since 1970 UTC.
    pub from_us: i64,
    /// The end of it.
    pub to_us: i64,
    /// What it takes, indexes included.
    pub bytes: i64,
    /// Whether a legal hold forbids dropping it.
    pub held: bool,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its number.
    pub id: i64,
    /// `schema.table`; none = every table.
    pub table: Option<String>,
    /// From which event time on, RFC 3339; none = from the beginning.
    pub from: Option<String>,
    /// Up to which; none = for ever.
    pub to: Option<String>,
    /// Why.
    pub reason: String,
    /// Who placed it.
    pub by: String,
    /// When.
    pub since: String,
    /// When it was released; none = it stands.
    pub released_at: Option<String>,
    /// By whom.
    pub released_by: Option<String>,
    /// Why.
    pub release_reason: Option<String>,
}

const LICENSE: &str = "SELECT coalesce(pg_catalog.current_setting('timescaledb.license', true), '')";

/// Policies of the server are jobs; the view is there in every edition.
const TABLES: &str = "\
    SELECT h.hypertable_schema || '.' || h.hypertable_name, \
           (extract(epoch FROM d.time_interval) * 1000000)::int8, \
           (SELECT j.config ->> 'drop_after' FROM timescaledb_information.jobs AS j \
            WHERE j.proc_name = 'policy_retention' AND j.hypertable_schema = h.hypertable_schema \
              AND j.hypertable_name = h.hypertable_name LIMIT 1), \
           (SELECT j.config ->> 'compress_after' FROM timescaledb_information.jobs AS j \
            WHERE j.proc_name = 'policy_compression' AND j.hypertable_schema = h.hypertable_schema \
              AND j.hypertable_name = h.hypertable_name LIMIT 1), \
           coalesce(hypertable_size(pg_catalog.format('%I.%I', h.hypertable_schema, h.hypertable_name)::regclass), 0)::int8 \
    FROM timescaledb_information.hypertables AS h \
    LEFT JOIN timescaledb_information.dimensions AS d \
      ON d.hypertable_schema = h.hypertable_schema AND d.hypertable_name = h.hypertable_name \
         AND d.dimension_number = 1 \
    ORDER BY 1";

const CHUNKS: &str = "\
    SELECT c.hypertable_schema || '.' || c.hypertable_name, \
           (extract(epoch FROM c.range_start) * 1000000)::int8, (extract(epoch FROM c.range_end) * 1000000)::int8, \
           coalesce(pg_catalog.pg_total_relation_size( \
               pg_catalog.to_regclass(pg_catalog.format('%I.%I', c.chunk_schema, c.chunk_name))), 0)::int8, \
           EXISTS (SELECT FROM aqueduct.legal_holds AS h \
                   WHERE h.released_at IS NULL AND h.from_time < c.range_end AND h.to_time > c.range_start \
                     AND (h.table_name IS NULL \
                          OR (h.schema_name = c.hypertable_schema AND h.table_name = c.hypertable_name))) \
    FROM timescaledb_information.chunks AS c \
    WHERE c.range_start IS NOT NULL ORDER BY 1, 2";

/// Declared tables that are no hypertables.
const PLAIN: &str = "\
    SELECT n.name, pg_catalog.pg_total_relation_size(pg_catalog.to_regclass(n.quoted))::int8 \
    FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS n(name, quoted) \
    WHERE pg_catalog.to_regclass(n.quoted) IS NOT NULL ORDER BY 1";

const HOLDS: &str = "\
    SELECT id, schema_name || '.' || table_name, aqueduct_time(from_time), aqueduct_time(to_time), reason, held_by, \
           aqueduct_time(since), aqueduct_time(released_at), released_by, release_reason \
    FROM aqueduct.legal_holds ORDER BY id";

const DROPS: &str = "\
    SELECT id, aqueduct_time(at), who, node, topology, schema_name || '.' || table_name, aqueduct_time(from_time), \
           aqueduct_time(to_time), chunks, rows, bytes, retention::text \
    FROM aqueduct.retention_log ORDER BY id DESC LIMIT $1";

/// A time for people and programs; nothing for one without end.
fn with_times(statement: &str) -> String {
    let mut text = String::new();
    let mut rest = statement;
    while let Some((before, after)) = rest.split_once("aqueduct_time(") {
        let (column, after) = after.split_once(')').expect("invariant: the statement closes its brackets");
        text += before;
        text += &format!(
            "CASE WHEN pg_catalog.isfinite({column}) THEN \
             pg_catalog.to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') END"
        );
        rest = after;
    }
    text + rest
}

/// Reads what is there. `declared` are the tables of the topology, each plain and quoted.
pub async fn look(connection: &Connection, declared: &[(String, String)]) -> Result<Live, Error> {
    let license = connection.row("read the server's edition", LICENSE, &[]).await?;
    let mut tables: Vec<LiveTable> =
        connection.rows("read hypertables", TABLES, &[]).await?.iter().map(hypertable).collect();
    for row in connection.rows("read chunks", CHUNKS, &[]).await? {
        let name: String = row.get(0);
        if let Some(table) = tables.iter_mut().find(|table| table.table == name) {
            let (from_us, to_us, bytes, held) = (row.get(1), row.get(2), row.get(3), row.get(4));
            table.chunks.push(Chunk { from_us, to_us, bytes, held });
        }
    }
    let others: Vec<_> =
        declared.iter().filter(|(name, _)| !tables.iter().any(|table| table.table == *name)).collect();
    let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    let quoted: Vec<&str> = others.iter().map(|(_, quoted)| quoted.as_str()).collect();
    let params: [&(dyn ToSql + Sync); 2] = [&names, &quoted];
    let plain = connection.rows("look for tables", PLAIN, &params).await?;
    tables.extend(plain.iter().map(|row| LiveTable {
        table: row.get(0),
        bytes: row.get(1),
        ..LiveTable::default()
    }));
    let holds = connection.rows("read legal holds", &with_times(HOLDS), &[]).await?;
    let drops = connection.rows("read the retention log", &with_times(DROPS), &[&DROPS_MAX]).await?;
    Ok(Live {
        edition: Edition::of(license.get(0)),
        tables,
        holds: holds.iter().map(hold).collect(),
        drops: drops.iter().map(drop_of).collect(),
    })
}

fn hypertable(row: &Row) -> LiveTable {
    LiveTable {
        table: row.get(0),
        is_hypertable: true,
        chunk_interval_us: row.get(1),
        drops_after: row.get(2),
        compresses_after: row.get(3),
        bytes: row.get(4),
        chunks: Vec::new(),
    }
}

fn hold(row: &Row) -> Hold {
    Hold {
        id: row.get(0),
        table: row.get(1),
        from: row.get(2),
        to: row.get(3),
        reason: row.get(4),
        by: row.get(5),
        since: row.get(6),
        released_at: row.get(7),
        released_by: row.get(8),
        release_reason: row.get(9),
    }
}

fn drop_of(row: &Row) -> Drop {
    Drop {
        id: row.get(0),
        at: row.get(1),
        who: row.get(2),
        node: row.get(3),
        topology: row.get(4),
        table: row.get(5),
        from: row.get(6),
        to: row.get(7),
        chunks: row.get(8),
        rows: row.get(9),
        bytes: row.get(10),
        retention: row.get(11),
    }
}
