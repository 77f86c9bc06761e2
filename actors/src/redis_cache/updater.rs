//! The actor: takes batches in, keeps the newest values, writes them, settles what they came with.
//!
//! One flush is on its way at a time; what arrives meanwhile coalesces and leaves with the next. So a fast server gets
//! small flushes at once, a slow one large ones, and one that is away nothing but attempts.

use super::guard::Fate;
use super::meter::Meter;
use super::pending::{Entry, Offer, Pending, Writes};
use super::positions::{Positions, Untold};
use super::probe::Beat;
use super::rows::{Layout, Winners};
use super::settle::{Owed, Range, owe_range};
use super::store::{Open, Store};
use aqueduct_engine::backoff::Backoff;
use aqueduct_engine::clock::Instant;
use aqueduct_engine::limits::{CONTACT_EVERY, TRACE_OPEN_SPANS_MAX};
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::trace::Work;
use aqueduct_engine::{Actor, Class, Context, Error, Lease, Letter, OffsetStore};
use futures::future::LocalBoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Most keys that wait or are on their way. A required cache stops leasing there, a best-effort one skips new keys.
pub(crate) const PENDING_KEYS_MAX: usize = aqueduct_topology::bounds::CACHE_KEYS_MAX as usize;
/// How long a best-effort cache may hold up a drain.
pub(crate) const DRAIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Batches taken in before the next flush is considered.
const INTAKE_BATCHES_MAX: usize = 32;

/// What every instance of one cache works by.
pub(crate) struct Plan {
    pub(crate) layout: Layout,
    pub(crate) open: Open,
    /// What looks at the cache from where its readers stand; one per node.
    pub(super) probe: Option<Arc<Beat>>,
    pub(crate) best_effort: bool,
    pub(crate) offsets: Arc<dyn OffsetStore>,
    pub(crate) kept: Kept,
}

/// What a clone had taken off its link when it ended, if it is best-effort, and which of its offsets were untold. Like
/// the link, it outlives the instance.
#[derive(Default)]
pub(crate) struct Kept {
    by_clone: Mutex<HashMap<u32, Pending<Owed>>>,
    untold: Mutex<HashMap<u32, Untold>>,
}

impl Kept {
    fn take(&self, clone: u32) -> Pending<Owed> {
        let kept = self.by_clone.lock().unwrap_or_else(PoisonError::into_inner).remove(&clone);
        kept.unwrap_or_else(|| Pending::new(PENDING_KEYS_MAX))
    }

    fn take_untold(&self, clone: u32) -> Untold {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).remove(&clone).unwrap_or_default()
    }

    fn give_untold(&self, clone: u32, untold: Untold) {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).insert(clone, untold);
    }

    fn give(&self, clone: u32, mut pending: Pending<Owed>) {
        pending.turn_back();
        self.by_clone.lock().unwrap_or_else(PoisonError::into_inner).insert(clone, pending);
    }
}

/// See the module.
pub(crate) struct Updater {
    plan: Arc<Plan>,
}

impl Updater {
    /// By that plan.
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan }
    }
}

impl Actor for Updater {
    fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let probe = self.plan.probe.as_ref().filter(|_| cx.identity.clone == 0);
            let (status, clock) = (cx.status.clone(), cx.clock.clone());
            let looking = async {
                match probe {
                    Some(probe) => probe.look(&status, &clock).await,
                    None => std::future::pending().await,
                }
            };
            let mut run = Run::new(&self.plan, cx);
            tokio::select! {
                biased;
                ended = run.until_done(cx) => ended,
                () = looking => unreachable!("looking never ends"),
            }
        })
    }
}

/// What one flush came to.
struct Landed {
    writes: Writes,
    fates: Result<Vec<Fate>, Error>,
    took: Duration,
    /// The spans it was done for.
    works: Vec<Work>,
}

enum Event {
    Stop,
    Flushed(Landed),
    Retry,
    DrainTimedOut,
    Leased(Option<Lease>),
    /// Nothing came and nothing is on its way.
    Quiet,
    /// The watchdog asks for new connections.
    Discard,
}

/// One life of the actor.
struct Run<'p> {
    plan: &'p Arc<Plan>,
    clone: u32,
    pending: Pending<Owed>,
    store: Box<dyn Store>,
    meter: Meter,
    positions: Positions,
    flight: Option<LocalBoxFuture<'static, Landed>>,
    /// The spans of batches that were taken in since the last flight, as far as they are traced.
    works: Vec<Work>,
    backoff: Backoff,
    retry_at: Option<Instant>,
    discard: watch::Receiver<u64>,
    /// Set once the inputs have ended.
    drain_until: Option<Instant>,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.plan.kept.give_untold(self.clone, self.positions.take_untold());
        if self.plan.best_effort {
            let pending = std::mem::replace(&mut self.pending, Pending::new(0));
            self.plan.kept.give(self.clone, pending);
        }
    }
}

impl<'p> Run<'p> {
    fn new(plan: &'p Arc<Plan>, cx: &Context) -> Self {
        let clone = cx.identity.clone;
        Self {
            plan,
            clone,
            pending: plan.kept.take(clone),
            store: (plan.open)(plan.layout.fields()),
            meter: Meter::new(cx.status.figures()),
            positions: Positions::new(
                plan.offsets.clone(),
                cx.identity.id.clone(),
                &cx.clock,
                plan.kept.take_untold(clone),
            ),
            flight: None,
            works: Vec::new(),
            backoff: Backoff::outage(),
            retry_at: None,
            discard: cx.status.discard_requested(),
            drain_until: None,
        }
    }

    async fn until_done(&mut self, cx: &mut Context) -> Result<(), Error> {
        loop {
            cx.status.beat();
            let idle = self.pending.settle_idle();
            self.settle(idle, cx);
            self.take_off(cx);
            if self.drain_until.is_some() && self.pending.is_empty() {
                self.positions.tell_last(&cx.clock).await;
                return Ok(());
            }
            match self.next_event(cx).await {
                Event::Stop => return Ok(()),
                Event::Retry => self.retry_at = None,
                Event::Quiet => self.keep_contact(cx).await?,
                Event::Discard => {
                    self.flight = None;
                    self.pending.turn_back();
                    self.store = (self.plan.open)(self.plan.layout.fields());
                }
                Event::Flushed(landed) => self.land(landed, cx).await?,
                Event::Leased(Some(lease)) => self.take_in(lease, cx).await?,
                Event::Leased(None) if cx.status.stopping() => return Ok(()),
                Event::Leased(None) => self.drain_until = Some(cx.clock.now() + DRAIN_WAIT_MAX),
                Event::DrainTimedOut => {
                    let keys = self.pending.keys();
                    tracing::warn!(event = event_ids::CACHE_BEHIND, actor = %cx.identity.name, keys, "drained without Redis; the next start heals the cache");
                    self.positions.tell_last(&cx.clock).await;
                    return Ok(());
                }
            }
            self.meter.tell(self.pending.keys());
        }
    }

    /// Sends off what waits, unless something is on its way or an attempt has just failed.
    fn take_off(&mut self, cx: &Context) {
        if self.retry_at.is_some() {
            return;
        }
        let Some(writes) = self.pending.depart() else { return };
        let clock = cx.clock.clone();
        let works = std::mem::take(&mut self.works);
        let step = cx.steps().begin("pipeline", &works).number("keys", writes.len());
        let written = self.store.write(clock.clone(), writes.clone());
        self.flight = Some(Box::pin(async move {
            let begun = clock.now();
            let fates = written.await;
            step.end(fates.as_ref().err().map(|error| error.class));
            Landed { writes, fates, took: clock.now().duration_since(begun), works }
        }));
    }

    async fn next_event(&mut self, cx: &mut Context) -> Event {
        let (clock, status) = (cx.clock.clone(), cx.status.clone());
        let draining = self.drain_until.is_some();
        let may_lease = !draining && (self.plan.best_effort || !self.pending.is_full());
        let until =
            |at: Option<Instant>| at.map(|at| at.saturating_duration_since(clock.now())).unwrap_or_default();
        let quiet = self.flight.is_none() && self.retry_at.is_none() && !draining;
        let (retry_in, drain_in) = (until(self.retry_at), until(self.drain_until));
        tokio::select! {
            biased;
            () = status.stopped() => Event::Stop,
            landed = flown(&mut self.flight) => Event::Flushed(landed),
            Ok(()) = self.discard.changed() => Event::Discard,
            () = clock.sleep(retry_in), if self.retry_at.is_some() => Event::Retry,
            () = clock.sleep(drain_in), if draining && self.plan.best_effort => Event::DrainTimedOut,
            () = self.positions.keep_telling(&clock) => unreachable!("telling never ends"),
            lease = cx.lease(), if may_lease => Event::Leased(lease),
            () = clock.sleep(CONTACT_EVERY), if quiet => Event::Quiet,
        }
    }

    /// While nothing comes, asks the server whether it is there: an outage shows before it is in the way.
    async fn keep_contact(&mut self, cx: &Context) -> Result<(), Error> {
        cx.status.beat();
        let answer = tokio::select! {
            biased;
            () = cx.status.stopped() => return Ok(()),
            answer = self.store.ping(cx.clock.clone()) => answer,
        };
        match answer {
            Ok(()) => {
                self.backoff.reset();
                cx.status.contacted();
                cx.status.running();
                Ok(())
            }
            Err(error) => self.wait_or_fail(error, cx),
        }
    }

    /// Takes in `lease` and what waits behind it.
    async fn take_in(&mut self, lease: Lease, cx: &mut Context) -> Result<(), Error> {
        let mut next = Some(lease);
        for _ in 0..INTAKE_BATCHES_MAX {
            let Some(lease) = next else { break };
            self.coalesce(lease, cx).await?;
            next = if self.pending.is_full() { None } else { cx.try_lease() };
        }
        if let Some(lease) = next {
            self.coalesce(lease, cx).await?;
        }
        Ok(())
    }

    async fn coalesce(&mut self, lease: Lease, cx: &mut Context) -> Result<(), Error> {
        let winners = self.plan.layout.winners(&lease, cx.clock.wall_us().div_euclid(1000))?;
        self.meter.coalesced += winners.coalesced;
        self.meter.expired += winners.expired;
        self.reject_unplaced(&winners, &lease, cx).await;
        for (key, entry) in winners.entries {
            match self.pending.offer(&key, entry, !self.plan.best_effort) {
                Offer::New => {}
                Offer::Coalesced => self.meter.coalesced += 1,
                Offer::Full => self.meter.skipped += 1,
            }
        }
        if self.works.len() < TRACE_OPEN_SPANS_MAX {
            self.works.extend(cx.steps().work(&lease));
        }
        if planted(Bug::RunsAhead) {
            self.positions.reached(&lease.origin);
        }
        if self.plan.best_effort {
            let last = lease.raw.len().saturating_sub(1);
            let times_ms =
                if lease.raw.is_empty() { [None; 2] } else { [0, last].map(|at| lease.raw.time_ms(at)) };
            let range =
                Range { origin: lease.origin.clone(), offsets: lease.row_offsets().to_vec(), times_ms };
            owe_range(self.pending.owed_mut(), range);
            lease.settle();
        } else {
            self.pending.owe(Owed::Lease(lease));
        }
        Ok(())
    }

    async fn reject_unplaced(&mut self, winners: &Winners, lease: &Lease, cx: &mut Context) {
        if winners.unplaced.is_empty() {
            return;
        }
        if self.plan.best_effort {
            self.meter.skipped += winners.unplaced.len() as u64;
            let first = &winners.unplaced[0].detail;
            let origin = &lease.origin;
            tracing::warn!(
                event = event_ids::CACHE_BEHIND,
                actor = %cx.identity.name,
                topic = %origin.key.topic,
                partition = origin.key.partition,
                batch_first = origin.first,
                batch_next = origin.next,
                class = Class::Data.as_str(),
                rows = winners.unplaced.len(),
                %first,
                "rows without a place in the cache"
            );
            return;
        }
        let letter = |row: &super::rows::Unplaced| {
            let reason = (Class::Data, row.reason.into());
            Letter::for_record(&cx.identity.id, lease, row.at, reason, row.detail.clone())
        };
        let letters = winners.unplaced.iter().map(letter).collect();
        cx.reject(letters).await;
    }

    async fn land(&mut self, landed: Landed, cx: &mut Context) -> Result<(), Error> {
        self.flight = None;
        let fates = match landed.fates {
            Ok(fates) => fates,
            Err(error) => {
                self.pending.turn_back();
                // The next flight is for them as well.
                self.works.extend(landed.works);
                return self.wait_or_fail(error, cx);
            }
        };
        self.backoff.reset();
        cx.status.wrote();
        cx.status.running();
        self.meter.flushed(landed.took);
        let settled = self.pending.land();
        self.count(&landed.writes, &fates, cx);
        self.reject_refused(&landed.writes, &fates, &settled, cx).await;
        self.settle(settled, cx);
        Ok(())
    }

    fn wait_or_fail(&mut self, error: Error, cx: &Context) -> Result<(), Error> {
        match error.class {
            Class::Transient | Class::Capacity | Class::Config => {
                cx.status.waiting(&error);
                self.retry_at = Some(cx.clock.now() + self.backoff.next_wait());
                Ok(())
            }
            Class::Data | Class::Fenced | Class::Bug => Err(error),
        }
    }

    fn count(&mut self, writes: &[(Arc<str>, Entry)], fates: &[Fate], cx: &Context) {
        let with = |fate: &Fate| fates.iter().filter(|other| *other == fate).count() as u64;
        self.meter.writes += with(&Fate::Written);
        self.meter.stale += with(&Fate::Stale);
        if let Some(newest) = self.plan.layout.newest_time_us(writes) {
            let age_us = cx.clock.wall_us().saturating_sub(newest).max(0);
            self.meter.aged(age_us as f64 / 1e6);
        }
    }

    /// Keys that cannot take their value: the record goes to the dead letter, or (best effort) is counted.
    async fn reject_refused(
        &mut self,
        writes: &[(Arc<str>, Entry)],
        fates: &[Fate],
        settled: &[Owed],
        cx: &mut Context,
    ) {
        let mut letters = Vec::new();
        for ((key, entry), fate) in writes.iter().zip(fates) {
            let Fate::Refused(why) = fate else { continue };
            let origin = settled.iter().find_map(|owed| match owed {
                Owed::Lease(lease) if self.plan.layout.came_from(entry, &lease.origin) => Some(lease),
                _ => None,
            });
            match origin {
                Some(lease) => letters.push(Letter::for_record(
                    &cx.identity.id,
                    lease,
                    (entry.order.offset, entry.order.row),
                    (Class::Data, "redis_refused".into()),
                    format!("key `{key}`: {why}; delete the key, or choose another `key`"),
                )),
                None => {
                    self.meter.skipped += 1;
                    tracing::warn!(
                        event = event_ids::CACHE_KEY_REFUSED,
                        actor = %cx.identity.name,
                        partition = entry.order.partition,
                        offset = entry.order.offset,
                        class = Class::Data.as_str(),
                        %key,
                        %why,
                        "a key of the cache cannot take its value"
                    );
                }
            }
        }
        if !letters.is_empty() {
            cx.reject(letters).await;
        }
    }

    fn settle(&mut self, settled: Vec<Owed>, cx: &mut Context) {
        for owed in settled {
            match owed {
                Owed::Lease(lease) => {
                    self.positions.reached(&lease.origin);
                    cx.settle_written(lease);
                }
                Owed::Range(range) => {
                    let claim = cx.claims.get(&range.origin.key);
                    let claim = claim.filter(|claim| claim.epoch == range.origin.epoch);
                    let begins =
                        claim.map(|claim| claim.sinks.get(&cx.identity.id).copied().unwrap_or(claim.start));
                    self.positions.reached_without_gap(&range.origin, begins);
                    let sink = cx.sink.expect("invariant: only sinks settle in the ledger");
                    cx.ledger.settled(sink, &range.origin, &range.offsets);
                    cx.observe_age(range.times_ms.into_iter().flatten());
                    cx.status.progressed();
                }
            }
        }
    }
}

/// What is on its way, once it has arrived; never while nothing is.
async fn flown(flight: &mut Option<LocalBoxFuture<'static, Landed>>) -> Landed {
    match flight {
        Some(flight) => flight.await,
        None => std::future::pending().await,
    }
}
