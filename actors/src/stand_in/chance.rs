//! What is left to chance in the world outside, drawn from a seed: how long an answer takes, how many records a read
//! gives, which of two actors that are ready runs first.
//!
//! Invariant: one seed, one run; seed 0 is the calm one, in which everything happens at once and in the order of the
//! file. Deliberately absent: chance in what the topology itself does.

use aqueduct_engine::Clock;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// The seed under which nothing is left to chance.
pub const CALM: u64 = 0;

/// Draws from one seed. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Chance(Option<Arc<Mutex<fastrand::Rng>>>);

impl Chance {
    /// What that seed brings.
    pub fn of(seed: u64) -> Self {
        Self((seed != CALM).then(|| Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)))))
    }

    /// A number up to `most`, inclusively; 0 if calm.
    pub fn up_to(&self, most: u64) -> u64 {
        match &self.0 {
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).u64(..=most),
            None => 0,
        }
    }

    /// True once in `n` times; never if calm.
    pub fn one_in(&self, n: u64) -> bool {
        self.0.is_some() && self.up_to(n - 1) == 0
    }

    /// A while of at most `most`; none if calm.
    pub fn up_to_wait(&self, most: Duration) -> Duration {
        Duration::from_micros(self.up_to(most.as_micros() as u64))
    }

    /// The way to something outside and back takes at most `most`.
    pub(super) async fn travel(&self, clock: &Clock, most: Duration) {
        let wait = self.up_to_wait(most);
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }
}

/// Lets others run first, now and then, though `inner` could.
pub(super) struct Unhurried<F> {
    pub(super) inner: F,
    pub(super) chance: Chance,
}

impl<F: Future + Unpin> Future for Unhurried<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if self.chance.one_in(4) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_run_and_the_calm_one_leaves_nothing_to_chance() {
        let drawn = |seed| {
            let chance = Chance::of(seed);
            (0..64).map(|_| chance.up_to(1000)).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_eq!(drawn(CALM), vec![0; 64]);
        assert!(!Chance::of(CALM).one_in(1));
    }
}
