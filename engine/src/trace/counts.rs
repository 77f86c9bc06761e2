//! What became of spans, counted.
//!
//! Invariant: the board has the whole count, whatever else clears it. Deliberately absent: a count for each collector.

use crate::telemetry::{Figures, names};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    totals: Arc<[AtomicU64; 2]>,
    figures: Figures,
}

/// What became of a span.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Exported,
    Dropped,
}

impl Counts {
    pub(super) fn on(figures: Figures) -> Self {
        let counts = Self { totals: Arc::default(), figures };
        counts.add(Fate::Exported, 0);
        counts.add(Fate::Dropped, 0);
        counts
    }

    pub(super) fn add(&self, fate: Fate, spans: usize) {
        let outcome = match fate {
            Fate::Exported => "exported",
            Fate::Dropped => "dropped",
        };
        let spans = spans as u64;
        let total = self.totals[fate as usize].fetch_add(spans, Relaxed) + spans;
        self.figures.set(names::TRACE_SPANS_TOTAL, &[("outcome", outcome)], total as f64);
    }
}
