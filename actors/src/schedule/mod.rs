//! Works on a beat, on one node of all: what is due is done by whoever holds the schedule's lock, and the others stand by.
//!
//! When the next run is due follows from the last one, which the database remembers, so that a restart or another owner
//! neither repeats nor leaves one out; of several that were missed, one is caught up. A run that could not do its work is
//! recorded as failed and shown, and the next one comes in its time: records flow meanwhile, so the node stays ready.
//! Only a database that does not answer is waited for like everybody does.
//!
//! Deliberately absent: a queue of runs, and two at once.

mod closed;
mod export;
mod retention;
mod rollup;

use crate::Services;
use crate::timescale::schedules::Named;
use crate::timescale::{Connection, Timescale, limits};
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::schedule::{RunView, ScheduleView};
use aqueduct_engine::telemetry::{event_ids, names};
use aqueduct_engine::{Actor, Class, Context, Error, Factory};
use aqueduct_topology::model::{self, Beat, Schedule, Work};
use export::Exporting;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use retention::Retention;
use rollup::RollUp;
use std::sync::Arc;
use std::time::Duration;

/// How often a node asks whether it is its turn, and an owner whether its session lives.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// One statement of ours at the server; a slice is counted before it is dropped.
const SESSION: &str = "SET statement_timeout = '600s'";

/// The factory of one `schedule`.
pub fn factory(actor: &model::Actor, options: &Schedule, services: &Services) -> Result<Factory, Error> {
    let Some(timescale) = services.timescale.clone() else {
        let message = format!("schedule `{}` has no timescale connection to work with", actor.name.value);
        return Err(Error::new(Class::Config, message));
    };
    let topology = &services.topology;
    let job = match (&options.rollup, &options.export) {
        (Some(rollup), _) if options.run.value == Work::Rollup => {
            Job::Rollup(RollUp::new(topology, actor, rollup)?)
        }
        (_, Some(export)) if options.run.value == Work::Export => {
            Job::Export(Exporting::new(topology, actor, export)?)
        }
        _ => Job::Retention(Retention::new(topology)?),
    };
    let plan = Arc::new(Plan {
        timescale,
        topology: services.topology.name.value.as_str().into(),
        id: actor.id.value.as_str().into(),
        node: services.node.clone(),
        beat: options.every.value.clone(),
        run: options.run.value,
        job,
    });
    Ok(Arc::new(move || Box::new(Scheduled { plan: plan.clone() })))
}

/// One that never comes: where there is nothing to work with.
pub fn idle() -> Factory {
    struct Idle;
    impl Actor for Idle {
        fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
            async move {
                cx.status.running();
                cx.status.stopped().await;
                Ok(())
            }
            .boxed_local()
        }
    }
    Arc::new(|| Box::new(Idle))
}

struct Plan {
    timescale: Timescale,
    topology: Arc<str>,
    id: Arc<str>,
    node: Arc<str>,
    beat: Beat,
    run: Work,
    job: Job,
}

/// What is run.
enum Job {
    Retention(Retention),
    Rollup(RollUp),
    Export(Exporting),
}

/// What came of it: the message of a run that did its work, or of one that did not.
type Outcome = Result<String, String>;

impl Job {
    /// One run for `by`, a topology and a node. `None`: it was told to stop; an error: the session is lost.
    async fn run(
        &self,
        cx: &Context,
        session: &Connection,
        by: (&str, &str),
    ) -> Result<Option<Outcome>, Error> {
        let ended = match self {
            Job::Retention(retention) => retention.run(cx, session, by).await,
            Job::Rollup(rollup) => rollup.run(cx, session, by.1).await.map(|done| done.map(Ok)),
            Job::Export(export) => export.run(cx, session).await.map(|done| done.map(Ok)),
        };
        // What was refused is the run's verdict; only with its session the schedule has nothing to work with.
        match ended {
            Err(error) if !(session.is_broken() || session.client().is_closed()) => {
                Ok(Some(Err(error.message.to_string())))
            }
            ended => ended,
        }
    }
}

/// RFC 3339, for messages and commands.
fn moment(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map_or_else(|_| format!("{us} us"), |time| time.to_string())
}

struct Scheduled {
    plan: Arc<Plan>,
}

impl Actor for Scheduled {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        async move {
            let ended = self.work(cx).await;
            cx.unless_stopping(ended)
        }
        .boxed_local()
    }
}

impl Scheduled {
    async fn work(&self, cx: &mut Context) -> Result<(), Error> {
        // A schedule that never ran counts from here.
        let born_us = cx.clock.wall_us();
        let mut backoff = Backoff::outage();
        loop {
            let session = cx.until_ok(limits::CONNECT_WAIT_MAX * 4, async || self.session().await).await?;
            let Err(error) = self.serve(cx, &session, born_us).await else { return Ok(()) };
            // With the session the lock is gone, too.
            cx.status.schedule().disown();
            cx.status.figures().set(names::SCHEDULE_OWNER, &[], 0.0);
            match error.class {
                Class::Bug => return Err(error),
                _ => cx.status.waiting(&error),
            }
            if cx.status.sleep_or_stop(&cx.clock, backoff.next_wait()).await {
                return Ok(());
            }
        }
    }

    async fn session(&self) -> Result<Connection, Error> {
        let session = self.plan.timescale.connect().await?;
        let patience = session.client().batch_execute(SESSION);
        session.within("set up a session", limits::STATEMENT_WAIT_MAX, patience).await?;
        // Whether there is what a run needs shows before the first is due.
        self.named().last(&session).await?;
        Ok(session)
    }

    fn named(&self) -> Named<'_> {
        Named { topology: &self.plan.topology, schedule: &self.plan.id }
    }

    /// Looks again and again until the stop is asked; an error is the session's end.
    async fn serve(&self, cx: &Context, session: &Connection, born_us: i64) -> Result<(), Error> {
        let mut owner = false;
        loop {
            if !owner {
                owner = self.named().try_own(session).await?;
                if owner {
                    tracing::info!(event = event_ids::SCHEDULE_OWNED, actor = %cx.identity.name, "at work for this schedule");
                }
            }
            let last = self.named().last(session).await?;
            cx.status.contacted();
            cx.status.running();
            let now_us = cx.clock.wall_us();
            let due_us = due(&self.plan.beat, last.as_ref(), born_us, now_us);
            self.show(cx, owner, last, due_us, now_us);
            if owner && now_us >= due_us {
                self.run_once(cx, session).await?;
                if cx.status.stopping() {
                    return Ok(());
                }
                continue;
            }
            let left = Duration::from_micros(due_us.saturating_sub(now_us).max(1000) as u64);
            if cx.status.sleep_or_stop(&cx.clock, if owner { left.min(LOOK_EVERY) } else { LOOK_EVERY }).await
            {
                return Ok(());
            }
        }
    }

    /// One run, from its beginning to its record. What a stop cuts short is not recorded: it is due again at once.
    async fn run_once(&self, cx: &Context, session: &Connection) -> Result<(), Error> {
        let (begin, started_us) = (cx.clock.now(), cx.clock.wall_us());
        let Some(outcome) = self.plan.job.run(cx, session, (&self.plan.topology, &self.plan.node)).await?
        else {
            return Ok(());
        };
        let run = RunView {
            node: self.plan.node.to_string(),
            started_us,
            ended_us: started_us.saturating_add(begin.elapsed().as_micros() as i64),
            passed: outcome.is_ok(),
            message: outcome.unwrap_or_else(|why| why),
        };
        self.named().record(session, self.plan.run.word(), &run).await?;
        let word = if run.passed { "passed" } else { "failed" };
        cx.status.figures().add(names::SCHEDULE_RUNS_TOTAL, &[("outcome", word)], 1.0);
        cx.status.wrote();
        let (actor, message) = (&cx.identity.name, &run.message);
        match run.passed {
            true => tracing::info!(event = event_ids::SCHEDULE_RAN, %actor, outcome = word, "{message}"),
            false => tracing::warn!(event = event_ids::SCHEDULE_RAN, %actor, outcome = word, "{message}"),
        }
        Ok(())
    }

    fn show(&self, cx: &Context, owner: bool, last: Option<RunView>, due_us: i64, now_us: i64) {
        let figures = cx.status.figures();
        figures.set(names::SCHEDULE_OWNER, &[], f64::from(owner));
        let late_us = now_us.saturating_sub(due_us).max(0);
        figures.set(names::SCHEDULE_LATE_SECONDS, &[], late_us as f64 / 1e6);
        if let Some(last) = &last {
            figures.set(names::SCHEDULE_FAILED, &[], f64::from(!last.passed));
            let took_us = last.ended_us.saturating_sub(last.started_us);
            figures.set(names::SCHEDULE_RUN_SECONDS, &[], took_us as f64 / 1e6);
        }
        let (run, every) = (self.plan.run.word(), self.plan.beat.to_string());
        cx.status.schedule().show(ScheduleView { run, every, owner, last, due_us });
    }
}

/// When the next run is due. Without one before, a beat begins at once and a line of cron at its next minute. A run from
/// the future, by a clock that was wrong, holds nobody up for longer than from now.
fn due(beat: &Beat, last: Option<&RunView>, born_us: i64, now_us: i64) -> i64 {
    match (last, beat) {
        (Some(last), _) => beat.next_after(last.started_us.min(now_us)),
        (None, Beat::Every(_)) => born_us,
        (None, Beat::Cron(_)) => beat.next_after(born_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::model::Cron;

    const HOUR_US: i64 = 3_600_000_000;

    fn ran(started_us: i64) -> RunView {
        RunView { node: "n".into(), started_us, ended_us: started_us, passed: true, message: String::new() }
    }

    #[test]
    fn a_run_is_due_by_the_one_before_whoever_did_it() {
        let hourly = Beat::Every(Duration::from_secs(3600));
        assert_eq!(due(&hourly, None, 5, 9), 5, "a new one at once");
        assert_eq!(due(&hourly, Some(&ran(5)), 9, 10), 5 + HOUR_US);
        // Missed three times: due since the first, and caught up once.
        assert!(due(&hourly, Some(&ran(5)), 9, 4 * HOUR_US) < 4 * HOUR_US);
        assert_eq!(due(&hourly, Some(&ran(9 * HOUR_US)), 0, HOUR_US), 2 * HOUR_US, "a clock that was wrong");
        let line = Beat::Cron(Cron::parse("0 * * * *").unwrap());
        assert_eq!(due(&line, None, 5, 9), HOUR_US, "a new line at its minute");
        assert_eq!(due(&line, Some(&ran(HOUR_US + 3)), 0, HOUR_US + 4), 2 * HOUR_US);
    }
}
