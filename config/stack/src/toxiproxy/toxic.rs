//! What a proxy can do to what passes it, and how Toxiproxy spells it.

use std::time::Duration;

use serde_json::{Value, json};

/// Which half of a connection suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What a connection suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toxic {
    /// Every piece comes so much later, give or take the jitter.
    Latency {
        /// How much later.
        delay: Duration,
        /// At most so much more or less.
        jitter: Duration,
    },
    /// Nothing passes; the connection stays open.
    BlackHole,
    /// Nothing passes, and the connection is closed in order after this time.
    Timeout(Duration),
    /// The connection is reset (RST) this long after the first byte that comes this way.
    Reset(Duration),
    /// Data pass in pieces of about this size.
    Slice {
        /// The average.
        bytes: u32,
        /// A piece is so much larger or smaller at most; less than the average.
        variation: u32,
        /// A rest between two pieces; Toxiproxy counts it in microseconds.
        delay: Duration,
    },
    /// At most so many kilobytes a second.
    Bandwidth(u32),
    /// The connection is closed once so many bytes have passed.
    Limit(u64),
}

impl Direction {
    pub(super) fn stream(self) -> &'static str {
        match self {
            Direction::Up => "upstream",
            Direction::Down => "downstream",
        }
    }
}

impl Toxic {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Toxic::Latency { .. } => "latency",
            Toxic::BlackHole | Toxic::Timeout(_) => "timeout",
            Toxic::Reset(_) => "reset_peer",
            Toxic::Slice { .. } => "slicer",
            Toxic::Bandwidth(_) => "bandwidth",
            Toxic::Limit(_) => "limit_data",
        }
    }

    pub(super) fn attributes(self) -> Value {
        match self {
            Toxic::Latency { delay, jitter } => json!({ "latency": ms(delay), "jitter": ms(jitter) }),
            Toxic::BlackHole => json!({ "timeout": 0 }),
            // Zero would be a black hole.
            Toxic::Timeout(after) => json!({ "timeout": ms(after).max(1) }),
            Toxic::Reset(after) => json!({ "timeout": ms(after) }),
            Toxic::Slice { bytes, variation, delay } => {
                let delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
                json!({ "average_size": bytes, "size_variation": variation, "delay": delay })
            }
            Toxic::Bandwidth(kilobytes) => json!({ "rate": kilobytes }),
            Toxic::Limit(bytes) => json!({ "bytes": bytes }),
        }
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
