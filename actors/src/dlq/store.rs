//! What a writer writes to in a replay: its table, and in the same transaction the letters' marks.

use super::again;
use super::run::Run;
use crate::timescale::Advance;
use crate::timescale_writer::noting::{Note, Noting};
use crate::timescale_writer::session::Session;
use crate::timescale_writer::store::{Copying, Failure, Owed, Rejections, Store, Target, Transact};
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
            let session = Session::open(&self.run.timescale, target).await?;
            let note = Marks { run: self.run.clone(), written: RefCell::default() };
            let session: Box<dyn Transact> = Box::new(Noting { session, note });
            Ok(session)
        }
        .boxed_local()
    }
}

struct Marks {
    run: Arc<Run>,
    /// The letters of which the transaction copies rows.
    written: RefCell<BTreeSet<i64>>,
}

impl Note for Marks {
    fn begin(&self) {
        self.written.borrow_mut().clear();
    }

    fn copied(&self, _: &Session, rows: Copying<'_>) {
        let Copying { rows, range, .. } = rows;
        let ids = range.map(|index| {
            let (batch, row) = rows.locate(index);
            batch.row_offsets()[row]
        });
        self.written.borrow_mut().extend(ids);
    }

    fn write<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            for advance in advances {
                let written: Vec<i64> = self.written.borrow().iter().copied().collect();
                let (sink, connection) = (&*target.sink, session.connection());
                let range = advance.previous..advance.next;
                self.run.mark(connection, (sink, advance.epoch), range, &written).await?;
            }
            Ok(())
        }
        .boxed_local()
    }

    fn keep<'a>(
        &'a self,
        session: &'a Session,
        _: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        again::keep(&self.run, session.connection(), letters).boxed_local()
    }

    /// What is rejected again has its letter since long before the replay.
    fn holds<'a>(
        &'a self,
        _: &'a Session,
        _: &'a Target,
        _: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        std::future::ready(Ok(())).boxed_local()
    }

    fn rejected<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        _: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        async move {
            let sink = &*target.sink;
            let params: [&(dyn ToSql + Sync); 4] = [&&*self.run.topology, &sink, &range.start, &range.end];
            let rows = session.connection().rows("read letters rejected again", REJECTED, &params).await?;
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
