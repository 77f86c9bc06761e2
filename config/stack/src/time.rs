//! Deadlines and polling. Everything here waits for real processes, so time is real.

use std::thread;
use std::time::{Duration, Instant};

/// A point in time after which waiting is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The deadline `span` from now.
    pub(crate) fn after(span: Duration) -> Self {
        Deadline(now() + span)
    }

    /// The time that is left, zero once it has passed.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Asks `ready` every `pause` until it answers, or the deadline has passed (`None`).
    pub(crate) fn poll<T>(self, pause: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(answer) = ready() {
                return Some(answer);
            }
            if self.left().is_zero() {
                return None;
            }
            thread::sleep(pause.min(self.left()));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "real processes take real time; the engine's clock is not involved"
)]
fn now() -> Instant {
    Instant::now()
}
