//! What a writer writes to in a replay: its table, and in the same transaction the letters' marks.

use super::again;
use super::run::Run;
use crate::timescale::{Advance, Stored};
use crate::timescale_writer::session::Session;
use crate::timescale_writer::store::{
    Copying, Failure, First, Owed, Rejections, Step, Store, Target, Transact,
};
use crate::timescale_writer::table::Plan;
use aqueduct_engine::{Error, Letter, PartitionKey};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// Opens sessions that mark.
pub(super) struct Marking {
    pub(super) run: Arc<Run>,
}

impl Store for Marking {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            let inner = Session::open(&self.run.timescale, target).await?;
            let (run, written) = (self.run.clone(), RefCell::default());
            let session: Box<dyn Transact> = Box::new(MarkingSession { run, inner, written });
            Ok(session)
        }
        .boxed_local()
    }
}

struct MarkingSession {
    run: Arc<Run>,
    inner: Session,
    /// The letters of which the transaction copies rows.
    written: RefCell<BTreeSet<i64>>,
}

impl MarkingSession {
    async fn mark(&self, target: &Target, advances: &[Advance]) -> Result<(), Failure> {
        for advance in advances {
            let written: Vec<i64> = self.written.borrow().iter().copied().collect();
            let (sink, connection) = (&*target.sink, self.inner.connection());
            let range = advance.previous..advance.next;
            self.run.mark(connection, (sink, advance.epoch), range, &written).await?;
        }
        Ok(())
    }
}

impl Transact for MarkingSession {
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
            self.written.borrow_mut().clear();
        }
        self.inner.step(step)
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            if first == First::Begin {
                self.written.borrow_mut().clear();
            }
            self.inner.copy(rows.clone(), first).await?;
            let Copying { rows, range, .. } = rows;
            let ids = range.map(|index| {
                let (batch, row) = rows.locate(index);
                batch.row_offsets()[row]
            });
            self.written.borrow_mut().extend(ids);
            Ok(())
        }
        .boxed_local()
    }

    fn keep<'a>(&'a self, _: &'a Target, letters: &'a [Letter]) -> LocalBoxFuture<'a, Result<(), Error>> {
        again::keep(&self.run, self.inner.connection(), letters).boxed_local()
    }

    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.inner.advance(target, advances).await?;
            self.mark(target, advances).await
        }
        .boxed_local()
    }

    /// What is rejected again has its letter since long before the replay.
    fn holds<'a>(&'a self, _: &'a Target, _: &'a [Owed]) -> LocalBoxFuture<'a, Result<(), Failure>> {
        std::future::ready(Ok(())).boxed_local()
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
        _: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        async move {
            let sink = &*target.sink;
            let params: [&(dyn ToSql + Sync); 4] = [&&*self.run.topology, &sink, &range.start, &range.end];
            let connection = self.inner.connection();
            let rows = connection.rows("read letters rejected again", REJECTED, &params).await?;
            Ok(rows.iter().map(|row| (row.get(0), row.get::<_, &str>(1).into())).collect())
        }
        .boxed_local()
    }
}

const REJECTED: &str = "\
    SELECT l.id, COALESCE(l.again_reason, l.reason) FROM aqueduct.dead_letter AS l \
    WHERE l.topology = $1 AND l.again_actor = $2 AND l.id >= $3 AND l.id < $4 \
      AND l.attempted_epoch = (SELECT max(o.epoch) FROM aqueduct.offsets AS o \
                               WHERE o.topology = $1 AND o.input = 'dlq:' || $1)";
