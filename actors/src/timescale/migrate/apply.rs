//! Runs one file, statement by statement, so that every refusal has a line.
//!
//! Invariant: a file in a transaction and its record commit together. A file outside one is recorded after its last
//! statement; until then every run begins at its first, which is why such files must be fit to run twice.

use super::error::{Error, Outcome, StatementError};
use super::file::{self, MigrationFile, MigrationSet};
use super::lexer::Statement;
use super::schema::Snapshot;
use super::store;
use super::watch::Watch;
use crate::timescale::connect::{Connection, Refusal};
use crate::timescale::{Identifier, limits, sql};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Class, Clock};
use tokio_postgres::error::{DbError, ErrorPosition};

/// A file on its way into the database.
pub(super) struct Run<'a, 'w> {
    pub(super) connection: &'a Connection,
    pub(super) clock: &'a Clock,
    pub(super) set: &'a MigrationSet,
    pub(super) file: &'a MigrationFile,
    pub(super) watch: &'a mut Watch<'w>,
    pub(super) snapshot: &'a mut Snapshot,
}

impl Run<'_, '_> {
    /// Applies and records the file; gives the milliseconds it took.
    pub(super) async fn apply(mut self) -> Result<i64, Error> {
        let file = self.file;
        let path = self.set.path(&file.name);
        let statements = file.statements().map_err(|error| Error::unterminated(&path, &error))?;
        store::refresh(self.connection, file.transactional).await?;
        if !file.transactional {
            return self.outside_a_transaction(&path, &statements).await;
        }
        self.control("BEGIN").await?;
        match self.in_a_transaction(&path, &statements).await {
            Ok(duration_ms) => self.commit(&path, &statements).await.map(|()| duration_ms),
            Err(error) => {
                // Where this fails the session is gone, and the transaction with it.
                if let Err(failed) = self.control("ROLLBACK").await {
                    tracing::debug!(error = %failed, "cannot roll back");
                }
                Err(error)
            }
        }
    }

    async fn in_a_transaction(&mut self, path: &str, statements: &[Statement<'_>]) -> Result<i64, Error> {
        let begin = self.clock.now();
        for (index, statement) in statements.iter().enumerate() {
            self.execute(path, (index + 1, statements.len()), statement).await?;
        }
        let duration_ms = begin.elapsed().as_millis() as i64;
        self.record(duration_ms).await?;
        Ok(duration_ms)
    }

    async fn outside_a_transaction(
        &mut self,
        path: &str,
        statements: &[Statement<'_>],
    ) -> Result<i64, Error> {
        let begin = self.clock.now();
        for (index, statement) in statements.iter().enumerate() {
            self.drop_invalid_index(statement).await?;
            self.execute(path, (index + 1, statements.len()), statement).await?;
        }
        let duration_ms = begin.elapsed().as_millis() as i64;
        self.record(duration_ms).await?;
        Ok(duration_ms)
    }

    /// That the file was applied, and what it made.
    async fn record(&mut self, duration_ms: i64) -> Result<(), Error> {
        // A statement may have changed the role; the record is the migrator's own.
        self.control("RESET SESSION AUTHORIZATION; RESET ROLE").await?;
        self.snapshot.note(self.connection, self.set, self.file).await?;
        store::insert(self.connection, &self.set.name, self.file, duration_ms).await
    }

    /// `CREATE INDEX .. IF NOT EXISTS` is content with the invalid index that an interrupted run left behind; nobody
    /// else would be. So that one goes first.
    async fn drop_invalid_index(&self, statement: &Statement<'_>) -> Result<(), Error> {
        let Some((index, table)) = file::index_of(statement) else { return Ok(()) };
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&table, &index];
        let found = self.connection.client().query_opt(sql::INVALID_INDEX, &params);
        let doing = "look for an invalid index";
        let Some(row) = self.connection.within(doing, limits::STATEMENT_WAIT_MAX, found).await? else {
            return Ok(());
        };
        let (schema, index) = (Identifier::new(row.get(0))?, Identifier::new(&index)?);
        let concurrently = statement.tokens.iter().any(|token| token.is("CONCURRENTLY"));
        tracing::info!(
            event = event_ids::INDEX_DROPPED,
            index = index.as_str(),
            "dropping the invalid index of an interrupted migration"
        );
        self.control(&sql::drop_index(&schema, &index, concurrently)).await
    }

    async fn control(&self, statement: &str) -> Result<(), Error> {
        let answer = self.connection.client().batch_execute(statement);
        Ok(self.connection.within("migrate", limits::MIGRATION_LOCK_WAIT_MAX, answer).await?)
    }

    async fn commit(&self, path: &str, statements: &[Statement<'_>]) -> Result<(), Error> {
        let answer = self.connection.client().batch_execute("COMMIT");
        let Err(refusal) = self.connection.within_raw("commit", limits::COMMIT_WAIT_MAX, answer).await else {
            return Ok(());
        };
        let known = refusal.cause.as_ref().is_some_and(|cause| cause.as_db_error().is_some());
        let outcome = if known { Outcome::RolledBack } else { Outcome::Unknown };
        let last = (statements.len(), statements.len());
        let line = statements.last().map_or(1, |statement| statement.line);
        Err(refused(path, last, (line, ""), &refusal, outcome, None))
    }

    async fn execute(
        &mut self,
        path: &str,
        number: (usize, usize),
        statement: &Statement<'_>,
    ) -> Result<(), Error> {
        let place = [path, ":", &statement.line.to_string()].concat();
        let answer = self.watch.over(&place, self.connection.client().batch_execute(statement.text));
        let outcome = self.connection.within_raw("migrate", limits::MIGRATION_WAIT_MAX, answer).await;
        self.watch.warned(self.connection, &place);
        outcome.map_err(|refusal| {
            let left = if self.file.transactional { Outcome::RolledBack } else { Outcome::Partial };
            let at = (statement.line, statement.text);
            refused(path, number, at, &refusal, left, self.watch.blockers.as_deref())
        })
    }
}

fn refused(
    path: &str,
    statement: (usize, usize),
    (line, text): (u32, &str),
    refusal: &Refusal,
    outcome: Outcome,
    blockers: Option<&str>,
) -> Error {
    let answer = refusal.cause.as_ref().and_then(|cause| cause.as_db_error());
    let position = answer.and_then(DbError::position);
    let offset = match position {
        Some(ErrorPosition::Original(position)) => lines_before(text, *position),
        _ => 0,
    };
    Error::Statement(Box::new(StatementError {
        place: path.into(),
        line: line + offset,
        statement,
        state: answer.map(|answer| answer.code().code().to_owned()),
        message: answer.map_or_else(|| refusal.error.message.to_string(), in_words),
        remedy: answer.and_then(|answer| remedy(answer.code().code(), blockers)),
        outcome,
        class: if outcome == Outcome::Unknown { Class::Transient } else { refusal.error.class },
    }))
}

/// Line ends before the character at `position`, which counts from 1.
fn lines_before(text: &str, position: u32) -> u32 {
    let before = text.chars().take(position.saturating_sub(1) as usize);
    before.filter(|&c| c == '\n').count() as u32
}

fn in_words(answer: &DbError) -> String {
    let mut text = answer.message().to_owned();
    for (mark, more) in [(": ", answer.detail()), ("; hint: ", answer.hint())] {
        if let Some(more) = more {
            text.push_str(mark);
            text.push_str(more);
        }
    }
    text
}

/// What to do about a refused migration; other states say it themselves.
fn remedy(state: &str, blockers: Option<&str>) -> Option<String> {
    let remedy = match state {
        "25001" => {
            "it cannot run in a transaction: move it to a file of its own whose first line is `-- no-transaction`"
        }
        "42P07" | "42P06" | "42710" | "42701" | "42723" => {
            "it is there already, made by hand or by another topology's migration: drop or rename that one, or take the \
             statement out of this file"
        }
        "42501" => "migrate as a role that may do this: set the connection's `url`, or TIMESCALE_URL, to one",
        "42883" | "42704" => {
            "where TimescaleDB's own functions are missing: `CREATE EXTENSION timescaledb` in this database, as a superuser"
        }
        "42601" => "correct the statement; a file that was never applied may still change",
        "55P03" => {
            let held = blockers.map(|blockers| [" held by ", blockers].concat()).unwrap_or_default();
            return Some([
                "a lock",
                &held,
                " was not free in time: end that session or wait for it, then run `aqueduct migrate up` again",
            ]
            .concat());
        }
        "40001" | "40P01" => "run `aqueduct migrate up` again",
        _ => return None,
    };
    Some(remedy.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_not_bytes() {
        let text = "SELECT 'é\né',\n  nonsense";
        let position = text.chars().position(|c| c == 'n').unwrap() as u32 + 1;
        assert_eq!(lines_before(text, position), 2);
        assert_eq!(lines_before(text, 1), 0);
        assert_eq!(lines_before(text, 10_000), 2, "never past the end");
    }

    #[test]
    fn a_lock_names_its_holder() {
        let said = remedy("55P03", Some("pid 7, psql")).unwrap();
        assert!(said.starts_with("a lock held by pid 7, psql was not free"), "{said}");
        assert!(remedy("55P03", None).unwrap().starts_with("a lock was not free"));
    }
}
