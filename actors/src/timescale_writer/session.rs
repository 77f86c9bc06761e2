//! A writer's own connection, with everything prepared: the statements of its transactions.

use super::encode::{HEADER, TRAILER};
use super::rows::Rows;
use super::table::{self, Plan};
use crate::timescale::connect::Refusal;
use crate::timescale::{Advance, Connection, Identifier, TableName, Timescale, advance, fence, limits, sql};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::Column;
use bytes::Bytes;
use futures::SinkExt;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use tokio_postgres::Statement;

/// What a writer writes where.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) topology: Arc<str>,
    /// The sink's identity.
    pub(super) sink: Arc<str>,
    pub(super) table: TableName,
    /// The rows' columns, without the hidden ones.
    pub(super) columns: Vec<Column>,
    /// The business key; empty = rows are appended.
    pub(super) unique: Vec<Identifier>,
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(super) enum Failure {
    /// A row was refused; which, if the server said so, counted from 0 in what was copied.
    Refused { refusal: Refusal, row: Option<usize> },
    /// An offset was not where we left it.
    Missed,
    /// Everything else.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

impl Failure {
    pub(super) fn of(refusal: Refusal) -> Self {
        if refusal.error.class != Class::Data {
            return Failure::Failed(refusal.error);
        }
        let row = refusal.cause.as_ref().and_then(|cause| copied_line(cause.as_db_error()?.where_()?));
        Failure::Refused { refusal, row }
    }
}

/// The row of `COPY trades, line 17, column price`, counted from 0.
fn copied_line(context: &str) -> Option<usize> {
    let copy = context.lines().find_map(|line| line.strip_prefix("COPY "))?;
    let digits = copy.split_once(", line ")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse::<usize>().ok()?.checked_sub(1)
}

/// A connection and its prepared statements.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) plan: Plan,
    copy: Statement,
    advance: Statement,
    /// Moves staged rows into the table, under `unique`.
    staged: Option<Statement>,
}

impl Session {
    /// Connects, compares the table with the rows, prepares.
    pub(super) async fn open(timescale: &Timescale, target: &Target) -> Result<Self, Error> {
        let connection = timescale.connect().await?;
        let plan = table::check(&connection, &target.table, &target.columns, &target.unique).await?;
        let unique = !target.unique.is_empty();
        let copy = if unique {
            let create = sql::create_staging(&target.table, &plan.columns);
            let created = connection.client().batch_execute(&create);
            connection.within("create the staging table", limits::STATEMENT_WAIT_MAX, created).await?;
            prepare(&connection, target, &sql::copy_in_staging(&plan.columns)).await?
        } else {
            prepare(&connection, target, &sql::copy_in(&target.table, &plan.columns)).await?
        };
        let staged = if unique {
            let insert = sql::insert_staged(&target.table, &plan.columns, &target.unique);
            Some(prepare(&connection, target, &insert).await?)
        } else {
            None
        };
        let advance = prepare(&connection, target, fence::ADVANCE).await?;
        Ok(Self { connection, plan, copy, advance, staged })
    }

    /// Writes `rows` and moves the offsets in one transaction. After a failure the session is outside of it again, or
    /// broken.
    pub(super) async fn write(
        &self,
        target: &Target,
        rows: &Rows<'_>,
        advances: &[Advance],
    ) -> Result<(), Failure> {
        let outcome = self.transaction(target, rows, advances).await;
        if outcome.is_err() && !self.connection.is_broken() {
            // Its own failure shows as a broken connection.
            let _ = self.execute("roll back", "ROLLBACK").await;
        }
        outcome
    }

    async fn transaction(
        &self,
        target: &Target,
        rows: &Rows<'_>,
        advances: &[Advance],
    ) -> Result<(), Failure> {
        if rows.len() == 0 {
            self.execute("begin", "BEGIN").await?;
        } else {
            self.copy(target, rows, 0..rows.len(), Some("BEGIN")).await?;
        }
        self.advance(target, advances).await?;
        let commit = self.connection.client().batch_execute("COMMIT");
        self.connection.within_raw("commit", limits::COMMIT_WAIT_MAX, commit).await.map_err(Failure::of)
    }

    /// Moves the offsets; all of them or it is a miss.
    pub(super) async fn advance(&self, target: &Target, advances: &[Advance]) -> Result<(), Failure> {
        let identity = (&*target.topology, &*target.sink);
        let moved = advance(&self.connection, &self.advance, identity, advances);
        let hit = self.connection.within("advance the offsets", limits::STATEMENT_WAIT_MAX, moved).await?;
        if hit == advances.len() as u64 { Ok(()) } else { Err(Failure::Missed) }
    }

    /// Runs a statement without values.
    pub(super) async fn execute(&self, doing: &str, statement: &str) -> Result<(), Error> {
        let executed = self.connection.client().batch_execute(statement);
        self.connection.within(doing, limits::STATEMENT_WAIT_MAX, executed).await
    }

    /// Copies `range` of `rows`, with `first` (BEGIN, SAVEPOINT) on the wire before it.
    pub(super) async fn copy(
        &self,
        target: &Target,
        rows: &Rows<'_>,
        range: Range<usize>,
        first: Option<&str>,
    ) -> Result<(), Failure> {
        let doing = format!("copy into `{}`", target.table.plain());
        let client = self.connection.client();
        let begun = async {
            match first {
                Some(statement) => client.batch_execute(statement).await,
                None => Ok(()),
            }
        };
        // Both are sent before either is answered. Were BEGIN refused, the COPY would stand outside any transaction:
        // it is dropped then, which makes it fail.
        let opened = async {
            let (begun, sink) = futures::join!(begun, client.copy_in::<_, Bytes>(&self.copy));
            begun?;
            sink
        };
        let wait = limits::COPY_WAIT_MAX;
        let sink = self.connection.within_raw(&doing, wait, opened).await.map_err(Failure::of)?;
        let mut sink = pin!(sink);
        let expected = range.len() as u64;
        let mut at = range.start;
        let mut frame = HEADER.to_vec();
        while at < range.end {
            frame.reserve(limits::COPY_FRAME_BYTES + limits::COPY_FRAME_BYTES / 8);
            at = rows.encode(at..range.end, limits::COPY_FRAME_BYTES, &mut frame);
            if at == range.end {
                frame.extend_from_slice(TRAILER);
            }
            let full = Bytes::from(std::mem::take(&mut frame));
            self.connection.within_raw(&doing, wait, sink.feed(full)).await.map_err(Failure::of)?;
        }
        let copied = self.connection.within_raw(&doing, wait, sink.finish()).await.map_err(Failure::of)?;
        if copied != expected {
            let message = format!("{doing}: the server took {copied} of {expected} rows");
            return Err(Failure::Failed(Error::bug(message)));
        }
        self.merge(&doing).await
    }

    /// Under `unique`: moves what was staged into the table.
    async fn merge(&self, doing: &str) -> Result<(), Failure> {
        let Some(statement) = &self.staged else { return Ok(()) };
        let merged = self.connection.client().execute(statement, &[]);
        self.connection.within_raw(doing, limits::COPY_WAIT_MAX, merged).await.map_err(Failure::of)?;
        self.execute("empty the staging table", sql::EMPTY_STAGING).await?;
        Ok(())
    }
}

async fn prepare(connection: &Connection, target: &Target, statement: &str) -> Result<Statement, Error> {
    let doing = format!("prepare for `{}`", target.table.plain());
    connection.within(&doing, limits::STATEMENT_WAIT_MAX, connection.client().prepare(statement)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_refused_row_is_read_from_the_context() {
        assert_eq!(copied_line("COPY trades, line 17, column price"), Some(16));
        assert_eq!(copied_line("SQL statement \"x\"\nCOPY _hyper_1_1_chunk, line 1"), Some(0));
        assert_eq!(copied_line("PL/pgSQL function f() line 3 at RAISE"), None);
        assert_eq!(copied_line("COPY trades, line 0"), None);
    }
}
