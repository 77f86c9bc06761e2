//! `run: rollup`: makes the buckets that are closed, and those that late rows may have changed.
//!
//! A bucket is closed when every record made before its end is durable, so that what comes later trails its record. Each run
//! begins so far back as an event may trail, which finds those too, and goes on in steps, each a transaction of its own with
//! the word of how far it is. A source that lost chunks to its retention is never read below them: a bucket would be made of
//! what is left.

use super::closed::closed;
use crate::timescale::rollups::{Rollup, Standing};
use crate::timescale::{Connection, Identifier, TableName};
use aqueduct_engine::telemetry::names;
use aqueduct_engine::{Class, Context, Error};
use aqueduct_topology::model::{self, Kind, Topology};
use std::sync::Arc;

/// What one step reads, unless a bucket is longer.
const STEP_US: i64 = 3_600_000_000;
/// Before any event: year 1.
const EARLIEST_US: i64 = -62_135_596_800_000_000;

/// The roll-up of one schedule.
pub(super) struct RollUp {
    topology: Arc<Topology>,
    rollup: Rollup,
}

/// Every roll-up of the topology, as the database is told of it.
pub(super) fn declared(topology: &Topology) -> Result<Vec<Rollup>, Error> {
    topology.rollups().map(|(actor, job)| read(topology, actor, job)).collect()
}

fn read(topology: &Topology, actor: &model::Actor, job: &model::Rollup) -> Result<Rollup, Error> {
    let unfit = |what: &str| Error::new(Class::Config, format!("schedule `{}`: {what}", actor.name.value));
    let writer = topology.actor(&job.of.value).ok_or_else(|| unfit("its writer is not there"))?;
    let Kind::TimescaleWriter(table) = &writer.kind else { return Err(unfit("`of` names no writer")) };
    let time = topology.input_event_time(writer).ok_or_else(|| unfit("its rows have no event time"))?;
    let column = |column: &model::RollupColumn| {
        let field = column.field.as_ref().map(|field| Identifier::new(&field.value)).transpose()?;
        Ok((Identifier::new(&column.name.value)?, column.aggregate, field))
    };
    Ok(Rollup {
        topology: topology.name.value.clone(),
        schedule: actor.id.value.clone(),
        source: TableName::parse(&table.table.value)?,
        target: TableName::parse(&job.into.value)?,
        time: Identifier::new(time)?,
        keys: job.by.iter().map(|field| Identifier::new(&field.value)).collect::<Result<_, _>>()?,
        columns: job.columns.iter().map(column).collect::<Result<_, Error>>()?,
        bucket_us: i64::try_from(job.bucket.value.as_micros()).unwrap_or(i64::MAX),
        lateness: job.lateness,
    })
}

impl RollUp {
    pub(super) fn new(
        topology: &Arc<Topology>,
        actor: &model::Actor,
        job: &model::Rollup,
    ) -> Result<Self, Error> {
        Ok(Self { topology: topology.clone(), rollup: read(topology, actor, job)? })
    }

    /// One run by `node`. `None`: it was told to stop.
    pub(super) async fn run(
        &self,
        cx: &Context,
        session: &Connection,
        node: &str,
    ) -> Result<Option<String>, Error> {
        let rollup = &self.rollup;
        rollup.register(session, node).await?;
        let now_us = cx.clock.wall_us();
        // Those that trail are found by going back, so nothing is held back for them.
        let mark = closed(&self.topology, session, &rollup.source.plain(), (now_us, 0)).await?;
        let standing = rollup.standing(session).await?;
        let lateness_us = i64::try_from(rollup.lateness.as_micros()).unwrap_or(i64::MAX);
        let mut way = Way::new(standing, mark.time_us, lateness_us, rollup.bucket_us);
        let mut made = 0;
        while let Some(from_us) = way.next() {
            if cx.status.stopping() {
                return Ok(None);
            }
            let oldest = rollup.oldest_from(session, from_us).await?;
            let Some(step) = way.step(oldest) else { break };
            made += rollup.step(session, node, way.done_to_us, step).await?;
            way.made(step);
            cx.status.contacted();
        }
        let figures = cx.status.figures();
        figures.add(names::ROLLUP_ROWS_TOTAL, &[], made as f64);
        let (source, target) = (rollup.source.plain(), rollup.target.plain());
        let Some(done_us) = way.done_to_us else {
            return Ok(Some(format!("nothing to roll up: {source} has no rows that are closed")));
        };
        figures.set(names::ROLLUP_AGE_SECONDS, &[], now_us.saturating_sub(done_us).max(0) as f64 / 1e6);
        let behind = match mark.holders() {
            none if none.is_empty() => String::new(),
            holders => format!("; not durable yet: {holders}"),
        };
        let done = super::moment(done_us);
        Ok(Some(format!("rolled up {source} into {target} up to {done}: {made} rows new or changed{behind}")))
    }
}

/// Which buckets are to be made, from which event time on. Pure.
#[derive(Debug)]
struct Way {
    done_to_us: Option<i64>,
    at_us: i64,
    closed_us: i64,
    bucket_us: i64,
}

impl Way {
    fn new(standing: Standing, closed_us: i64, lateness_us: i64, bucket_us: i64) -> Self {
        let floor = |us: i64| us.div_euclid(bucket_us) * bucket_us;
        let whole = |us: i64| floor(us.saturating_add(bucket_us - 1));
        let back = standing.done_to_us.map_or(EARLIEST_US, |done| floor(done.saturating_sub(lateness_us)));
        let kept = standing.dropped_to_us.map_or(EARLIEST_US, whole);
        let at_us = back.max(kept).max(EARLIEST_US);
        Self { done_to_us: standing.done_to_us, at_us, closed_us: floor(closed_us), bucket_us }
    }

    /// From where on the next rows are looked for; `None` = all is made.
    fn next(&self) -> Option<i64> {
        (self.at_us < self.closed_us).then_some(self.at_us)
    }

    /// The range of the next step, if the oldest row from there on is this one. Where there are no rows the last step goes to
    /// the end without any, except for a roll-up that has not begun.
    fn step(&self, oldest_us: Option<i64>) -> Option<(i64, i64)> {
        let first = oldest_us.map(|us| (us.div_euclid(self.bucket_us) * self.bucket_us).max(self.at_us));
        match first.filter(|first| *first < self.closed_us) {
            Some(first) => {
                let buckets = (STEP_US / self.bucket_us).max(1);
                let to = first.saturating_add(buckets.saturating_mul(self.bucket_us));
                Some((first, to.min(self.closed_us)))
            }
            None => {
                let is_behind = self.done_to_us.is_some_and(|done| done < self.closed_us);
                is_behind.then_some((self.closed_us, self.closed_us))
            }
        }
    }

    fn made(&mut self, (_, to_us): (i64, i64)) {
        self.at_us = to_us;
        self.done_to_us = Some(self.done_to_us.map_or(to_us, |done| done.max(to_us)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = STEP_US;

    fn steps(standing: Standing, closed_us: i64, lateness_us: i64, rows: &[i64]) -> Vec<(i64, i64)> {
        let mut way = Way::new(standing, closed_us, lateness_us, HOUR / 4);
        let mut steps = Vec::new();
        while let Some(from) = way.next() {
            let Some(step) = way.step(rows.iter().copied().filter(|row| *row >= from).min()) else { break };
            steps.push(step);
            way.made(step);
        }
        steps
    }

    #[test]
    fn closed_buckets_are_made_from_the_first_row_on_and_gaps_are_left_out() {
        let none = Standing::default();
        let quarter = HOUR / 4;
        let closed = 30 * HOUR + quarter + 7;
        assert_eq!(
            steps(none, closed, 0, &[5, 29 * HOUR + quarter]),
            [(0, HOUR), (29 * HOUR + quarter, 30 * HOUR + quarter)]
        );
        assert!(steps(none, closed, 0, &[]).is_empty(), "what has not begun waits for its first row");
        assert!(steps(none, quarter - 1, 0, &[5]).is_empty(), "no bucket is closed");
        let done = Standing { done_to_us: Some(HOUR), dropped_to_us: None };
        assert_eq!(
            steps(done, closed, 0, &[]),
            [(30 * HOUR + quarter, 30 * HOUR + quarter)],
            "it is told that far"
        );
    }

    #[test]
    fn late_rows_are_found_by_going_back_but_never_below_what_was_dropped() {
        let quarter = HOUR / 4;
        let done = Standing { done_to_us: Some(2 * HOUR), dropped_to_us: None };
        assert_eq!(steps(done, 2 * HOUR, HOUR - 1, &[HOUR + 1]), [(HOUR, 2 * HOUR)]);
        assert!(steps(done, 2 * HOUR, 0, &[HOUR + 1]).is_empty());
        let dropped = Standing { done_to_us: Some(2 * HOUR), dropped_to_us: Some(HOUR + 1) };
        assert_eq!(steps(dropped, 2 * HOUR, HOUR, &[HOUR + quarter + 2]), [(HOUR + quarter, 2 * HOUR)]);
        assert!(steps(dropped, 2 * HOUR, HOUR, &[HOUR + 2]).is_empty(), "of that bucket a part is gone");
        let fresh = Standing { done_to_us: None, dropped_to_us: Some(HOUR) };
        assert_eq!(steps(fresh, 2 * HOUR, 0, &[HOUR + 2]), [(HOUR, 2 * HOUR)]);
    }
}
