//! Table `aqueduct.migrations`, and the lock under which it is written.

use super::error::Error;
use super::file::MigrationFile;
use super::verify::Record;
use crate::timescale::connect::Connection;
use crate::timescale::limits;
use std::time::Duration;

/// Held by the one session that migrates a database: two numbers nobody else has a reason to choose.
const LOCK: (i32, i32) = (0x6171_7564, 1);

const EXISTS: &str = "SELECT pg_catalog.to_regclass('aqueduct.migrations') IS NOT NULL";

const CREATE: &str = "\
    CREATE SCHEMA IF NOT EXISTS aqueduct; \
    CREATE TABLE IF NOT EXISTS aqueduct.migrations ( \
        \"set\"       text        NOT NULL, \
        version     integer     NOT NULL CHECK (version > 0), \
        name        text        NOT NULL, \
        checksum    text        NOT NULL, \
        transactional boolean   NOT NULL, \
        applied_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
        applied_by  text        NOT NULL, \
        duration_ms bigint      NOT NULL CHECK (duration_ms >= 0), \
        PRIMARY KEY (\"set\", version)); \
    COMMENT ON TABLE aqueduct.migrations IS 'what `aqueduct migrate up` applied; checksum is SHA-256 of the file'";

const RECORDS: &str = "\
    SELECT \"set\", version, name, checksum, \
           pg_catalog.to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
           applied_by, duration_ms \
    FROM aqueduct.migrations ORDER BY \"set\", version";

const INSERT: &str = "\
    INSERT INTO aqueduct.migrations (\"set\", version, name, checksum, transactional, applied_by, duration_ms) \
    VALUES ($1, $2, $3, $4, $5, \
            session_user || ' in ' || pg_catalog.current_setting('application_name'), $6)";

const TRY_LOCK: &str = "SELECT pg_catalog.pg_try_advisory_lock($1::int4, $2::int4)";
const UNLOCK: &str = "SELECT pg_catalog.pg_advisory_unlock($1::int4, $2::int4)";

const HOLDER: &str = "\
    SELECT 'pid ' || a.pid || coalesce(', ' || nullif(a.application_name, ''), '') \
           || coalesce(', role ' || a.usename, '') || coalesce(', from ' || a.client_addr::text, '') \
    FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a USING (pid) \
    WHERE l.locktype = 'advisory' AND l.classid::int8 = $1::int4 AND l.objid::int8 = $2::int4 AND l.objsubid = 2 \
      AND l.granted AND a.datname = pg_catalog.current_database()";

/// Each file starts from these settings, whatever the one before it set. A name without a schema lies in `public`, also
/// for a role that is called like a schema of ours. A migrator that was killed in a long statement is noticed by the
/// server, and gives its lock back.
const FRESH_SESSION: &str = "\
    RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SET search_path = public; SET timezone = 'UTC'; \
    SET statement_timeout = 0; \
    SET idle_in_transaction_session_timeout = '60s'; SET client_connection_check_interval = '2s'; \
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;";

/// Who waits for a table's lock makes everybody behind him wait: briefly, then.
const LOCK_WAIT_BRIEF: &str = "SET lock_timeout = '10s'";
/// A concurrent index waits for transactions older than it and hinders nobody meanwhile.
const LOCK_WAIT_LONG: &str = "SET lock_timeout = '300s'";

const WAIT: Duration = limits::STATEMENT_WAIT_MAX;

pub(super) async fn exists(connection: &Connection) -> Result<bool, Error> {
    let row = connection
        .within("look for aqueduct.migrations", WAIT, connection.client().query_one(EXISTS, &[]))
        .await?;
    Ok(row.get(0))
}

/// Creates schema and table; asked first, since `IF NOT EXISTS` needs the right to create even where there is nothing to
/// do.
pub(super) async fn create(connection: &Connection) -> Result<(), Error> {
    if !exists(connection).await? {
        connection
            .within("create aqueduct.migrations", WAIT, connection.client().batch_execute(CREATE))
            .await?;
    }
    Ok(())
}

/// What was applied; nothing where nobody migrated yet.
pub(super) async fn records(connection: &Connection) -> Result<Vec<Record>, Error> {
    if !exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows =
        connection.within("read aqueduct.migrations", WAIT, connection.client().query(RECORDS, &[])).await?;
    let record = |row: &tokio_postgres::Row| Record {
        set: row.get(0),
        version: row.get(1),
        name: row.get(2),
        checksum: row.get(3),
        applied_at: row.get(4),
        applied_by: row.get(5),
        duration_ms: row.get(6),
    };
    Ok(rows.iter().map(record).collect())
}

/// Remembers that `file` was applied.
pub(super) async fn insert(
    connection: &Connection,
    set: &str,
    file: &MigrationFile,
    duration_ms: i64,
) -> Result<(), Error> {
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&set, &file.version, &file.name, &file.checksum, &file.transactional, &duration_ms];
    connection.within("record a migration", WAIT, connection.client().execute(INSERT, &params)).await?;
    Ok(())
}

pub(super) async fn try_lock(connection: &Connection) -> Result<bool, Error> {
    let answer = connection.client().query_one(TRY_LOCK, &[&LOCK.0, &LOCK.1]);
    Ok(connection.within("take the migration lock", WAIT, answer).await?.get(0))
}

pub(super) async fn unlock(connection: &Connection) -> Result<(), Error> {
    let answer = connection.client().query_one(UNLOCK, &[&LOCK.0, &LOCK.1]);
    connection.within("release the migration lock", WAIT, answer).await?;
    Ok(())
}

/// Who holds the migration lock; `None` = it was released just now.
pub(super) async fn lock_holder(connection: &Connection) -> Result<Option<String>, Error> {
    let answer = connection.client().query_opt(HOLDER, &[&LOCK.0, &LOCK.1]);
    let row = connection.within("look for the holder of the migration lock", WAIT, answer).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Settings for the next file.
pub(super) async fn refresh(connection: &Connection, transactional: bool) -> Result<(), Error> {
    let lock_wait = if transactional { LOCK_WAIT_BRIEF } else { LOCK_WAIT_LONG };
    for statements in [FRESH_SESSION, lock_wait] {
        connection.within("set up a session", WAIT, connection.client().batch_execute(statements)).await?;
    }
    Ok(())
}
