//! A backfill that is only judged: the records of a real one, through the same normalizers and the same writer, whose session
//! counts what the table lacks and adds nothing.
//!
//! Offsets and letters are kept in memory, as in a rehearsal. Rows go into temporary tables of a session that is looked at by
//! nobody else; their keys stay there until its end, so that rows of one key count once, as they would be added once.
//! Deliberately absent: what only the real table refuses when a row is added (its constraints and triggers).

use super::Mode;
use crate::timescale::{Advance, Identifier, Stored, Timescale};
use crate::timescale_writer::session::{Judgement, Session};
use crate::timescale_writer::store::{
    Conflict, Copying, Failure, First, Owed, Rejections, Step, Store, Target, Transact,
};
use crate::timescale_writer::table::Plan;
use aqueduct_engine::{Error, Letter, PartitionKey};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Rows that were judged.
#[derive(Debug, Default)]
pub struct Counts {
    added: AtomicU64,
    there: AtomicU64,
}

impl Counts {
    /// Rows that would be added.
    pub fn added(&self) -> u64 {
        self.added.load(Relaxed)
    }

    /// Rows that are there, or come twice.
    pub fn there(&self) -> u64 {
        self.there.load(Relaxed)
    }
}

/// Opens sessions that judge.
pub(super) struct Judging {
    pub(super) timescale: Timescale,
    pub(super) mode: Mode,
    pub(super) key: Vec<Identifier>,
    pub(super) time_column: Identifier,
    /// Where offsets and letters go.
    pub(super) memory: Arc<dyn Store>,
    pub(super) counts: Arc<Counts>,
}

impl Store for Judging {
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>> {
        async move {
            let looked_up_by = (self.mode == Mode::LookedUp).then(|| self.time_column.clone());
            let own =
                Target { unique: self.key.clone(), looked_up_by, conflict: Conflict::Keep, ..target.clone() };
            // What is deleted first is in nobody's way.
            let judgement = if self.mode == Mode::Replace {
                Judgement::AgainstItself
            } else {
                Judgement::AgainstTheTable
            };
            let session = Session::judging(&self.timescale, &own, judgement).await?;
            let memory = self.memory.open(target).await?;
            let judge = Judge {
                session,
                memory,
                counts: self.counts.clone(),
                added: Cell::default(),
                copied: Cell::default(),
            };
            let judge: Box<dyn Transact> = Box::new(judge);
            Ok(judge)
        }
        .boxed_local()
    }
}

/// Rows go to the session, everything else to memory.
struct Judge {
    session: Session,
    memory: Box<dyn Transact>,
    counts: Arc<Counts>,
    /// Rows of the transaction that the table lacks.
    added: Cell<u64>,
    /// All of its rows.
    copied: Cell<u64>,
}

impl Transact for Judge {
    fn plan(&self) -> &Plan {
        self.session.plan()
    }

    fn is_broken(&self) -> bool {
        self.session.is_broken() || self.memory.is_broken()
    }

    fn is_outdated(&self) -> bool {
        self.session.is_outdated()
    }

    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>> {
        self.session.ping()
    }

    fn fits<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.session.fits(target)
    }

    fn step(&self, step: Step) -> LocalBoxFuture<'_, Result<(), Error>> {
        async move {
            if matches!(step, Step::First(First::Begin | First::BeginStrictly)) {
                self.added.set(0);
                self.copied.set(0);
            }
            self.memory.step(step).await?;
            self.session.step(step).await
        }
        .boxed_local()
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            if first == First::Begin {
                self.added.set(0);
                self.copied.set(0);
            }
            self.memory.step(Step::First(first)).await?;
            let copied = rows.range.len() as u64;
            self.session.copy(rows, first).await?;
            self.added.set(self.added.get() + self.session.inserted());
            self.copied.set(self.copied.get() + copied);
            Ok(())
        }
        .boxed_local()
    }

    fn keep<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.memory.keep(target, letters)
    }

    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.memory.advance(target, advances)
    }

    fn holds<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.memory.holds(target, letters)
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        async move {
            // Its temporary tables alone are changed by it.
            self.session.commit().await?;
            self.memory.commit().await?;
            self.counts.added.fetch_add(self.added.get(), Relaxed);
            self.counts.there.fetch_add(self.copied.get() - self.added.get(), Relaxed);
            Ok(())
        }
        .boxed_local()
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        self.memory.stored(target, keys)
    }

    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        self.memory.rejected(target, key, range)
    }
}
