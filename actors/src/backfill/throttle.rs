//! How fast a backfill may go, told by whoever watches the live topology, and obeyed by the sources.

use aqueduct_engine::clock::Instant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A batch of a capped backfill holds what so long a time allows: smooth, and few transactions.
const BEAT: Duration = Duration::from_millis(100);

/// Shared by those who tell and those who obey.
#[derive(Debug)]
pub struct Throttle {
    /// Records a second, over all sources; `None` = as fast as it goes.
    rate: Option<u64>,
    paused: AtomicBool,
}

impl Throttle {
    /// At most `rate` records a second.
    pub fn new(rate: Option<u64>) -> Self {
        Self { rate, paused: AtomicBool::new(false) }
    }

    /// Nothing is read until it goes on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether nothing is read.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Records of one batch of one of so many sources; at most `usual`.
    pub(super) fn batch(&self, sources: usize, usual: usize) -> usize {
        let Some(rate) = self.share(sources) else { return usual };
        ((rate * BEAT.as_secs_f64()) as usize).clamp(1, usual)
    }

    fn share(&self, sources: usize) -> Option<f64> {
        self.rate.map(|rate| rate.max(1) as f64 / sources.max(1) as f64)
    }
}

/// Counts what one source has taken.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<f64>,
    since: Option<Instant>,
    taken: u64,
}

impl Pace {
    pub(super) fn new(throttle: &Throttle, sources: usize) -> Self {
        Self { rate: throttle.share(sources), since: None, taken: 0 }
    }

    /// After a pause: nothing is owed for it.
    pub(super) fn begin_again(&mut self) {
        self.since = None;
    }

    /// `records` were taken; how long to wait until the next.
    pub(super) fn wait(&mut self, records: usize, now: Instant) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let since = *self.since.get_or_insert_with(|| {
            self.taken = 0;
            now
        });
        self.taken += records as u64;
        Duration::from_secs_f64(self.taken as f64 / rate).saturating_sub(now.duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::Clock;

    #[test]
    fn what_was_taken_is_waited_for_and_a_pause_is_not_made_up_for() {
        let (throttle, now) = (Throttle::new(Some(1_000)), Clock::system().now());
        assert_eq!((throttle.batch(1, 512), throttle.batch(2, 512), throttle.batch(1, 30)), (100, 50, 30));
        let mut pace = Pace::new(&throttle, 1);
        assert_eq!(pace.wait(100, now), Duration::from_millis(100));
        let later = now + Duration::from_millis(60);
        assert_eq!(pace.wait(100, later), Duration::from_millis(140));
        pace.begin_again();
        let much_later = now + Duration::from_secs(60);
        assert_eq!(pace.wait(100, much_later), Duration::from_millis(100), "no burst");
        let free = Throttle::new(None);
        assert_eq!((free.batch(1, 512), Pace::new(&free, 1).wait(9, now)), (512, Duration::ZERO));
    }
}
