//! One edge out of an actor: a link per clone of the reader, and what happens when it is full.
//!
//! A required edge waits. A best-effort edge waits [`BEST_EFFORT_WAIT_MAX`] in all per overflow, then passes batches
//! over until its link is below half again: an outage of that branch never slows the others for long.

use crate::batch::{Batch, PartitionKey};
use crate::class::{Class, Error};
use crate::clock::{Clock, Instant};
use crate::ledger::{Ledger, SinkIndex};
use crate::limits::BEST_EFFORT_WAIT_MAX;
use crate::link::{Sender, TryPushError};
use crate::status::Status;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Below this share of its bounds an overflowing best-effort link takes batches again.
const RESUME_RATIO: f64 = 0.5;

/// What people see of an edge. It may outlive the edge: give it to the next with [`Edge::metered`].
#[derive(Debug, Default)]
pub struct EdgeMeter {
    blocked: Mutex<Blocked>,
    passed_over: AtomicU64,
}

#[derive(Debug, Default)]
struct Blocked {
    before: Duration,
    /// Clones that are full now, and since when any is.
    full: usize,
    since: Option<Instant>,
}

impl EdgeMeter {
    /// How long its sender has waited for room, until `now`.
    pub fn blocked(&self, now: Instant) -> Duration {
        let blocked = self.lock();
        blocked.before + blocked.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether its sender waits for room now.
    pub fn is_blocked(&self) -> bool {
        self.lock().full > 0
    }

    /// Records a best-effort edge has passed over.
    pub fn passed_over_records(&self) -> u64 {
        self.passed_over.load(Relaxed)
    }

    fn begin(&self, now: Instant) {
        let mut blocked = self.lock();
        blocked.full += 1;
        blocked.since.get_or_insert(now);
    }

    fn end(&self, now: Instant) {
        let mut blocked = self.lock();
        blocked.full -= 1;
        if blocked.full == 0 {
            let since = blocked.since.take().expect("invariant: blocked since some time");
            blocked.before += now.saturating_duration_since(since);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Blocked> {
        self.blocked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One edge out of an actor: a link per clone of the reader.
#[derive(Debug)]
pub struct Edge {
    routes: Vec<Route>,
    best_effort: bool,
    meter: Arc<EdgeMeter>,
    /// How far each partition was passed over (epoch, next): a batch offered again is counted once.
    passed: BTreeMap<PartitionKey, (i64, i64)>,
    /// Whom to tell of what is passed over: the best-effort sinks behind this edge will never settle it.
    tell: Option<(Ledger, Vec<SinkIndex>)>,
    clock: Clock,
}

/// The way to one clone.
#[derive(Debug)]
struct Route {
    sender: Sender,
    /// Since when a batch waits here.
    full_since: Option<Instant>,
    /// Waited in this overflow already.
    waited: Duration,
    /// This overflow has had its wait.
    passing_over: bool,
}

impl Edge {
    /// An edge to `clones` of one reader; a partition always goes to the same clone.
    ///
    /// # Panics
    /// If there is no clone.
    pub fn new(clones: Vec<Sender>, best_effort: bool) -> Self {
        assert!(!clones.is_empty(), "an edge leads to at least one clone of its reader");
        let route = |sender| Route { sender, full_since: None, waited: Duration::ZERO, passing_over: false };
        Self {
            routes: clones.into_iter().map(route).collect(),
            best_effort,
            meter: Arc::default(),
            passed: BTreeMap::new(),
            tell: None,
            clock: Clock::system(),
        }
    }

    /// Continues the figures of an earlier edge.
    pub fn metered(mut self, meter: Arc<EdgeMeter>) -> Self {
        self.meter = meter;
        self
    }

    /// Tells `ledger` what it passes over: `sinks` are the best-effort sinks behind it.
    pub fn telling(mut self, ledger: Ledger, sinks: Vec<SinkIndex>) -> Self {
        self.tell = Some((ledger, sinks));
        self
    }

    /// Its figures.
    pub fn meter(&self) -> &Arc<EdgeMeter> {
        &self.meter
    }

    /// Sends `batch` if there is room; an overflowing best-effort edge may pass it over. Gives it back if it must wait.
    pub(super) fn offer(&mut self, batch: Batch) -> Result<Option<Batch>, Error> {
        let index = self.index(&batch);
        let route = &mut self.routes[index];
        if self.best_effort && route.sender.link().fill().ratio < RESUME_RATIO {
            (route.waited, route.passing_over) = (Duration::ZERO, false);
        }
        if route.passing_over {
            self.pass_over(&batch);
            return Ok(None);
        }
        match route.sender.try_push(batch) {
            Ok(()) => {
                self.unblock(index);
                Ok(None)
            }
            Err(TryPushError::Closed(_)) => Err(closed()),
            Err(TryPushError::Full(batch)) => {
                let left = self.wait_left(index);
                if self.best_effort && left.is_zero() {
                    self.unblock(index);
                    self.routes[index].passing_over = true;
                    self.pass_over(&batch);
                    return Ok(None);
                }
                Ok(Some(batch))
            }
        }
    }

    /// Waits until `batch` would be taken, or a stop is asked. A best-effort edge keeps nobody waiting here.
    pub(super) async fn room(&mut self, batch: &Batch, status: &Status) -> Result<(), Error> {
        if self.best_effort {
            return Ok(());
        }
        let index = self.index(batch);
        let mut blocked = None;
        let mut stopped = pin!(status.stopped());
        let room = poll_fn(|cx| match self.routes[index].sender.poll_room(cx, batch) {
            Poll::Ready(room) => Poll::Ready(room.map_err(|_| closed())),
            Poll::Pending if stopped.as_mut().poll(cx).is_ready() => Poll::Ready(Err(asked_to_stop())),
            Poll::Pending => {
                if blocked.is_none() {
                    self.wait_left(index);
                    blocked = Some(status.blocked());
                }
                Poll::Pending
            }
        })
        .await;
        self.unblock(index);
        room
    }

    /// Waits until `batch` is sent, or passed over, or a stop is asked. A best-effort edge, which waits only briefly, lets
    /// no stop cut it short: what the other edges have taken is then taken by all.
    pub(super) async fn send(&mut self, batch: Batch, clock: &Clock, status: &Status) -> Result<(), Error> {
        let index = self.index(&batch);
        let _blocked = status.blocked();
        let mut waiting = batch;
        loop {
            waiting = match self.offer(waiting)? {
                None => return Ok(()),
                Some(batch) => batch,
            };
            let best_effort = self.best_effort;
            let limit = if best_effort { Some(self.wait_left(index)) } else { None };
            let sender = &mut self.routes[index].sender;
            let mut slot = Some(waiting);
            let mut stopped = pin!(status.stopped());
            let mut expired = pin!(async {
                match limit {
                    Some(limit) => clock.sleep(limit).await,
                    None => std::future::pending().await,
                }
            });
            poll_fn(|cx| match sender.poll_push(cx, &mut slot) {
                Poll::Ready(sent) => Poll::Ready(sent.map_err(|_| closed())),
                Poll::Pending if !best_effort && stopped.as_mut().poll(cx).is_ready() => {
                    Poll::Ready(Err(asked_to_stop()))
                }
                Poll::Pending => expired.as_mut().poll(cx).map(Ok),
            })
            .await?;
            match slot {
                None => {
                    self.unblock(index);
                    return Ok(());
                }
                Some(batch) => waiting = batch,
            }
        }
    }

    pub(super) fn close(&mut self) {
        self.routes.iter().for_each(|route| route.sender.close());
    }

    fn index(&self, batch: &Batch) -> usize {
        (batch.origin.key.partition as usize) % self.routes.len()
    }

    /// What is left of the wait this overflow may cost; begins to measure it.
    fn wait_left(&mut self, index: usize) -> Duration {
        let now = self.clock.now();
        let route = &mut self.routes[index];
        if route.full_since.is_none() {
            self.meter.begin(now);
        }
        let since = *route.full_since.get_or_insert(now);
        BEST_EFFORT_WAIT_MAX.saturating_sub(route.waited + now.saturating_duration_since(since))
    }

    /// The batch that waited there waits no more.
    fn unblock(&mut self, index: usize) {
        let route = &mut self.routes[index];
        if let Some(since) = route.full_since.take() {
            let now = self.clock.now();
            route.waited += now.saturating_duration_since(since);
            self.meter.end(now);
        }
    }

    fn pass_over(&mut self, batch: &Batch) {
        let reached = (batch.origin.epoch, batch.origin.next);
        match self.passed.get_mut(&batch.origin.key) {
            Some(passed) if *passed >= reached => return,
            Some(passed) => *passed = reached,
            None => {
                self.passed.insert(batch.origin.key.clone(), reached);
            }
        }
        let records = batch.raw.len() as u64;
        self.meter.passed_over.fetch_add(records, Relaxed);
        if let Some((ledger, sinks)) = &self.tell {
            sinks.iter().for_each(|sink| ledger.passed_over(*sink, &batch.origin, records));
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        (0..self.routes.len()).for_each(|index| self.unblock(index));
    }
}

fn closed() -> Error {
    Error::new(Class::Fenced, "an output is closed, or its sender was replaced by a newer one")
}

fn asked_to_stop() -> Error {
    Error::new(Class::Transient, "asked to stop while an output was full")
}
