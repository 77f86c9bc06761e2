//! Whether there is nothing left to do, and for how long: every source has read everything it was assigned since its
//! claim, nothing is in flight in any link, buffer or best-effort sink, and nothing moved meanwhile.

use crate::planted::{Bug, planted};
use std::time::Duration;

/// What is seen of the whole application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Every source is caught up or finished; since when the one has not looked that has not for longest.
    pub(crate) caught_up: Option<Duration>,
    /// The ledger and every link are empty.
    pub(crate) empty: bool,
    /// The sum of all progress.
    pub(crate) progress: u64,
}

/// The watch for idleness.
#[derive(Debug)]
pub(crate) struct Idle {
    /// How long it must last.
    lasting: Duration,
    since: Option<(Duration, u64)>,
}

impl Idle {
    pub(crate) fn new(lasting: Duration) -> Self {
        Self { lasting, since: None }
    }

    /// Whether it has lasted long enough at `now` (time since any fixed moment).
    pub(crate) fn observe(&mut self, now: Duration, seen: Observation) -> bool {
        let looked = seen.caught_up.filter(|_| seen.empty);
        let Some(looked) = looked.or(planted(Bug::TakesStandingForIdle).then_some(now)) else {
            self.since = None;
            return false;
        };
        let (since, progress) = *self.since.get_or_insert((now, seen.progress));
        if progress != seen.progress {
            self.since = Some((now, seen.progress));
            return self.lasting.is_zero();
        }
        // What a source said before may not be true any more: one that hangs has no more to say.
        looked >= since && now.saturating_sub(since) >= self.lasting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Observation =
        Observation { caught_up: Some(Duration::from_secs(100)), empty: true, progress: 3 };

    fn first_idle_second(seen: impl Fn(u64) -> Observation) -> Option<u64> {
        let mut idle = Idle::new(Duration::from_secs(5));
        (0..30).find(|&second| idle.observe(Duration::from_secs(second), seen(second)))
    }

    #[test]
    fn what_a_source_said_before_does_not_count() {
        let looked = |at: fn(u64) -> u64| {
            move |second| Observation { caught_up: Some(Duration::from_secs(at(second))), ..IDLE }
        };
        assert_eq!(
            first_idle_second(looked(|second| second / 4 * 4)),
            Some(5),
            "it looks every four seconds"
        );
        let mut idle = Idle::new(Duration::from_secs(5));
        let mut seen = |second: u64| {
            let hung = Observation { caught_up: Some(Duration::from_secs(1)), ..IDLE };
            idle.observe(Duration::from_secs(second), hung)
        };
        assert!(!(2..60).any(&mut seen), "it was caught up, and nobody has heard of it since");
    }

    #[test]
    fn it_must_last() {
        assert_eq!(first_idle_second(|_| IDLE), Some(5));
    }

    #[test]
    fn anything_in_flight_behind_or_moving_begins_it_anew() {
        let busy_at = |at: u64, busy: Observation| move |second: u64| if second == at { busy } else { IDLE };
        assert_eq!(first_idle_second(busy_at(3, Observation { caught_up: None, ..IDLE })), Some(9));
        assert_eq!(first_idle_second(busy_at(3, Observation { empty: false, ..IDLE })), Some(9));
        let moved = |second| Observation { progress: 3 + u64::from(second >= 4), ..IDLE };
        assert_eq!(first_idle_second(moved), Some(9));
    }
}
