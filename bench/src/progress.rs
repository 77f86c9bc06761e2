//! What a long run says meanwhile: one line an event, on the standard error, with the time since it began.

use crate::clock::now;
use std::sync::OnceLock;
use std::time::Instant;

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Starts counting.
pub fn begin() {
    BEGAN.get_or_init(now);
}

/// Seconds since [`begin`].
pub fn seconds() -> f64 {
    BEGAN.get_or_init(now).elapsed().as_secs_f64()
}

/// A line for whoever waits.
pub fn say(line: &str) {
    eprintln!("[{:5.0} s] {line}", seconds());
}
