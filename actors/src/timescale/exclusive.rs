//! Work that one session at a time does. Who is at it holds an advisory lock, which ends with the session: so nobody has to
//! tell when a process has died.

use super::connect::Connection;
use aqueduct_engine::Error;

/// Takes the work called `name` for as long as `session` lives; `false` = another session is at it. `doing` is for messages.
pub async fn try_own(session: &Connection, doing: &str, name: &str) -> Result<bool, Error> {
    Ok(session.row(doing, TRY_LOCK, &[&name]).await?.get(0))
}

const TRY_LOCK: &str = "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1::text, 0))";
