//! Looks on while a backfill runs, or is judged: how far it is, who waits, how the live topology fares.

use super::lag::LiveLag;
use aqueduct_actors::backfill::Throttle;
use aqueduct_actors::timescale::Connection;
use aqueduct_engine::Clock;
use aqueduct_engine::application::Handle;
use aqueduct_engine::clock::Instant;
use aqueduct_stack::progress::Progress;
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
pub(super) const WAITING_MAX: Duration = Duration::from_secs(60);

/// How often and how long it stood aside for the live topology.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Paused {
    pub(super) times: u32,
    pub(super) lasted: Duration,
}

/// See the module.
pub(super) struct Watch<'w> {
    handle: Handle,
    clock: Clock,
    throttle: Arc<Throttle>,
    task: String,
    total: u64,
    began: Instant,
    bars: &'w dyn Progress,
    gave_up: Cell<bool>,
}

impl<'w> Watch<'w> {
    /// Of a run that `handle` speaks to, of `total` records, from now on.
    pub(super) fn new(
        handle: Handle,
        clock: Clock,
        throttle: Arc<Throttle>,
        task: String,
        total: i64,
        bars: &'w dyn Progress,
    ) -> Self {
        let (began, total) = (clock.now(), u64::try_from(total).unwrap_or(0));
        Self { handle, clock, throttle, task, total, began, bars, gave_up: Cell::new(false) }
    }

    /// What runs, for people.
    pub(super) fn task(&self) -> &str {
        &self.task
    }

    /// Whether somebody waited too long.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.get()
    }

    /// Says how far it has come and who waits; ends the run when all is done, or somebody waits too long.
    pub(super) async fn progress(&self) {
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
    pub(super) async fn guard(
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
