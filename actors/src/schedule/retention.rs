//! `run: retention`: drops what is past the retention of each table, slice by slice.
//!
//! A table that refuses keeps none of the others from being looked after. Invariant: what is dropped and the line that says
//! so are one statement of the server, so being cut off here leaves nothing half done.

use super::Outcome;
use super::rollup::declared;
use crate::timescale::retention::{Dropped, Standing, drop_past, standing};
use crate::timescale::rollups::{Rollup, forget_others};
use crate::timescale::{Connection, TableName};
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::telemetry::{event_ids, names};
use aqueduct_engine::{Class, Context, Error};
use aqueduct_topology::model::Topology;
use std::time::Duration;

/// How often a slice that somebody's lock keeps is tried before the run goes on without it.
const TRIES_MAX: usize = 3;

/// The tables and how long their rows are kept.
pub(super) struct Retention {
    tables: Vec<(TableName, Duration)>,
    /// What still reads them.
    rollups: Vec<Rollup>,
}

/// What came of one table.
enum Ended {
    /// All that was past is gone but for what is held.
    Done(Dropped, Standing),
    /// The server refused.
    Refused(Dropped, Error),
    /// The stop was asked.
    Stopped,
}

impl Retention {
    pub(super) fn new(topology: &Topology) -> Result<Self, Error> {
        let table =
            |kept: aqueduct_topology::model::KeptTable| Ok((TableName::parse(&kept.table)?, kept.retention));
        let tables = topology.kept_tables().map(table).collect::<Result<_, Error>>()?;
        Ok(Self { tables, rollups: declared(topology)? })
    }

    /// One run for `by`, a topology and a node. `None`: it was told to stop; an error: the session is lost.
    pub(super) async fn run(
        &self,
        cx: &Context,
        session: &Connection,
        by: (&str, &str),
    ) -> Result<Option<Outcome>, Error> {
        self.wait_for_rollups(session, by).await?;
        let (mut done, mut refused) = (Vec::new(), Vec::new());
        for (table, retention) in &self.tables {
            let name = table.plain();
            match self.clear(cx, session, by, (table, *retention)).await? {
                Ended::Done(dropped, left) => done.extend(said(&name, dropped, left)),
                Ended::Refused(dropped, error) => {
                    done.extend(said(&name, dropped, Standing::default()));
                    refused.push(format!("{name}: {}{}", error.message, remedy(&error)));
                }
                Ended::Stopped => return Ok(None),
            }
        }
        let done = if done.is_empty() { "nothing to drop".to_owned() } else { done.join("; ") };
        Ok(Some(if refused.is_empty() { Ok(done) } else { Err(format!("{}; {done}", refused.join("; "))) }))
    }

    /// A roll-up that has not run yet is told to the database first, so that nothing is dropped before it; one that the
    /// topology has no more is waited for by nobody.
    async fn wait_for_rollups(
        &self,
        session: &Connection,
        (topology, node): (&str, &str),
    ) -> Result<(), Error> {
        for rollup in &self.rollups {
            rollup.register(session, node).await?;
        }
        let schedules: Vec<&str> = self.rollups.iter().map(|rollup| rollup.schedule.as_str()).collect();
        forget_others(session, topology, &schedules).await.map(drop)
    }

    async fn clear(
        &self,
        cx: &Context,
        session: &Connection,
        by: (&str, &str),
        (table, retention): (&TableName, Duration),
    ) -> Result<Ended, Error> {
        let (mut sum, mut tries, mut backoff) = (Dropped::default(), 0, Backoff::outage());
        loop {
            if cx.status.stopping() {
                return Ok(Ended::Stopped);
            }
            match drop_past(session, by, table, retention, cx.clock.wall_us()).await {
                Ok(Some(dropped)) => {
                    show(cx, table, dropped);
                    sum = Dropped {
                        chunks: sum.chunks + dropped.chunks,
                        rows: sum.rows + dropped.rows,
                        bytes: sum.bytes + dropped.bytes,
                    };
                    tries = 0;
                    backoff.reset();
                }
                Ok(None) => break,
                Err(error) if session.is_broken() || session.client().is_closed() => return Err(error),
                Err(error) if error.class == Class::Transient && tries + 1 < TRIES_MAX => {
                    tries += 1;
                    cx.clock.sleep(backoff.next_wait()).await;
                }
                Err(error) => return Ok(Ended::Refused(sum, error)),
            }
        }
        let left = standing(session, table, retention, cx.clock.wall_us()).await?;
        let name = table.plain();
        for (held, chunks) in [("true", left.held), ("false", left.chunks - left.held)] {
            let labels = [("table", name.as_str()), ("held", held)];
            cx.status.figures().set(names::RETENTION_PAST_CHUNKS, &labels, chunks as f64);
        }
        Ok(Ended::Done(sum, left))
    }
}

fn show(cx: &Context, table: &TableName, dropped: Dropped) {
    let name = table.plain();
    let labels = [("table", name.as_str())];
    let figures = cx.status.figures();
    figures.add(names::RETENTION_DROPPED_CHUNKS_TOTAL, &labels, dropped.chunks as f64);
    figures.add(names::RETENTION_DROPPED_ROWS_TOTAL, &labels, dropped.rows as f64);
    let (chunks, rows) = (dropped.chunks, dropped.rows);
    tracing::info!(event = event_ids::CHUNKS_DROPPED, actor = %cx.identity.name, table = name, chunks, rows, "dropped what is past its retention");
}

/// What is worth saying of one table.
fn said(table: &str, dropped: Dropped, left: Standing) -> Option<String> {
    let mut parts = Vec::new();
    if dropped.chunks > 0 {
        parts.push(format!("dropped {} chunks, {} rows of {table}", dropped.chunks, dropped.rows));
    }
    if left.held > 0 {
        parts.push(format!("{} chunks of {table} are past their retention and held", left.held));
    }
    if left.unread > 0 {
        parts.push(format!(
            "{} chunks of {table} are past their retention and wait for a roll-up",
            left.unread
        ));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What to do about a refusal, where its own words do not say.
fn remedy(error: &Error) -> &'static str {
    let message = &error.message;
    if message.contains("drop_past") && message.contains("42501") {
        "; `GRANT aqueduct_retention TO` the node's user, who may drop nothing without it"
    } else if message.contains("must be owner") {
        "; the hypertable must belong to the owner of schema aqueduct: `ALTER TABLE .. OWNER TO`"
    } else if message.contains("42883") {
        "; `aqueduct migrate up FILE`"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        let of = |message: &str| remedy(&Error::new(Class::Config, message.to_owned()));
        assert!(
            of("drop: permission denied for function drop_past (SQLSTATE 42501)")
                .contains("aqueduct_retention")
        );
        assert!(of("must be owner of hypertable \"trades\" (SQLSTATE 42501)").contains("OWNER TO"));
        assert_eq!(of("disk full"), "");
    }

    #[test]
    fn what_was_done_is_said_and_nothing_is_not() {
        let dropped = Dropped { chunks: 3, rows: 7, bytes: 9 };
        assert_eq!(said("m.t", Dropped::default(), Standing::default()), None);
        assert_eq!(said("m.t", dropped, Standing::default()).unwrap(), "dropped 3 chunks, 7 rows of m.t");
        let both = "dropped 3 chunks, 7 rows of m.t, 2 chunks of m.t are past their retention and held";
        assert_eq!(said("m.t", dropped, Standing { held: 2, ..Standing::default() }).unwrap(), both);
    }
}
