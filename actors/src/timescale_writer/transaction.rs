//! One transaction: the rows, then the offsets, then the commit; and, where a row is refused, the same around it.
//!
//! Invariant: the offsets move last, and only with every row below them written or kept as a letter, be it here or by
//! whoever rejected the record before. The refused rows
//! are found by bisection: where the database says which line it refused, the range is cut there; where it does not (a
//! unique key, a trigger at the end), in the middle. Each piece is copied under a savepoint of its own.

use super::rows::Rows;
use super::store::{Copying, Failure, First, Owed, Refused, Step, Target, Transact};
use crate::timescale::Advance;
use aqueduct_engine::batch::{OFFSET_COLUMN, ROW_COLUMN};
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Class, Error, Letter};
use std::ops::Range;

/// How the offsets move, and over which records that others have rejected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moves<'a> {
    pub(super) advances: &'a [Advance],
    pub(super) letters: &'a [Owed],
}

impl Moves<'_> {
    /// Moves the offsets within the transaction that `session` is in.
    async fn within(self, session: &dyn Transact, target: &Target) -> Result<(), Failure> {
        session.advance(target, self.advances).await?;
        if self.letters.is_empty() {
            return Ok(());
        }
        session.holds(target, self.letters).await
    }
}

/// Writes `rows` and moves the offsets; returns the letters of the rows that were refused. After a failure the session
/// is outside of any transaction again, or broken.
pub(super) async fn write(
    session: &dyn Transact,
    target: &Target,
    rows: &Rows<'_>,
    moves: Moves<'_>,
) -> Result<Vec<Letter>, Failure> {
    match ended(session, whole(session, target, rows, moves).await).await {
        // Bytes meant for another table are nobody's fault but the one's who altered it.
        Err(Failure::Refused(_)) => {
            session.fits(target).await?;
            let outcome = in_pieces(session, target, rows, moves).await;
            ended(session, outcome).await
        }
        Err(Failure::Failed(error)) if error.class == Class::Bug && !session.is_broken() => {
            session.fits(target).await?;
            Err(Failure::Failed(error))
        }
        outcome => outcome.map(|()| Vec::new()),
    }
}

async fn ended<T>(session: &dyn Transact, outcome: Result<T, Failure>) -> Result<T, Failure> {
    if outcome.is_err() && !session.is_broken() {
        // Its own failure shows as a broken connection.
        let _ = session.step(Step::Rollback).await;
    }
    outcome
}

async fn whole(
    session: &dyn Transact,
    target: &Target,
    rows: &Rows<'_>,
    moves: Moves<'_>,
) -> Result<(), Failure> {
    if planted(Bug::CommitsBeforeWriting) {
        session.step(Step::First(First::Begin)).await?;
        session.advance(target, moves.advances).await?;
        session.commit().await?;
        session.copy(Copying { target, rows, range: 0..rows.len() }, First::Begin).await?;
        return session.commit().await;
    }
    if rows.len() == 0 {
        session.step(Step::First(First::Begin)).await?;
    } else {
        session.copy(Copying { target, rows, range: 0..rows.len() }, First::Begin).await?;
    }
    moves.within(session, target).await?;
    session.commit().await
}

/// Writes what the database takes, keeps the rest as letters, all in one transaction.
async fn in_pieces(
    session: &dyn Transact,
    target: &Target,
    rows: &Rows<'_>,
    moves: Moves<'_>,
) -> Result<Vec<Letter>, Failure> {
    session.step(Step::First(First::BeginStrictly)).await?;
    let mut letters = Vec::new();
    let whole = 0..rows.len();
    let mut ranges = vec![whole];
    while let Some(range) = ranges.pop() {
        if range.is_empty() {
            continue;
        }
        match session.copy(Copying { target, rows, range: range.clone() }, First::Savepoint).await {
            Ok(()) => session.step(Step::Release).await?,
            Err(Failure::Refused(refused)) => {
                session.step(Step::Undo).await?;
                if range.len() == 1 {
                    letters.push(letter(target, rows, range.start, refused));
                } else {
                    ranges.extend(cut(range, refused.row).into_iter().rev());
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    session.keep(target, &letters).await?;
    moves.within(session, target).await?;
    match session.commit().await {
        // Every row was taken on its own, yet the whole is refused: nothing we could reject.
        Err(Failure::Refused(refused)) => {
            let message = format!("{}; a deferred trigger refuses the transaction", refused.message);
            Err(Failure::Failed(Error::new(Class::Config, message)))
        }
        outcome => outcome.map(|()| letters),
    }
}

/// Around the row the server named, counted from the range's start, else in halves.
fn cut(range: Range<usize>, row: Option<usize>) -> Vec<Range<usize>> {
    match row.map(|row| range.start + row).filter(|row| range.contains(row)) {
        Some(row) => vec![range.start..row, row..row + 1, row + 1..range.end],
        None => {
            let middle = range.start + range.len() / 2;
            vec![range.start..middle, middle..range.end]
        }
    }
}

fn letter(target: &Target, rows: &Rows<'_>, index: usize, refused: Refused) -> Letter {
    let (batch, row) = rows.locate(index);
    let offset = batch.row_offsets().get(row).copied();
    let row_index = batch.row_indices().get(row).copied();
    let (Some(offset), Some(row_index)) = (offset, row_index) else {
        panic!("invariant: rows end in {OFFSET_COLUMN} and {ROW_COLUMN}");
    };
    let mut detail = refused.message;
    for (what, name) in [("column", refused.column), ("constraint", refused.constraint)] {
        if let Some(name) = name {
            detail.push_str(&format!(", {what} `{name}`"));
        }
    }
    Letter::for_record(&target.sink, batch, (offset, row_index), (Class::Data, refused.reason.into()), detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_smaller_and_loses_nothing() {
        for (range, row) in [
            (10..20, Some(3)),
            (10..20, Some(0)),
            (10..20, Some(9)),
            (10..20, Some(10)),
            (10..12, None),
            (10..13, None),
        ] {
            let parts = cut(range.clone(), row);
            assert!(parts.iter().all(|part| part.len() < range.len()), "{parts:?}");
            let all: Vec<usize> = parts.into_iter().flatten().collect();
            assert_eq!(all, range.collect::<Vec<_>>());
        }
    }
}
