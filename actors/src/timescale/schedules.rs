//! Who is at work for a schedule, and when it ran: a lock of a session, and table `aqueduct.schedule_runs`.
//!
//! Invariant: the lock, the work and its record go through one session, so what was begun by an owner that is gone has
//! ended with it before another one begins.

use super::connect::Connection;
use super::{exclusive, limits};
use aqueduct_engine::Error;
use aqueduct_engine::schedule::RunView;
use tokio_postgres::types::ToSql;

const LAST: &str = "\
    SELECT node, (extract(epoch FROM started_at) * 1000000)::int8, (extract(epoch FROM ended_at) * 1000000)::int8, \
           passed, message \
    FROM aqueduct.schedule_runs WHERE topology = $1 AND schedule = $2 ORDER BY started_at DESC, id DESC LIMIT 1";

const RECORD: &str = "\
    INSERT INTO aqueduct.schedule_runs (topology, schedule, run, node, passed, message, started_at, ended_at) \
    VALUES ($1, $2, $3, $4, $5, $6, 'epoch'::timestamptz + $7::int8 * interval '1 microsecond', \
            'epoch'::timestamptz + $8::int8 * interval '1 microsecond')";

const FORGET: &str = "\
    DELETE FROM aqueduct.schedule_runs AS r WHERE r.topology = $1 AND r.schedule = $2 AND r.started_at < ( \
        SELECT s.started_at FROM aqueduct.schedule_runs AS s WHERE s.topology = $1 AND s.schedule = $2 \
        ORDER BY s.started_at DESC OFFSET $3 LIMIT 1)";

/// A schedule, by its topology and its identity.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The topology.
    pub topology: &'a str,
    /// The identity of the actor.
    pub schedule: &'a str,
}

impl Named<'_> {
    /// Whether this session is the one at work from now on, for as long as it lives.
    pub async fn try_own(&self, session: &Connection) -> Result<bool, Error> {
        let name = format!("aqueduct schedule {} {}", self.topology, self.schedule);
        exclusive::try_own(session, "take the lock of a schedule", &name).await
    }

    /// The last run of any node.
    pub async fn last(&self, session: &Connection) -> Result<Option<RunView>, Error> {
        let params: [&(dyn ToSql + Sync); 2] = [&self.topology, &self.schedule];
        let rows = session.rows("read when a schedule ran", LAST, &params).await?;
        Ok(rows.first().map(|row| RunView {
            node: row.get(0),
            started_us: row.get(1),
            ended_us: row.get(2),
            passed: row.get(3),
            message: row.get(4),
        }))
    }

    /// Remembers a run, and forgets those that nobody asks for any more.
    pub async fn record(&self, session: &Connection, work: &str, run: &RunView) -> Result<(), Error> {
        let params: [&(dyn ToSql + Sync); 8] = [
            &self.topology,
            &self.schedule,
            &work,
            &run.node,
            &run.passed,
            &run.message,
            &run.started_us,
            &run.ended_us,
        ];
        session.hits("record a run of a schedule", RECORD, &params).await?;
        let params: [&(dyn ToSql + Sync); 3] = [&self.topology, &self.schedule, &limits::SCHEDULE_RUNS_MAX];
        session.hits("forget old runs of a schedule", FORGET, &params).await?;
        Ok(())
    }
}
