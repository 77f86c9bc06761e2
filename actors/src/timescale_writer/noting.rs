//! A session that notes something beside the rows, in their own transaction: what becomes of letters, what is filled again.
//!
//! All that is not named in [`Note`] is the session's.

use super::session::Session;
use super::store::{Copying, Failure, First, Owed, Rejections, Step, Target, Transact};
use super::table::Plan;
use crate::timescale::{Advance, Stored};
use aqueduct_engine::{Error, Letter, PartitionKey};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use std::ops::Range;

/// What is noted. Letters are the session's unless it says otherwise.
pub(crate) trait Note {
    /// A transaction begins, of which nothing is noted yet.
    fn begin(&self);

    /// `rows` were copied; the session knows how many of them the table did not have.
    fn copied(&self, session: &Session, rows: Copying<'_>);

    /// The offsets were moved: what is noted goes with them.
    fn write<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// See [`Transact::keep`].
    fn keep<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        session.keep(target, letters)
    }

    /// See [`Transact::holds`].
    fn holds<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        session.holds(target, letters)
    }

    /// See [`Transact::rejected`].
    fn rejected<'a>(
        &'a self,
        session: &'a Session,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        session.rejected(target, key, range)
    }
}

/// See the module.
pub(crate) struct Noting<N> {
    pub(crate) session: Session,
    pub(crate) note: N,
}

impl<N: Note> Transact for Noting<N> {
    fn plan(&self) -> &Plan {
        self.session.plan()
    }

    fn is_broken(&self) -> bool {
        self.session.is_broken()
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
        if let Step::First(First::Begin | First::BeginStrictly) = step {
            self.note.begin();
        }
        self.session.step(step)
    }

    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            if first == First::Begin {
                self.note.begin();
            }
            self.session.copy(rows.clone(), first).await?;
            self.note.copied(&self.session, rows);
            Ok(())
        }
        .boxed_local()
    }

    fn keep<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Letter],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        self.note.keep(&self.session, target, letters)
    }

    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        async move {
            self.session.advance(target, advances).await?;
            self.note.write(&self.session, target, advances).await
        }
        .boxed_local()
    }

    fn holds<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        self.note.holds(&self.session, target, letters)
    }

    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>> {
        self.session.commit()
    }

    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        self.session.stored(target, keys)
    }

    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>> {
        self.note.rejected(&self.session, target, key, range)
    }
}
