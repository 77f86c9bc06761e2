//! Says whom a statement waits for while it waits.
//!
//! Seen from a second session, since the first is busy waiting. Whatever goes wrong here is only logged: watching must
//! not fail a migration.

use super::report::Event;
use crate::timescale::connect::{Connection, Connector};
use crate::timescale::limits;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);

const BLOCKERS: &str = "\
    SELECT string_agg('pid ' || a.pid || coalesce(', ' || nullif(a.application_name, ''), '') \
                      || coalesce(', role ' || a.usename, '') || coalesce(', ' || a.state, '') \
                      || coalesce(': ' || pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 80), ''), \
                      '; ' ORDER BY a.pid) \
    FROM pg_catalog.pg_stat_activity AS a \
    WHERE a.pid = ANY (pg_catalog.pg_blocking_pids($1))";

const PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Watches the session of a migrator.
pub(super) struct Watch<'a> {
    connector: &'a Connector,
    report: &'a dyn Fn(&Event),
    pid: i32,
    session: Option<Connection>,
    /// Who blocked the statement when last seen.
    pub(super) blockers: Option<String>,
}

impl<'a> Watch<'a> {
    pub(super) async fn new(
        connector: &'a Connector,
        connection: &Connection,
        report: &'a dyn Fn(&Event),
    ) -> Result<Self, aqueduct_engine::Error> {
        let answer = connection.client().query_one(PID, &[]);
        let pid =
            connection.within("ask for the session's pid", limits::STATEMENT_WAIT_MAX, answer).await?.get(0);
        Ok(Self { connector, report, pid, session: None, blockers: None })
    }

    /// Awaits `answer`, reporting whom it waits for.
    pub(super) async fn over<T>(&mut self, place: &str, answer: impl Future<Output = T>) -> T {
        self.blockers = None;
        let mut answer = pin!(answer);
        loop {
            match self.connector.clock().timeout(INTERVAL, &mut answer).await {
                Ok(outcome) => return outcome,
                Err(_) => self.look(place).await,
            }
        }
    }

    /// Reports what the server warned of while `connection` carried out the statement at `place`.
    pub(super) fn warned(&self, connection: &Connection, place: &str) {
        for warning in connection.take_warnings() {
            (self.report)(&Event::Warned { place: place.into(), warning });
        }
    }

    async fn look(&mut self, place: &str) {
        match self.ask().await {
            Ok(Some(holder)) if self.blockers.as_ref() != Some(&holder) => {
                (self.report)(&Event::WaitingForLock { place: place.into(), holder: holder.clone() });
                self.blockers = Some(holder);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot see whom a migration waits for");
                self.session = None;
            }
        }
    }

    async fn ask(&mut self) -> Result<Option<String>, aqueduct_engine::Error> {
        if self.session.is_none() {
            self.session = Some(self.connector.connect_pooled().await?);
        }
        let Some(session) = &self.session else { return Ok(None) };
        let params: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&self.pid];
        let answer = session.client().query_one(BLOCKERS, &params);
        Ok(session.within("look for locks", limits::STATEMENT_WAIT_MAX, answer).await?.get(0))
    }
}
