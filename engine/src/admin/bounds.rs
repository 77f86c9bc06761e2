//! How much anybody may ask: requests and guesses at the token by the second, and the size of a body.
//!
//! Size of head and count of headers are bounded by the HTTP library. Deliberately absent: bounds by client address;
//! behind a proxy all have one.

use super::Desk;
use crate::Clock;
use crate::clock::Instant;
use crate::limits::{
    ADMIN_BODY_BYTES_MAX, ADMIN_CONNECTIONS_KEPT_MAX, ADMIN_CONNECTIONS_MAX, ADMIN_GUESSES_BURST,
    ADMIN_GUESSES_PER_SECOND, ADMIN_REQUESTS_BURST, ADMIN_REQUESTS_PER_SECOND,
};
use crate::telemetry::names;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, Mutex, PoisonError};

/// What is left of two allowances. Shared by all connections.
#[derive(Debug)]
pub(super) struct Allowances {
    clock: Clock,
    requests: Mutex<Bucket>,
    guesses: Mutex<Bucket>,
}

impl Allowances {
    /// Both full.
    pub(super) fn new(clock: Clock) -> Self {
        let now = clock.now();
        let bucket = |per_second, burst| Mutex::new(Bucket { per_second, burst, left: burst, at: now });
        Self {
            requests: bucket(ADMIN_REQUESTS_PER_SECOND, ADMIN_REQUESTS_BURST),
            guesses: bucket(ADMIN_GUESSES_PER_SECOND, ADMIN_GUESSES_BURST),
            clock,
        }
    }

    /// Whether another wrong token may be told that it is one. While it may not, right ones are not looked at either:
    /// else the answer would tell.
    pub(super) fn may_guess(&self) -> bool {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).has(self.clock.now())
    }

    /// A token was wrong.
    pub(super) fn guessed(&self) {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.now());
    }
}

/// Fills by so much a second, up to its size.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    burst: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    fn has(&mut self, now: Instant) -> bool {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        (self.left, self.at) = ((self.left + filled).min(self.burst), now);
        self.left >= 1.0
    }

    fn take(&mut self, now: Instant) -> bool {
        let has = self.has(now);
        if has {
            self.left -= 1.0;
        }
        has
    }
}

/// Every request passes here, and is counted by how it ended.
pub(super) async fn bound(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let response = bounded(State(desk), request, next).await;
    let outcome = match response.status().as_u16() {
        ..400 => "answered",
        400..500 => "refused",
        500.. => "failed",
    };
    // Through the process's recorder: the endpoint lives as long as the process does.
    metrics::counter!(names::ADMIN_REQUESTS_TOTAL.name, "outcome" => outcome).increment(1);
    response
}

/// All but the probes: a flood of questions is no reason to be called dead.
async fn bounded(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let is_probe = matches!(request.uri().path(), "/livez" | "/readyz");
    let allowances = &desk.allowances;
    let now = allowances.clock.now();
    if !is_probe && !allowances.requests.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
        return too_many("this endpoint answers so many requests a second and no more; ask less often\n");
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.is_some_and(|length| length.parse::<u64>().is_ok_and(|length| length > ADMIN_BODY_BYTES_MAX)) {
        return (StatusCode::PAYLOAD_TOO_LARGE, "nothing here takes a body of that size\n").into_response();
    }
    let mut response = next.run(request).await;
    if ADMIN_CONNECTIONS_MAX - desk.places.available_permits() > ADMIN_CONNECTIONS_KEPT_MAX {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Come back in a second.
pub(super) fn too_many(sentence: &'static str) -> Response {
    let after = (header::RETRY_AFTER, HeaderValue::from_static("1"));
    (StatusCode::TOO_MANY_REQUESTS, [after], sentence).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let start = Clock::system().now();
        let mut bucket = Bucket { per_second: 2.0, burst: 3.0, left: 3.0, at: start };
        let mut taken = |after_ms| {
            let now = start + Duration::from_millis(after_ms);
            (0..10).filter(|_| bucket.take(now)).count()
        };
        assert_eq!([taken(0), taken(400), taken(600), taken(1_600), taken(60_000)], [3, 0, 1, 2, 3]);
    }
}
