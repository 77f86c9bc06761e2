//! The machine's clocks. A benchmark measures real time, so here, and only here, it is read.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime};

/// Now.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the machine's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// CPU time of this thread so far: others on the same machine disturb it less than wall time.
pub fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// CPU time of one `run`, seconds: the mean of as many as take `at_least` together.
pub fn cpu_seconds_of(at_least: Duration, mut run: impl FnMut()) -> f64 {
    let begin = thread_cpu();
    let mut runs = 0;
    loop {
        for _ in 0..4 {
            run();
        }
        runs += 4;
        let taken = thread_cpu() - begin;
        if taken > at_least {
            return taken.as_secs_f64() / f64::from(runs);
        }
    }
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
