//! What the updaters of one cache look up themselves, since this process began: the guard asks each key for its order
//! before it writes, and Redis counts that like any reader's question.

use super::reads::Reads;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by the clones of one cache, their guards and their probe.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Lookups {
    /// So many keys were there, so many were not.
    pub(crate) fn count(&self, hits: u64, misses: u64) {
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(misses, Ordering::Relaxed);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Reads {
        Reads { hits: self.hits.load(Ordering::Relaxed), misses: self.misses.load(Ordering::Relaxed) }
    }
}
