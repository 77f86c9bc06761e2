//! When a record is due, by the time it was recorded.
//!
//! Deliberately absent: sleeping. The caller passes the time and waits.

use aqueduct_engine::clock::Instant;
use std::time::Duration;

/// Waits shorter than this are not worth a timer.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Keeps the distances of recorded times, divided by the speed.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    speed: Option<f64>,
    began: Option<(i64, Instant)>,
}

impl Pace {
    /// `None`, or a speed that is no positive number: as fast as it can.
    pub(super) fn new(speed: Option<f64>) -> Self {
        Self { speed: speed.filter(|speed| speed.is_finite() && *speed > 0.0), began: None }
    }

    pub(super) fn is_paced(&self) -> bool {
        self.speed.is_some()
    }

    /// How long to wait before the record of `time_us`. What is recorded out of order is due at once.
    pub(super) fn wait(&mut self, time_us: i64, now: Instant) -> Option<Duration> {
        let speed = self.speed?;
        let (first_us, began) = *self.began.get_or_insert((time_us, now));
        let after_us = u64::try_from(time_us.saturating_sub(first_us)).ok()?;
        let due = Duration::from_micros((after_us as f64 / speed) as u64);
        let wait = due.saturating_sub(now.duration_since(began));
        (wait >= WAIT_MIN).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_engine::Clock;

    #[test]
    fn distances_are_kept_and_divided_by_the_speed() {
        let now = Clock::system().now();
        let mut pace = Pace::new(Some(2.0));
        assert_eq!(pace.wait(1_000_000, now), None, "the first is due at once");
        assert_eq!(pace.wait(3_000_000, now), Some(Duration::from_secs(1)));
        assert_eq!(pace.wait(3_000_000, now + Duration::from_secs(1)), None);
        assert_eq!(pace.wait(0, now), None, "older than the first");
        assert_eq!(Pace::new(None).wait(3_000_000, now), None);
    }
}
