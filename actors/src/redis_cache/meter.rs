//! The figures of one cache.

use aqueduct_engine::ActorIdentity;
use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

/// Handles, made once.
pub(crate) struct Meter {
    /// Keys given a new value.
    pub(crate) writes: Counter,
    /// Rows that gave way to a newer one before anything was sent.
    pub(crate) coalesced: Counter,
    /// Values that Redis already had, or newer ones.
    pub(crate) stale: Counter,
    /// Rows whose time to live had passed.
    pub(crate) expired: Counter,
    /// Rows a best-effort cache did not write: no place for them, or no room.
    pub(crate) skipped: Counter,
    /// Keys that wait to be written.
    pub(crate) pending_keys: Gauge,
    /// How old the newest value written is.
    pub(crate) age_seconds: Gauge,
    /// How long a flush took.
    pub(crate) flush_seconds: Histogram,
}

impl Meter {
    /// For that actor.
    pub(crate) fn new(identity: &ActorIdentity) -> Self {
        let label = |name: &'static str, value: &str| Label::new(name, value.to_owned());
        let labels = vec![
            label("topology", &identity.topology),
            label("actor", &identity.name),
            label("kind", identity.kind),
        ];
        Self {
            writes: counter!("aqueduct_cache_writes_total", labels.clone()),
            coalesced: counter!("aqueduct_cache_coalesced_total", labels.clone()),
            stale: counter!("aqueduct_cache_stale_total", labels.clone()),
            expired: counter!("aqueduct_cache_expired_total", labels.clone()),
            skipped: counter!("aqueduct_cache_skipped_total", labels.clone()),
            pending_keys: gauge!("aqueduct_cache_pending_keys", labels.clone()),
            age_seconds: gauge!("aqueduct_cache_age_seconds", labels.clone()),
            flush_seconds: histogram!("aqueduct_flush_seconds", labels),
        }
    }
}
