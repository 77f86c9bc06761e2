//! The figures of one cache, gathered between two looks of the actor at everything: rows are many, its board is behind a
//! lock.

use aqueduct_engine::Figures;
use aqueduct_engine::telemetry::names;
use std::time::Duration;

/// What has happened since it was last told.
pub(crate) struct Meter {
    figures: Figures,
    /// Keys given a new value.
    pub(crate) writes: u64,
    /// Rows that gave way to a newer one before anything was sent.
    pub(crate) coalesced: u64,
    /// Values that Redis already had, or newer ones.
    pub(crate) stale: u64,
    /// Rows whose time to live had passed.
    pub(crate) expired: u64,
    /// Rows a best-effort cache did not write: no place for them, or no room.
    pub(crate) skipped: u64,
}

impl Meter {
    /// That tells `figures`.
    pub(crate) fn new(figures: &Figures) -> Self {
        let figures = figures.clone();
        Self { figures, writes: 0, coalesced: 0, stale: 0, expired: 0, skipped: 0 }
    }

    /// Tells what has gathered, and how many keys wait.
    pub(crate) fn tell(&mut self, pending_keys: usize) {
        let counters = [
            (names::CACHE_WRITES_TOTAL, &mut self.writes),
            (names::CACHE_COALESCED_TOTAL, &mut self.coalesced),
            (names::CACHE_STALE_TOTAL, &mut self.stale),
            (names::CACHE_EXPIRED_TOTAL, &mut self.expired),
            (names::CACHE_SKIPPED_TOTAL, &mut self.skipped),
        ];
        for (metric, count) in counters {
            self.figures.add(metric, &[], std::mem::take(count) as f64);
        }
        self.figures.set(names::CACHE_PENDING_KEYS, &[], pending_keys as f64);
    }

    /// A flush took so long.
    pub(crate) fn flushed(&self, took: Duration) {
        self.figures.observe(names::FLUSH_SECONDS, &[], took.as_secs_f64());
    }

    /// The newest value written is so old.
    pub(crate) fn aged(&self, seconds: f64) {
        self.figures.set(names::CACHE_AGE_SECONDS, &[], seconds);
    }
}
