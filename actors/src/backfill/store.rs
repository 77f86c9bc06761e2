//! What the writer of a lane writes to: its table, and in the same transaction what it has added.

use super::Mode;
use crate::timescale::{Advance, Identifier, Timescale};
use crate::timescale_writer::noting::{Note, Noting};
use crate::timescale_writer::session::Session;
use crate::timescale_writer::store::{Conflict, Copying, Failure, Store, Target, Transact};
use aqueduct_engine::Error;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// Opens sessions that count.
pub(super) struct Counting {
    pub(super) timescale: Timescale,
    pub(super) topology: Arc<str>,
    pub(super) id: i64,
    pub(super) mode: Mode,
    pub(super) key: Vec<Identifier>,
    pub(super) time_column: Identifier,
}

impl Counting {
    /// The target as this backfill writes into it.
    fn target(&self, target: &Target) -> Target {
        let looked_up_by = (self.mode == Mode::LookedUp).then(|| self.time_column.clone());
        // What is there stays, whatever the writer itself would do.
        Target { unique: self.key.clone(), looked_up_by, conflict: Conflict::Keep, ..target.clone() }
    }
}

impl Store for Counting {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            let session = Session::open(&self.timescale, &self.target(target)).await?;
            let note = Counts {
                topology: self.topology.clone(),
                id: self.id,
                added: Cell::default(),
                there: Cell::default(),
            };
            let session: Box<dyn Transact> = Box::new(Noting { session, note });
            Ok(session)
        }
        .boxed_local()
    }
}

struct Counts {
    topology: Arc<str>,
    id: i64,
    /// Rows that the transaction adds.
    added: Cell<i64>,
    /// Rows of it that are there.
    there: Cell<i64>,
}

impl Note for Counts {
    fn begin(&self) {
        self.added.set(0);
        self.there.set(0);
    }

    fn copied(&self, session: &Session, rows: Copying<'_>) {
        let (copied, inserted) = (rows.range.len() as i64, session.inserted() as i64);
        self.added.set(self.added.get() + inserted);
        self.there.set(self.there.get() + copied - inserted);
    }

    fn write<'a>(
        &'a self,
        session: &'a Session,
        _: &'a Target,
        _: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            let (added, there) = (self.added.get(), self.there.get());
            let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &self.id, &added, &there];
            session.connection().hits("count what a backfill adds", COUNT, &params).await?;
            Ok(())
        }
        .boxed_local()
    }
}

const COUNT: &str = "\
    UPDATE aqueduct.backfills \
    SET rows_added = rows_added + $3, rows_there = rows_there + $4, updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND id = $2";
