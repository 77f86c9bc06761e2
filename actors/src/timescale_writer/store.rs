//! Where a writer's transactions go: a database, or memory that refuses what it would refuse.
//!
//! The steps of a transaction are the store's; their order, and what follows from each outcome, are the writer's and
//! the same over either. Deliberately absent: SQL.

use super::rows::Rows;
use super::table::{Key, Plan};
use crate::timescale::{Advance, Identifier, Stored, TableName};
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Class, Error, Letter, PartitionKey};
use aqueduct_topology::model::Column;
use futures::future::LocalBoxFuture;
use std::ops::Range;
use std::sync::Arc;

/// What a writer writes where.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) topology: Arc<str>,
    /// The sink's identity.
    pub(crate) sink: Arc<str>,
    pub(crate) table: TableName,
    /// The rows' columns, without the hidden ones.
    pub(crate) columns: Vec<Column>,
    /// The business key; empty = rows are appended.
    pub(crate) unique: Vec<Identifier>,
    /// What becomes of a row whose key is there.
    pub(crate) conflict: Conflict,
    /// That key has no unique index: rows that are there are looked for by this column, the time among them.
    pub(crate) looked_up_by: Option<Identifier>,
    /// For letters.
    pub(crate) node: Arc<str>,
}

/// What becomes of a row whose business key is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The one that is there stays.
    #[default]
    Keep,
    /// It takes the other's place, unless that one is higher by this column.
    Replace(Option<Identifier>),
}

impl Target {
    /// The business key as it is to be found in the table.
    pub(crate) fn key(&self) -> Key<'_> {
        let indexed = if self.looked_up_by.is_some() { &[][..] } else { &self.unique };
        Key { indexed, replaces: matches!(self.conflict, Conflict::Replace(_)) }
    }
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A row was refused.
    Refused(Refused),
    /// An offset was not where we left it.
    Missed,
    /// Letters are gone that were durable once: of records of these partitions.
    Forgotten(Vec<PartitionKey>),
    /// Everything else.
    Failed(Error),
}

impl Failure {
    /// Of what class it is, as far as it is an error by itself.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Refused(_) => Class::Data,
            Self::Missed | Self::Forgotten(_) => Class::Fenced,
            Self::Failed(error) => error.class,
        }
    }
}

/// What is copied at once.
#[derive(Clone)]
pub(crate) struct Copying<'a> {
    pub(crate) target: &'a Target,
    pub(crate) rows: &'a Rows<'a>,
    /// Which of them.
    pub(crate) range: Range<usize>,
}

/// What was said of a row that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Which row, if that was said, counted from 0 in what was copied.
    pub(crate) row: Option<usize>,
    /// The condition's name, as a stable word.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
    /// Its column, if that was said.
    pub(crate) column: Option<String>,
    /// The constraint it violates, if that was said.
    pub(crate) constraint: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// As usual.
    Begin,
    /// Constraints that would speak only at the commit speak at once.
    BeginStrictly,
    /// A piece within one that has begun.
    Savepoint,
}

/// A step without values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A transaction begins.
    First(First),
    /// A piece is kept.
    Release,
    /// A piece is undone.
    Undo,
    /// Nothing of the transaction happened.
    Rollback,
}

/// A letter that an actor of this process has made durable, whatever became of it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) key: PartitionKey,
    pub(crate) offset: i64,
    /// Who rejected the record.
    pub(crate) actor: Arc<str>,
}

/// Every letter must be there, or the database went back: it may have lost letters and not one of our offsets.
pub(crate) fn all_there<'a>(gone: impl Iterator<Item = &'a Owed>) -> Result<(), Failure> {
    let mut keys: Vec<PartitionKey> = gone.map(|owed| owed.key.clone()).collect();
    keys.dedup();
    if keys.is_empty() { Ok(()) } else { Err(Failure::Forgotten(keys)) }
}

/// Offsets of records that a sink rejected, each with the reason.
pub(crate) type Rejections = Vec<(i64, Arc<str>)>;

/// Every partition of a transaction must hit, or none of it may happen.
pub(crate) fn all_hit(hit: usize, advances: &[Advance]) -> Result<(), Failure> {
    let needed = if planted(Bug::TakesAPartForTheWhole) { 1 } else { advances.len() };
    if hit >= needed { Ok(()) } else { Err(Failure::Missed) }
}

/// Opens sessions.
pub(crate) trait Store: Send + Sync {
    /// Connects, compares the table with the rows, prepares.
    fn open<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<Box<dyn Transact>, Error>>;
}

/// One session, in at most one transaction at a time.
pub(crate) trait Transact {
    /// How rows are written into the table.
    fn plan(&self) -> &Plan;

    /// Whether it is of no more use.
    fn is_broken(&self) -> bool;

    /// Whether it was opened with credentials that are not used any more.
    fn is_outdated(&self) -> bool {
        false
    }

    /// Whether the other side is there, and may be written to.
    fn ping(&self) -> LocalBoxFuture<'_, Result<(), Error>>;

    /// Whether the table still has the columns that [`Transact::plan`] was made for.
    fn fits<'a>(&'a self, target: &'a Target) -> LocalBoxFuture<'a, Result<(), Error>>;

    /// A step without values.
    fn step(&self, step: Step) -> LocalBoxFuture<'_, Result<(), Error>>;

    /// Copies rows, with `first` before them.
    fn copy<'a>(&'a self, rows: Copying<'a>, first: First) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// Keeps letters within the transaction.
    fn keep<'a>(&'a self, target: &'a Target, letters: &'a [Letter])
    -> LocalBoxFuture<'a, Result<(), Error>>;

    /// Moves the offsets; all of them or it is a miss. Fails unless the table still [fits](Transact::fits): it may have
    /// been altered until the rows were copied, and cannot be any more.
    fn advance<'a>(
        &'a self,
        target: &'a Target,
        advances: &'a [Advance],
    ) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// Fails unless every one of these letters is there; asked under the offsets' lock, so no claim takes them away any more.
    fn holds<'a>(
        &'a self,
        target: &'a Target,
        letters: &'a [Owed],
    ) -> LocalBoxFuture<'a, Result<(), Failure>>;

    /// Makes all of it durable. A failure may leave open whether it did.
    fn commit(&self) -> LocalBoxFuture<'_, Result<(), Failure>>;

    /// What is stored for each of `keys`, in their order.
    fn stored<'a>(
        &'a self,
        target: &'a Target,
        keys: &'a [&'a PartitionKey],
    ) -> LocalBoxFuture<'a, Result<Vec<Option<Stored>>, Error>>;

    /// The records of `range` that this sink itself rejected, with the reason.
    fn rejected<'a>(
        &'a self,
        target: &'a Target,
        key: &'a PartitionKey,
        range: Range<i64>,
    ) -> LocalBoxFuture<'a, Result<Rejections, Error>>;
}
