//! The record of exports, and who works at one.
//!
//! A run is held by a lock of its session, which the server frees however the session ends; so a row that says `running`
//! and whose lock is free is a run that was killed, and the next command for the same range and place goes on with it.
//!
//! Invariant: no two commands work at one place, nor at overlapping ranges of one table, at a time.

use super::spans::{Range, time};
use crate::timescale::Connection;
use aqueduct_engine::{Class, Error};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

/// What is to be exported where to.
#[derive(Clone, Debug)]
pub struct Request {
    /// The topology.
    pub topology: String,
    /// The table, `schema.table`.
    pub table: String,
    /// The place.
    pub into: String,
    /// Its event times.
    pub range: Range,
    /// The columns of the partitioning, `day` first.
    pub partition_by: Vec<String>,
    /// Whether changed parts are exported again.
    pub late: bool,
    /// What was known of later rows.
    pub watermark: Option<Value>,
    /// This machine.
    pub node: String,
}

/// A run that is ours as long as the connection that took it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// How often somebody has worked at it, this time included.
    pub attempts: i32,
}

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Rows that were published.
    pub rows: Option<i64>,
    /// Files that were published.
    pub files: Option<i64>,
    /// Their size.
    pub bytes: Option<i64>,
    /// Of the manifest.
    pub checksum: Option<String>,
    /// The parts that were published.
    pub parts: Option<Value>,
    /// What is to be said about it.
    pub message: Option<String>,
}

/// All that decides who works at what passes here, one after the other.
const SERIALIZE: &str =
    "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('aqueduct exports', 0))";

/// Runs at the same place, or at the same rows.
const NEAR: &str = "\
    SELECT e.id, e.destination = $1, \
           e.destination = $1 AND e.topology = $5 AND e.target = $2 AND e.from_time = $3 AND e.to_time = $4 \
           AND e.late = $6 AND e.partition_by = $7, \
           e.state = 'running', e.target, e.destination, e.who, e.node, e.started_at::timestamptz(0)::text, e.attempts \
    FROM aqueduct.exports AS e \
    WHERE e.state = 'running' AND (e.destination = $1 OR e.target = $2 AND e.from_time < $4 AND e.to_time > $3) \
       OR e.state = 'failed' AND e.destination = $1 \
    ORDER BY e.id DESC LIMIT 1000";

const IS_FREE: &str =
    "SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('aqueduct export'), $1::int8::int4)";

const HOLD: &str =
    "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtext('aqueduct export'), $1::int8::int4)";

const ABANDON: &str = "\
    UPDATE aqueduct.exports SET state = 'abandoned', ended_at = pg_catalog.clock_timestamp(), \
           message = 'another export went into the place before this one was finished' \
    WHERE id = ANY ($1)";

const RESUME: &str = "\
    UPDATE aqueduct.exports \
    SET state = 'running', attempts = attempts + 1, node = $2, watermark = $3, ended_at = NULL, message = NULL \
    WHERE id = $1 RETURNING attempts";

const INSERT: &str = "\
    INSERT INTO aqueduct.exports \
        (topology, target, destination, from_time, to_time, state, late, partition_by, watermark, node) \
    VALUES ($1, $2, $3, $4, $5, 'running', $6, $7, $8, $9) RETURNING id";

const FINISH: &str = "\
    UPDATE aqueduct.exports \
    SET state = $2, rows = $3, files = $4, bytes = $5, checksum = $6, manifest = COALESCE($7, manifest), \
        ended_at = pg_catalog.clock_timestamp(), message = $8 \
    WHERE id = $1";

/// Takes up the run that `request` means, or begins one; refused while somebody else is at the same place or rows.
pub async fn take(connection: &Connection, request: &Request) -> Result<Run, Error> {
    let begun = connection.hits("begin the record of an export", "BEGIN", &[]).await;
    let taken = match begun {
        Ok(_) => taken(connection, request).await,
        Err(error) => Err(error),
    };
    let end = if taken.is_ok() { "COMMIT" } else { "ROLLBACK" };
    if !connection.is_broken() {
        connection.hits("record the export", end, &[]).await?;
    }
    taken
}

async fn taken(connection: &Connection, request: &Request) -> Result<Run, Error> {
    const DOING: &str = "record the export";
    connection.rows(DOING, SERIALIZE, &[]).await?;
    let (from, to) = (time(request.range.from_us), time(request.range.to_us));
    let params: [&(dyn ToSql + Sync); 7] =
        [&request.into, &request.table, &from, &to, &request.topology, &request.late, &request.partition_by];
    let near = connection.rows(DOING, NEAR, &params).await?;
    let mut same = None;
    let mut abandoned = Vec::new();
    for row in &near {
        let (id, here, ours, running): (i64, bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if running && !connection.row(DOING, IS_FREE, &[&id]).await?.get::<_, bool>(0) {
            return Err(held(row));
        }
        match same {
            None if ours => same = Some(id),
            _ if here => abandoned.push(id),
            _ => {}
        }
    }
    connection.hits(DOING, ABANDON, &[&abandoned]).await?;
    let watermark = request.watermark.as_ref().map(Json);
    let run = if let Some(id) = same {
        let row = connection.row(DOING, RESUME, &[&id, &request.node, &watermark]).await?;
        Run { id, attempts: row.get(0) }
    } else {
        let params: [&(dyn ToSql + Sync); 9] = [
            &request.topology,
            &request.table,
            &request.into,
            &from,
            &to,
            &request.late,
            &request.partition_by,
            &watermark,
            &request.node,
        ];
        Run { id: connection.row(DOING, INSERT, &params).await?.get(0), attempts: 1 }
    };
    connection.rows(DOING, HOLD, &[&run.id]).await?;
    Ok(run)
}

fn held(row: &Row) -> Error {
    let id: i64 = row.get(0);
    let text = |index: usize| row.get::<_, String>(index);
    let message = format!(
        "export {id} of {} into {} is at work: {} on {} holds it, since {}; wait for it, or end it there",
        text(4),
        text(5),
        text(6),
        text(7),
        text(8)
    );
    Error::new(Class::Config, message)
}

/// Says what became of the run.
pub async fn finish(connection: &Connection, run: Run, state: &str, outcome: &Outcome) -> Result<(), Error> {
    let parts = outcome.parts.as_ref().map(Json);
    let params: [&(dyn ToSql + Sync); 8] = [
        &run.id,
        &state,
        &outcome.rows,
        &outcome.files,
        &outcome.bytes,
        &outcome.checksum,
        &parts,
        &outcome.message,
    ];
    connection.hits("record what became of the export", FINISH, &params).await.map(drop)
}
