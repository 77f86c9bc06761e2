//! The machine's clocks. A benchmark measures real time, so here, and only here, it is read.

use std::time::{Duration, Instant, SystemTime};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// One moment on both clocks, so that times in records and times that passed can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    wall: SystemTime,
}

impl Anchor {
    /// This moment, its wall time in whole microseconds, as a table keeps it.
    pub fn new() -> Self {
        let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let wall = SystemTime::UNIX_EPOCH + Duration::from_micros(since.as_micros() as u64);
        Self { instant: now(), wall }
    }

    /// The wall time `after` it.
    pub fn wall(&self, after: Duration) -> SystemTime {
        self.wall + after
    }

    /// What has passed since.
    pub fn elapsed(&self) -> Duration {
        now() - self.instant
    }
}

impl Default for Anchor {
    fn default() -> Self {
        Self::new()
    }
}
