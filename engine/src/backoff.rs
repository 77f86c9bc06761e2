//! The one retry policy: waits that double, up to a bound, spread by jitter.
//!
//! Deliberately absent: clocks and tasks; the caller sleeps.

use std::time::Duration;

/// A sequence of waits.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    jitter: f64,
    attempt: u32,
}

impl Backoff {
    /// `initial`, doubled each time up to `max`, each spread by ± `jitter` (a share, 0..=1).
    pub fn new(initial: Duration, max: Duration, jitter: f64) -> Self {
        Self { initial, max, jitter: jitter.clamp(0.0, 1.0), attempt: 0 }
    }

    /// For waiting through an outage of a dependency.
    pub fn outage() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5), 0.2)
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let doubled = self.initial.saturating_mul(1u32.checked_shl(self.attempt.min(31)).unwrap_or(u32::MAX));
        self.attempt = self.attempt.saturating_add(1);
        let wait = doubled.min(self.max);
        wait.mul_f64(1.0 + self.jitter * (2.0 * fastrand::f64() - 1.0))
    }

    /// Begins again at the first wait.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}
