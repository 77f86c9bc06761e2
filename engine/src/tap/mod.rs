//! Taps: a few of the records that an actor hands on, seen by somebody who looks.
//!
//! An actor has a [`TapPoint`], which outlives its starts and its reloads: it goes by the name in the file, and all
//! clones share it. Nobody attached, handing on a batch costs one relaxed load. Somebody attached, the actor copies a
//! few rows now and then, at most so many a second, into a small ring, and never waits: where the ring is full or taken,
//! the rows are missed and counted.
//!
//! Invariant: what a tap holds is bounded by [`TAP_KEPT_MAX`] and [`TAP_KEPT_BYTES_MAX`], whoever reads and however slowly.
//! Deliberately absent: promises. A batch that an actor hands on again after a crash is seen again, and what is not
//! sampled is not seen; the ledger counts, a tap shows.

mod cell;
mod pick;
mod redact;
mod sample;
mod sampler;
#[cfg(test)]
mod tests;

pub(crate) use pick::{Wanted, find};
pub use redact::Redaction;
pub(crate) use sample::Sample;

use crate::batch::Batch;
use crate::clock::Clock;
use crate::limits::{TAP_KEPT_BYTES_MAX, TAP_KEPT_MAX};
use sampler::Sampler;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The tap points of an application, by the name of their actor in the file. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Taps {
    points: Arc<Mutex<BTreeMap<Arc<str>, Arc<TapPoint>>>>,
    clock: Clock,
}

impl Taps {
    /// None yet.
    pub(crate) fn new(clock: Clock) -> Self {
        Self { points: Arc::default(), clock }
    }

    /// The point of that actor, for good: as many as the graph has ever had names.
    pub(crate) fn point(&self, actor: &str) -> Arc<TapPoint> {
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(point) = points.get(family(actor)) {
            return point.clone();
        }
        let name: Arc<str> = family(actor).into();
        let point = Arc::new(TapPoint::new(name.clone(), self.clock.clone()));
        points.insert(name, point.clone());
        point
    }

    /// A reader of what is `wanted`, attached to nobody yet.
    pub(crate) fn reader(&self, wanted: Wanted) -> Reader {
        let sampler = Sampler::new(wanted.per_second, self.clock.now());
        let tap = Tap { wanted, ring: Mutex::new(Ring::new(sampler)), news: Notify::new() };
        Reader { tap: Arc::new(tap), points: Vec::new() }
    }
}

/// The name in the file of a clone: `trades` of `trades#2`.
pub(crate) fn family(actor: &str) -> &str {
    actor.split_once('#').map_or(actor, |(name, _)| name)
}

/// Where an actor hands on: see the module's page.
#[derive(Debug)]
pub struct TapPoint {
    actor: Arc<str>,
    attached: AtomicBool,
    taps: Mutex<Vec<Arc<Tap>>>,
    clock: Clock,
}

impl TapPoint {
    fn new(actor: Arc<str>, clock: Clock) -> Self {
        Self { actor, attached: AtomicBool::new(false), taps: Mutex::default(), clock }
    }

    /// The actor hands on `batch`.
    #[inline]
    pub(crate) fn pass(&self, batch: &Batch) {
        if self.attached.load(Ordering::Relaxed) {
            self.show(batch);
        }
    }

    /// Whether anybody looks.
    #[cfg(test)]
    pub(crate) fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Relaxed)
    }

    #[cold]
    fn show(&self, batch: &Batch) {
        // Whoever attaches or leaves just now is no reason to wait.
        let Ok(taps) = self.taps.try_lock() else { return };
        for tap in &*taps {
            tap.offer(&self.actor, batch, &self.clock);
        }
    }

    fn attach(&self, tap: &Arc<Tap>) {
        self.change(|taps| taps.push(tap.clone()));
    }

    fn detach(&self, tap: &Arc<Tap>) {
        self.change(|taps| taps.retain(|other| !Arc::ptr_eq(other, tap)));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Tap>>)) {
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut taps);
        self.attached.store(!taps.is_empty(), Ordering::Relaxed);
    }
}

/// What one reader wants, and what waits for it.
#[derive(Debug)]
struct Tap {
    wanted: Wanted,
    ring: Mutex<Ring>,
    news: Notify,
}

#[derive(Debug)]
struct Ring {
    sampler: Sampler,
    kept: VecDeque<Sample>,
    bytes: usize,
    /// Rows that found no place since the reader was last told.
    missed: u64,
    /// What keeps anything from matching, if it was found out.
    note: Option<String>,
}

impl Ring {
    fn new(sampler: Sampler) -> Self {
        Self { sampler, kept: VecDeque::new(), bytes: 0, missed: 0, note: None }
    }

    fn keep(&mut self, sample: Sample) {
        let full = self.kept.len() == TAP_KEPT_MAX || self.bytes + sample.bytes() > TAP_KEPT_BYTES_MAX;
        if full {
            self.missed += sample.len() as u64;
            return;
        }
        self.bytes += sample.bytes();
        self.kept.push_back(sample);
    }
}

impl Tap {
    fn offer(&self, actor: &Arc<str>, batch: &Batch, clock: &Clock) {
        // The reader takes what there is just now: the next batch will do.
        let Ok(mut ring) = self.ring.try_lock() else { return };
        let now = clock.now();
        let most = ring.sampler.allowance(now, self.wanted.condition.is_some());
        if most == 0 {
            return;
        }
        match self.wanted.of(batch, most, fastrand::usize(..)) {
            Ok(picked) if picked.is_empty() => return,
            Ok(picked) => {
                ring.sampler.took(picked.len());
                ring.keep(Sample::of(actor, batch, &picked, clock.wall_us()));
            }
            Err(note) if ring.note.is_none() => ring.note = Some(note),
            Err(_) => return,
        }
        drop(ring);
        self.news.notify_one();
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a tap since it was last asked.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) samples: Vec<Sample>,
    /// Rows that found no place.
    pub(crate) missed: u64,
    /// Why nothing matches.
    pub(crate) note: Option<String>,
}

/// Somebody who looks. Dropping it ends that.
#[derive(Debug)]
pub(crate) struct Reader {
    tap: Arc<Tap>,
    points: Vec<Arc<TapPoint>>,
}

impl Reader {
    /// Looks at these from now on, and at no others.
    pub(crate) fn follow(&mut self, points: Vec<Arc<TapPoint>>) {
        let holds =
            |all: &[Arc<TapPoint>], one: &Arc<TapPoint>| all.iter().any(|other| Arc::ptr_eq(other, one));
        self.points.iter().filter(|old| !holds(&points, old)).for_each(|old| old.detach(&self.tap));
        points.iter().filter(|new| !holds(&self.points, new)).for_each(|new| new.attach(&self.tap));
        self.points = points;
    }

    /// What it wants.
    pub(crate) fn wanted(&self) -> &Wanted {
        &self.tap.wanted
    }

    /// What there is, taken out.
    pub(crate) fn page(&self) -> Page {
        let mut ring = self.tap.ring();
        ring.bytes = 0;
        Page {
            samples: ring.kept.drain(..).collect(),
            missed: std::mem::take(&mut ring.missed),
            note: ring.note.as_mut().and_then(|note| (!note.is_empty()).then(|| std::mem::take(note))),
        }
    }

    /// Completes once there may be something.
    pub(crate) async fn news(&self) {
        self.tap.news.notified().await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.follow(Vec::new());
    }
}
