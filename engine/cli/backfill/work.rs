//! Runs a backfill to its end, and watches: how far it is, how long it will take, how the live topology fares.

use super::Arguments;
use super::lag::LiveLag;
use crate::exit::Exit;
use crate::output::counted;
use crate::stores;
use anyhow::Result;
use aqueduct_actors::backfill::{self, Backfill, Entry, Records, Throttle, Wish};
use aqueduct_actors::timescale::{Connection, Timescale};
use aqueduct_engine::application::{Handle, RuntimeApplication, Settings};
use aqueduct_engine::clock::Instant;
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_stack::progress::{self, Progress};
use aqueduct_topology::model::Topology;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked how the live topology fares.
const LAG_EVERY: Duration = Duration::from_secs(1);
/// An actor that waits so long is spoken of.
const WAITING_SAID_AFTER: Duration = Duration::from_secs(5);
/// An actor that waits so long ends the backfill; it goes on from there when it is run again.
const WAITING_MAX: Duration = Duration::from_secs(60);

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

/// How often and how long it stood aside for the live topology.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paused {
    pub(super) times: u32,
    pub(super) lasted: Duration,
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
    let watch = Watch {
        handle: application.handle(),
        clock: clock.clone(),
        throttle,
        task: format!("backfill {} of {}", entry.id, wish.way.table()),
        total: u64::try_from(left).unwrap_or(0),
        began,
        bars: &*bars,
        gave_up: Cell::new(false),
    };
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
    let cut = early_end(&outcome, watch.gave_up.get(), left);
    let after =
        stores::answered(backfill::count(connection, &wish.table, &wish.time_column, wish.range).await)?;
    let letters = stores::answered(backfill::letters(connection, name, &lane).await)?;
    if cut.is_none() {
        stores::answered(backfill::finish(connection, name, &entry, after).await)?;
    }
    let entry = stores::answered(backfill::get(connection, name, entry.id).await)?;
    bars.finish(&watch.task, &counted(entry.added as usize, "row"));
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

/// Looks on while it runs.
struct Watch<'w> {
    handle: Handle,
    clock: Clock,
    throttle: Arc<Throttle>,
    task: String,
    total: u64,
    began: Instant,
    bars: &'w dyn Progress,
    gave_up: Cell<bool>,
}

impl Watch<'_> {
    /// Says how far it has come and who waits; ends the run when all is done, or somebody waits too long.
    async fn progress(&self) {
        self.handle.drain_when_idle(Duration::ZERO).await;
        let mut waiting_since = None;
        let mut said = String::new();
        loop {
            self.clock.sleep(LOOK_EVERY).await;
            let totals = self.handle.registry().ledger().totals();
            let done = totals.written + totals.dead_lettered + totals.filtered;
            self.bars.step(&self.task, done.min(self.total), self.total, &self.estimate(done));
            let waiting = self.handle.registry().not_ready();
            let Some(one) = waiting.iter().find(|one| one.state == "waiting") else {
                waiting_since = None;
                continue;
            };
            let waits =
                self.clock.now().duration_since(*waiting_since.get_or_insert_with(|| self.clock.now()));
            let words = format!("{} waits: {}", one.actor, one.reason);
            if waits >= WAITING_SAID_AFTER && words != said {
                self.bars.note(&words);
                said = words;
            }
            if waits >= WAITING_MAX {
                self.gave_up.set(true);
                self.handle.abort().await;
                return;
            }
        }
    }

    /// How fast it is, and how long it will take at that pace.
    fn estimate(&self, done: u64) -> String {
        let seconds = self.clock.now().duration_since(self.began).as_secs_f64();
        let rate = done as f64 / seconds.max(0.001);
        let paused = if self.throttle.is_paused() { ", paused for the live topology" } else { "" };
        if done == 0 {
            return format!("{done} of {} records{paused}", self.total);
        }
        let left = (self.total.saturating_sub(done) as f64 / rate).ceil() as u64;
        format!("{done} of {} records, {rate:.0} a second, about {left} s left{paused}", self.total)
    }

    /// Pauses while the live topology is further behind than `most`, or it is not known how far.
    async fn guard(
        &self,
        lag: Option<LiveLag>,
        connection: &Connection,
        (most, paused): (Duration, &Cell<Paused>),
    ) {
        let Some(lag) = lag else { return futures::future::pending().await };
        let mut since: Option<Instant> = None;
        loop {
            let seen = lag.look(connection).await;
            let (pauses, why) = match &seen {
                Ok(behind) if since.is_none() => {
                    (*behind > most, format!("is {:.1} s behind", behind.as_secs_f64()))
                }
                // It goes on only well below, or it would stop again at once.
                Ok(behind) => (*behind > most / 2, format!("is {:.1} s behind", behind.as_secs_f64())),
                Err(error) => (true, format!("cannot be seen ({error})")),
            };
            match (since, pauses) {
                (None, true) => {
                    since = Some(self.clock.now());
                    self.throttle.pause(true);
                    paused.set(Paused { times: paused.get().times + 1, ..paused.get() });
                    let most = most.as_secs_f64();
                    self.bars
                        .note(&format!("the live topology {why}, more than {most} s: the backfill pauses"));
                }
                (Some(_), false) => {
                    since = None;
                    self.throttle.pause(false);
                    self.bars.note(&format!("the live topology {why}: the backfill goes on"));
                }
                (None, false) => self.throttle.pause(false),
                (Some(_), true) => {}
            }
            let before = self.clock.now();
            self.clock.sleep(LAG_EVERY).await;
            if since.is_some() {
                let lasted = paused.get().lasted + self.clock.now().duration_since(before);
                paused.set(Paused { lasted, ..paused.get() });
            }
        }
    }
}
