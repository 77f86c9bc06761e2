//! How far a roll-up is, and one step of it: table `aqueduct.rollups` and the table of aggregates, in one transaction.
//!
//! Invariant: a step writes only while `done_to` is what its owner last knew, so that of two that take themselves for the
//! owner one writes nothing. Rows of a bucket are replaced by what the source says now, so a step may be made again.

use super::connect::Connection;
use super::{Identifier, TableName, limits, sql};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::Aggregate;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

/// Begins the record of a roll-up; another form of it begins anew.
const REGISTER: &str = "\
    INSERT INTO aqueduct.rollups AS r \
        (topology, schedule, source_schema, source_table, target, form, lateness, node) \
    VALUES ($1, $2, $3, $4, $5, $6, $7::int8 * interval '1 microsecond', $8) \
    ON CONFLICT (topology, schedule) DO UPDATE SET \
        done_to = CASE WHEN r.form = excluded.form THEN r.done_to END, source_schema = excluded.source_schema, \
        source_table = excluded.source_table, target = excluded.target, form = excluded.form, \
        lateness = excluded.lateness, node = excluded.node, updated_at = pg_catalog.clock_timestamp() \
    WHERE (r.form, r.lateness) IS DISTINCT FROM (excluded.form, excluded.lateness)";

const DONE_TO: &str = "\
    SELECT (extract(epoch FROM r.done_to) * 1000000)::int8, \
           (SELECT (extract(epoch FROM max(l.to_time)) * 1000000)::int8 FROM aqueduct.retention_log AS l \
            WHERE l.schema_name = r.source_schema AND l.table_name = r.source_table) \
    FROM aqueduct.rollups AS r WHERE r.topology = $1 AND r.schedule = $2";

const ADVANCE: &str = "\
    UPDATE aqueduct.rollups SET done_to = 'epoch'::timestamptz + $4::int8 * interval '1 microsecond', node = $5, \
        updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND schedule = $2 \
      AND done_to IS NOT DISTINCT FROM 'epoch'::timestamptz + $3::int8 * interval '1 microsecond'";

const FORGET: &str = "DELETE FROM aqueduct.rollups WHERE topology = $1 AND NOT schedule = ANY ($2)";

/// A roll-up as the database is told of it.
#[derive(Clone, Debug)]
pub struct Rollup {
    /// The topology.
    pub topology: String,
    /// The identity of the schedule.
    pub schedule: String,
    /// The table that is read.
    pub source: TableName,
    /// The table that is filled.
    pub target: TableName,
    /// The event time of the source; in the target the bucket's beginning.
    pub time: Identifier,
    /// The fields of the key.
    pub keys: Vec<Identifier>,
    /// The other columns: name, what it is, of which field.
    pub columns: Vec<(Identifier, Aggregate, Option<Identifier>)>,
    /// What a bucket spans.
    pub bucket_us: i64,
    /// How far an event may trail its record.
    pub lateness: Duration,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Rows before this event time are in the target.
    pub done_to_us: Option<i64>,
    /// Rows before this event time were dropped from the source.
    pub dropped_to_us: Option<i64>,
}

impl Rollup {
    /// What is made of what: another form makes other rows.
    fn form(&self) -> String {
        format!("{} every {} us", sql::roll_up(self), self.bucket_us)
    }

    /// From now on nothing that it still has to read is dropped.
    pub async fn register(&self, session: &Connection, node: &str) -> Result<(), Error> {
        let (schema, table) = (self.source.schema.as_str(), self.source.table.as_str());
        let (target, form) = (self.target.plain(), self.form());
        let lateness_us = i64::try_from(self.lateness.as_micros()).unwrap_or(i64::MAX);
        let params: [&(dyn ToSql + Sync); 8] =
            [&self.topology, &self.schedule, &schema, &table, &target, &form, &lateness_us, &node];
        session.hits("begin a roll-up", REGISTER, &params).await.map(drop)
    }

    /// How far it is; it must be registered.
    pub async fn standing(&self, session: &Connection) -> Result<Standing, Error> {
        let params: [&(dyn ToSql + Sync); 2] = [&self.topology, &self.schedule];
        let row = session.row("read how far a roll-up is", DONE_TO, &params).await?;
        Ok(Standing { done_to_us: row.get(0), dropped_to_us: row.get(1) })
    }

    /// The event time of the source's oldest row from `from_us` on.
    pub async fn oldest_from(&self, session: &Connection, from_us: i64) -> Result<Option<i64>, Error> {
        let statement = sql::oldest_time_from(&self.source, &self.time);
        let row = session.row("look for the oldest row to roll up", &statement, &[&from_us]).await?;
        Ok(row.get(0))
    }

    /// Makes the buckets from `from_us` to before `to_us`, and says so if they reach beyond `done_to_us`; how many rows are
    /// new or changed.
    pub async fn step(
        &self,
        session: &Connection,
        node: &str,
        done_to_us: Option<i64>,
        (from_us, to_us): (i64, i64),
    ) -> Result<u64, Error> {
        session.hits("begin a step of a roll-up", "BEGIN", &[]).await?;
        let made = self.within_the_transaction(session, node, done_to_us, (from_us, to_us)).await;
        if made.is_ok() {
            session.hits("commit a step of a roll-up", "COMMIT", &[]).await?;
        } else if !session.is_broken() {
            session.hits("take a step of a roll-up back", "ROLLBACK", &[]).await?;
        }
        made
    }

    async fn within_the_transaction(
        &self,
        session: &Connection,
        node: &str,
        done_to_us: Option<i64>,
        (from_us, to_us): (i64, i64),
    ) -> Result<u64, Error> {
        let reaches = done_to_us.map_or(to_us, |done| done.max(to_us));
        let params: [&(dyn ToSql + Sync); 5] = [&self.topology, &self.schedule, &done_to_us, &reaches, &node];
        if session.hits("say how far a roll-up is", ADVANCE, &params).await? != 1 {
            let message = "another owner of this roll-up has moved on: this one writes nothing";
            return Err(Error::new(Class::Transient, message));
        }
        let statement = sql::roll_up(self);
        let params: [&(dyn ToSql + Sync); 3] = [&self.bucket_us, &from_us, &to_us];
        let made = session.client().execute(&statement, &params);
        let made = session.within_raw("roll up", limits::ROLLUP_STEP_WAIT_MAX, made).await;
        made.map_err(|refusal| {
            let state = refusal.cause.as_ref().and_then(tokio_postgres::Error::code).cloned();
            match state {
                Some(state) if state == SqlState::INVALID_COLUMN_REFERENCE => Error::new(
                    Class::Config,
                    format!(
                        "{} has no unique index over the bucket and the key ({}): `aqueduct migrate new` drafts one",
                        self.target.plain(),
                        self.key_names()
                    ),
                ),
                _ => refusal.error,
            }
        })
    }

    fn key_names(&self) -> String {
        let names = std::iter::once(&self.time).chain(&self.keys).map(Identifier::as_str);
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Forgets the roll-ups of the topology but those of these schedules, so that nobody waits for them.
pub async fn forget_others(session: &Connection, topology: &str, schedules: &[&str]) -> Result<u64, Error> {
    let params: [&(dyn ToSql + Sync); 2] = [&topology, &schedules];
    session.hits("forget roll-ups that are no more", FORGET, &params).await
}
