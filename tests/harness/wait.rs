//! Waiting for something that happens elsewhere: asked often, given up after a bound, with a word on what was awaited.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
///
/// # Panics
/// After `bound`, naming `what`.
pub fn until<T>(what: &str, bound: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {bound:?}");
        std::thread::sleep(PAUSE);
    }
}
