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
        Self::new(Duration::from_millis(100), crate::limits::OUTAGE_WAIT_MAX, 0.2)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_double_up_to_the_bound_and_stray_no_further_than_the_jitter(
            initial_ms in 1u64..5_000, max_ms in 1u64..60_000, jitter in 0.0f64..=1.0, attempts in 1usize..80,
        ) {
            let (initial, max) = (Duration::from_millis(initial_ms), Duration::from_millis(max_ms));
            let mut backoff = Backoff::new(initial, max, jitter);
            for attempt in 0..attempts {
                let ideal = initial.saturating_mul(2u32.saturating_pow(attempt as u32)).min(max).as_secs_f64();
                let wait = backoff.next_wait().as_secs_f64();
                prop_assert!(wait >= ideal * (1.0 - jitter) - 1e-6, "{wait} is shorter than {ideal} allows");
                prop_assert!(wait <= ideal * (1.0 + jitter) + 1e-6, "{wait} is longer than {ideal} allows");
            }
            backoff.reset();
            let first = backoff.next_wait().as_secs_f64();
            prop_assert!(first <= initial.min(max).as_secs_f64() * (1.0 + jitter) + 1e-6);
        }
    }

    #[test]
    fn many_waits_do_not_wait_alike() {
        let waits: std::collections::BTreeSet<_> = (0..32).map(|_| Backoff::outage().next_wait()).collect();
        assert!(waits.len() > 16, "jitter spreads those who failed together");
    }
}
