//! Runs a backfill to its end, and watches: how far it is, how long it will take, how the live topology fares.

use super::Arguments;
use super::lag::LiveLag;
use super::watch::{Paused, WAITING_MAX, Watch};
use crate::exit::Exit;
use crate::output::counted;
use crate::stores;
use anyhow::Result;
use aqueduct_actors::backfill::{self, Backfill, Entry, Records, Throttle, Wish};
use aqueduct_actors::timescale::{Connection, Timescale};
use aqueduct_engine::application::{RuntimeApplication, Settings};
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_stack::progress;
use aqueduct_topology::model::Topology;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// What came of a run.
pub(super) struct Done {
    pub(super) entry: Entry,
    pub(super) table: String,
    /// Fates of the records of this run.
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) filtered: u64,
    pub(super) dead_lettered: u64,
    /// Offsets that are left to pass.
    pub(super) left: i64,
    /// Rows of the range afterwards.
    pub(super) after: i64,
    /// By actor and reason.
    pub(super) letters: Vec<(String, String, i64)>,
    pub(super) paused: Paused,
    pub(super) took: Duration,
    /// Why it ended before its end.
    pub(super) cut: Option<(Exit, String)>,
}

pub(super) async fn run(
    arguments: &Arguments,
    (wish, entry, records): (&Wish<'_>, Entry, Records),
    (topology, timescale): (&Topology, Timescale),
    connection: &Connection,
) -> Result<Done> {
    let (name, clock) = (topology.name.value.as_str(), Clock::system());
    let began = clock.now();
    let read: Vec<&str> = entry.parts.iter().map(|part| part.source.as_str()).collect();
    let lane = match wish.way.lane(entry.id, &read, matches!(records, Records::File(_))) {
        Ok(lane) => lane,
        Err(why) => return stores::wrong(why),
    };
    let throttle = Arc::new(Throttle::new(arguments.pace.rate));
    let lag = stores::answered(LiveLag::new(topology, wish.way.table()))?;
    // Until the first look nobody knows whether it may begin.
    throttle.pause(lag.is_some());
    let left = stores::answered(backfill::left(connection, name, &entry).await)?.unwrap_or(0);
    let claims = Claims::default();
    let made = Backfill::new(
        topology,
        (lane.clone(), entry.clone()),
        (records, wish.time_column.clone()),
        throttle.clone(),
        (timescale, wish.node.into(), claims.clone()),
    )?;
    let factories = made.clone();
    let application = RuntimeApplication::builder(made.topology())
        .settings(Settings { node: wish.node.into(), signals: true, ..Settings::default() })
        .catalog(Box::new(move |actor| factories.factory(actor)))
        .offsets(made.offsets())
        .placement(Placement::CurrentThread)
        .clock(clock.clone())
        .claims(claims)
        .build()?;
    let bars = progress::on_stderr();
    let task = format!("backfill {} of {}", entry.id, wish.way.table());
    let watch = Watch::new(application.handle(), clock.clone(), throttle, task, left, &*bars);
    let paused = Cell::new(Paused::default());
    let outcome = {
        let progress = watch.progress();
        let guard = watch.guard(lag, connection, (arguments.pace.max_live_lag, &paused));
        let running = application.run();
        futures::pin_mut!(progress, guard, running);
        let watching = futures::future::join(progress, guard);
        // The watch never ends before the run.
        match futures::future::select(running, watching).await {
            futures::future::Either::Left((outcome, _)) => outcome,
            futures::future::Either::Right((_, running)) => running.await,
        }
    };
    let left = stores::answered(backfill::left(connection, name, &entry).await)?;
    let sum =
        |pick: fn(&aqueduct_engine::ledger::LedgerRow) -> u64| outcome.ledger.iter().map(pick).sum::<u64>();
    let cut = early_end(&outcome, watch.gave_up(), left);
    let after =
        stores::answered(backfill::count(connection, &wish.table, &wish.time_column, wish.range).await)?;
    let letters = stores::answered(backfill::letters(connection, name, &lane).await)?;
    if cut.is_none() {
        stores::answered(backfill::finish(connection, name, &entry, after).await)?;
    }
    let entry = stores::answered(backfill::get(connection, name, entry.id).await)?;
    bars.finish(watch.task(), &counted(entry.added as usize, "row"));
    Ok(Done {
        entry,
        table: wish.way.table().to_owned(),
        read: sum(|row| row.read),
        written: sum(|row| row.written),
        filtered: sum(|row| row.filtered),
        dead_lettered: sum(|row| row.dead_lettered),
        left: left.unwrap_or(0),
        after,
        letters,
        paused: paused.get(),
        took: clock.now().duration_since(began),
        cut,
    })
}

fn early_end(outcome: &Outcome, gave_up: bool, left: Option<i64>) -> Option<(Exit, String)> {
    if gave_up {
        return Some((Exit::Unavailable, format!("something was away for {} s", WAITING_MAX.as_secs())));
    }
    if outcome.exit_code != 0 {
        return Some((Exit::Runtime(outcome.exit_code), outcome.reasons.join("; ")));
    }
    match left {
        Some(0) => None,
        Some(_) => Some((Exit::Failed, "it was told to stop".to_owned())),
        None => Some((Exit::Failed, "its offsets were taken away".to_owned())),
    }
}
