//! Whether this version can read what is stored.
//!
//! During an upgrade two versions run side by side, and the database is migrated before the first node is replaced. So a
//! database that is newer is met again and again and is no fault, unless it says so: a migration of the engine's after
//! which earlier versions must not go on has a name that ends in `_breaking`, and ends their claims by raising the epoch
//! of every offset. They come back to claim anew, and are refused here, with a sentence.
//!
//! Invariant: this is asked in the transaction of the claim, before any other of its tables is touched, since those may not
//! be there any more. Deliberately absent: a version number that must be equal, which would make every upgrade a standstill.

use super::super::migrate::BREAKING;
use super::{Refused, TimescaleOffsets};
use crate::timescale::connect::Connection;
use aqueduct_engine::{Class, Error};
use tokio_postgres::types::ToSql;

/// The newest of the engine's migrations that this version knows.
pub const LEVEL: i32 = 10;

/// First bytes of an `aqueduct.offsets.snapshot` that this version can read: none, as it keeps no state there.
const SNAPSHOT_FORMATS: [i32; 0] = [];

const BEYOND: &str = "\
    SELECT name FROM aqueduct.migrations \
    WHERE \"set\" = 'engine' AND version > $1 AND pg_catalog.right(name, pg_catalog.length($2)) = $2 \
    ORDER BY version LIMIT 1";

const IS_MIGRATED: &str =
    "SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass('aqueduct.migrations')";

impl TimescaleOffsets {
    /// Refuses a database that this version cannot read. One that nobody has migrated lacks more than a level, and says so
    /// by itself.
    pub(super) async fn refuse_newer(&self, connection: &Connection) -> Result<(), Refused> {
        if self.query(connection, "look for aqueduct.migrations", IS_MIGRATED, &[]).await?.is_empty() {
            return Ok(());
        }
        let params: [&(dyn ToSql + Sync); 2] = [&LEVEL, &BREAKING];
        let found = self.query(connection, "see what version the database is of", BEYOND, &params).await?;
        match found.first() {
            Some(row) => Err(newer(row.get(0)).into()),
            None => Ok(()),
        }
    }
}

fn newer(migration: &str) -> Error {
    let message = format!(
        "a newer version of Aqueduct has migrated the database by `{migration}`, after which this one ({}, which knows \
         migrations up to {LEVEL:04}) must not write: upgrade this node",
        env!("CARGO_PKG_VERSION")
    );
    Error::new(Class::Config, message)
}

/// Refuses state that this version cannot read, and would otherwise pass over; `format` is its first byte.
pub(super) fn refuse_snapshot(sink: &str, format: Option<i32>) -> Result<(), Error> {
    match format {
        Some(format) if !SNAPSHOT_FORMATS.contains(&format) => {
            let message = format!(
                "sink `{sink}` has state of format {format} beside its offset, which this version of Aqueduct ({}) cannot \
                 read: upgrade this node, or start the sink over by `aqueduct offsets reset FILE --sink {sink}`",
                env!("CARGO_PKG_VERSION")
            );
            Err(Error::new(Class::Config, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_is_no_matter_and_state_of_a_strange_format_is_refused() {
        assert!(refuse_snapshot("history", None).is_ok());
        let error = refuse_snapshot("history", Some(7)).expect_err("refused");
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains("`history` has state of format 7"), "{}", error.message);
    }
}
