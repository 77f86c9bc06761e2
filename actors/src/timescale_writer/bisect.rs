//! Finds the rows that the database refuses, writes the others, and keeps the refused as dead letters: all in one
//! transaction.
//!
//! The server says which line it refused, so the range is cut there; where it does not (a unique key, a trigger at the
//! end), in the middle. Each piece is copied under a savepoint of its own.

use super::rows::Rows;
use super::session::{Failure, Session, Target};
use crate::timescale::class::condition_name;
use crate::timescale::connect::Refusal;
use crate::timescale::{Advance, letters, limits};
use aqueduct_engine::batch::{OFFSET_COLUMN, ROW_COLUMN};
use aqueduct_engine::{Class, Error, Letter};
use std::ops::Range;

const SAVEPOINT: &str = "SAVEPOINT aqueduct_piece";
const RELEASE: &str = "RELEASE SAVEPOINT aqueduct_piece";
const UNDO: &str = "ROLLBACK TO SAVEPOINT aqueduct_piece; RELEASE SAVEPOINT aqueduct_piece";
/// Constraints that would speak only at the commit speak at once.
const BEGIN: &str = "BEGIN; SET CONSTRAINTS ALL IMMEDIATE";

impl Session {
    /// Writes what the database takes of `rows`, dead-letters the rest, moves the offsets; returns the letters.
    pub(super) async fn bisect(
        &self,
        target: &Target,
        node: &str,
        rows: &Rows<'_>,
        advances: &[Advance],
    ) -> Result<Vec<Letter>, Failure> {
        let outcome = self.bisect_within(target, node, rows, advances).await;
        if outcome.is_err() && !self.connection.is_broken() {
            // Its own failure shows as a broken connection.
            let _ = self.execute("roll back", "ROLLBACK").await;
        }
        outcome
    }

    async fn bisect_within(
        &self,
        target: &Target,
        node: &str,
        rows: &Rows<'_>,
        advances: &[Advance],
    ) -> Result<Vec<Letter>, Failure> {
        self.execute("begin", BEGIN).await?;
        let mut letters = Vec::new();
        let whole = 0..rows.len();
        let mut ranges = vec![whole];
        while let Some(range) = ranges.pop() {
            if range.is_empty() {
                continue;
            }
            match self.copy(target, rows, range.clone(), Some(SAVEPOINT)).await {
                Ok(()) => self.execute("keep a piece", RELEASE).await?,
                Err(Failure::Refused { refusal, row }) => {
                    self.execute("undo a piece", UNDO).await?;
                    if range.len() == 1 {
                        letters.push(letter(target, rows, range.start, &refusal));
                    } else {
                        ranges.extend(cut(range, row).into_iter().rev());
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        let stored: Vec<&Letter> = letters.iter().collect();
        letters::insert(&self.connection, (&target.topology, node), &stored).await?;
        self.advance(target, advances).await?;
        let commit = self.connection.client().batch_execute("COMMIT");
        self.connection
            .within("commit", limits::COMMIT_WAIT_MAX, commit)
            .await
            .map_err(|error| Failure::Failed(after_all(error)))?;
        Ok(letters)
    }
}

/// Every row was taken on its own, yet the whole is refused: nothing we could reject.
fn after_all(error: Error) -> Error {
    match error.class {
        Class::Data => {
            Error::new(Class::Config, format!("{error}; a deferred trigger refuses the transaction"))
        }
        _ => error,
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

fn letter(target: &Target, rows: &Rows<'_>, index: usize, refusal: &Refusal) -> Letter {
    let (batch, row) = rows.locate(index);
    let offset = batch.row_offsets().get(row).copied();
    let row_index = batch.row_indices().get(row).copied();
    let (Some(offset), Some(row_index)) = (offset, row_index) else {
        panic!("invariant: rows end in {OFFSET_COLUMN} and {ROW_COLUMN}");
    };
    let db = refusal.cause.as_ref().and_then(tokio_postgres::Error::as_db_error);
    let reason = db.map_or("refused_by_database", |db| condition_name(db.code().code()));
    let mut detail = refusal.error.message.to_string();
    for (what, name) in [
        ("column", db.and_then(|db| db.column()).or_else(|| copied_column(db?.where_()?))),
        ("constraint", db.and_then(|db| db.constraint())),
    ] {
        if let Some(name) = name {
            detail.push_str(&format!(", {what} `{name}`"));
        }
    }
    Letter::for_record(&target.sink, batch, (offset, row_index), (Class::Data, reason.into()), detail)
}

/// The column of `COPY trades, line 17, column price`.
fn copied_column(context: &str) -> Option<&str> {
    let copy = context.lines().find(|line| line.starts_with("COPY "))?;
    Some(copy.split_once(", column ")?.1.split(':').next()?.trim())
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

    #[test]
    fn the_column_is_read_from_the_context() {
        assert_eq!(copied_column("COPY trades, line 17, column price"), Some("price"));
        assert_eq!(copied_column("COPY trades, line 17"), None);
    }
}
