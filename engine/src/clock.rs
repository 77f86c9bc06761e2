//! The one clock. Durations come from tokio's clock (which a test may pause), dates from here.
//!
//! Deliberately absent: several clocks in one process with several speeds; virtual time exists within one runtime only.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
pub use tokio::time::Instant;

/// Handed to everything that asks the time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// `None` = the system's; else this many microseconds since 1970 at that instant.
    simulated: Option<(i64, Instant)>,
}

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct TimedOut;

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { simulated: None }
    }

    /// A clock that reads `start_us` now and follows tokio's (pausable) clock from here on.
    pub fn simulated(start_us: i64) -> Self {
        Self { simulated: Some((start_us, Self::system().now())) }
    }

    /// For durations.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Microseconds since 1970 UTC, for dates.
    pub fn wall_us(&self) -> i64 {
        match self.simulated {
            Some((start_us, at)) => start_us + self.now().duration_since(at).as_micros() as i64,
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64),
        }
    }

    /// Completes after `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// `future`, or [`TimedOut`] after `duration`; the future is dropped then.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, TimedOut> {
        tokio::time::timeout(duration, future).await.map_err(|_| TimedOut)
    }
}
