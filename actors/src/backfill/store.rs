//! What the writer of a lane writes to: its table, and in the same transaction what it has added.

use super::Mode;
use crate::timescale::{Advance, Identifier, Stored, Timescale};
use crate::timescale_writer::session::Session;
use crate::timescale_writer::store::{
    Copying, Failure, First, Owed, Rejections, Step, Store, Target, Transact,
};
use crate::timescale_writer::table::Plan;
use aqueduct_engine::{Error, Letter, PartitionKey};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::ops::Range;
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
        Target { unique: self.key.clone(), looked_up_by, ..target.clone() }
    }
}

impl Store for Counting {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            let inner = Session::open(&self.timescale, &self.target(target)).await?;
            let (added, there) = Default::default();
            let session: Box<dyn Transact> = Box::new(CountingSession {
                topology: self.topology.clone(),
                id: self.id,
                inner,
                added,
                there,
            });
            Ok(session)
        }
        .boxed_local()
    }
}

struct CountingSession {
    topology: Arc<str>,
    id: i64,
    inner: Session,
    /// Rows that the transaction adds.
    added: Cell<i64>,
    /// Rows of it that are there.
    there: Cell<i64>,
}

impl CountingSession {
    fn begin(&self) {
        self.added.set(0);
        self.there.set(0);
    }
}

impl Transact for CountingSession {
    fn plan(&self) -> &Plan {
        self.inner.plan()
    }

    fn is_broken(&self) -> bool {
        self.inner.is_broken()
    }

    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>> {
        self.inner.ping()
    }

    fn fits<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.inner.fits(target)
    }

    fn step(&self, step: Step) -> LocalBoxFuture<'_, Result<(), Error>> {
        if let Step::First(First::Begin | First::BeginStrictly) = step {
            self.begin();
        }
        self.inner.step(step)
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            if first == First::Begin {
                self.begin();
            }
            let copied = rows.range.len() as i64;
            self.inner.copy(rows, first).await?;
            let inserted = self.inner.inserted() as i64;
            self.added.set(self.added.get() + inserted);
            self.there.set(self.there.get() + copied - inserted);
            Ok(())
        }
        .boxed_local()
    }

    fn keep<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.inner.keep(target, letters)
    }

    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.inner.advance(target, advances).await?;
            let (added, there) = (self.added.get(), self.there.get());
            let params: [&(dyn ToSql + Sync); 4] = [&&*self.topology, &self.id, &added, &there];
            self.inner.connection().hits("count what a backfill adds", COUNT, &params).await?;
            Ok(())
        }
        .boxed_local()
    }

    fn holds<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.inner.holds(target, letters)
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        self.inner.commit()
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        self.inner.stored(target, keys)
    }

    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        self.inner.rejected(target, key, range)
    }
}

const COUNT: &str = "\
    UPDATE aqueduct.backfills \
    SET rows_added = rows_added + $3, rows_there = rows_there + $4, updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND id = $2";
