//! Finds actors that are alive and yet get nowhere. Pure: observations in, remedies out.
//!
//! Three checks stay apart. *Exited* is the host's to tell. *Alive* is whether its arbiter answers ([`crate::placement`]).
//! *Progressed* is judged here: stalled = has input waiting, is not held up by a full output, waits for nothing and
//! nobody, and nothing was settled for a whole period. First its connections are discarded; if another period passes,
//! it is restarted, it alone. Idle is not stalled.

use std::time::Duration;

/// What one actor looks like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// [`crate::Status::progress`].
    pub(crate) progress: u64,
    /// Something waits for it: a batch on a link into it, or lag if it is a source.
    pub(crate) has_input: bool,
    /// A full output holds it up.
    pub(crate) blocked: bool,
    /// Running or draining: not waiting, fenced, stopped, finished or between two starts.
    pub(crate) at_work: bool,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Ask it to make new connections.
    Discard,
    /// Restart it alone.
    Restart,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    progress: u64,
    /// Since when it has had reason to progress and has not.
    since: Option<Duration>,
    discarded: bool,
}

/// The watch over all actors.
#[derive(Debug)]
pub(crate) struct Watchdog {
    patience: Duration,
    watched: Vec<Watched>,
}

impl Watchdog {
    /// A watch over `actors` that lose patience after so long.
    pub(crate) fn new(actors: usize, patience: Duration) -> Self {
        Self { patience, watched: vec![Watched::default(); actors] }
    }

    /// The `actor`th is another one now, or is new.
    pub(crate) fn begin(&mut self, actor: usize) {
        if self.watched.len() <= actor {
            self.watched.resize(actor + 1, Watched::default());
        }
        self.watched[actor] = Watched::default();
    }

    /// Looks at the `actor`th at `now` (time since any fixed moment).
    pub(crate) fn observe(&mut self, now: Duration, actor: usize, seen: Observation) -> Option<Remedy> {
        let watched = &mut self.watched[actor];
        let excused = !seen.has_input || seen.blocked || !seen.at_work || seen.progress != watched.progress;
        if excused {
            *watched = Watched { progress: seen.progress, ..Watched::default() };
            return None;
        }
        let since = *watched.since.get_or_insert(now);
        if now.saturating_sub(since) < self.patience {
            return None;
        }
        watched.since = Some(now);
        if std::mem::replace(&mut watched.discarded, true) {
            watched.discarded = false;
            return Some(Remedy::Restart);
        }
        Some(Remedy::Discard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED: Observation = Observation { progress: 7, has_input: true, blocked: false, at_work: true };

    /// What is done when `seen(second)` is seen each second, with a patience of three.
    fn remedies(seconds: u64, seen: impl Fn(u64) -> Observation) -> Vec<(u64, Remedy)> {
        let mut watchdog = Watchdog::new(1, Duration::from_secs(3));
        let remedy = |second| {
            watchdog.observe(Duration::from_secs(second), 0, seen(second)).map(|done| (second, done))
        };
        (0..seconds).filter_map(remedy).collect()
    }

    #[test]
    fn first_connections_then_a_restart_then_again() {
        let done = remedies(14, |_| STALLED);
        let expected =
            [(4, Remedy::Discard), (7, Remedy::Restart), (10, Remedy::Discard), (13, Remedy::Restart)];
        assert_eq!(done, expected);
    }

    #[test]
    fn idle_blocked_waiting_and_busy_are_not_stalled() {
        let seen: [fn(u64) -> Observation; 4] = [
            |_| Observation { has_input: false, ..STALLED },
            |_| Observation { blocked: true, ..STALLED },
            |_| Observation { at_work: false, ..STALLED },
            |second| Observation { progress: second / 2, ..STALLED },
        ];
        for seen in seen {
            assert_eq!(remedies(20, seen), []);
        }
    }

    #[test]
    fn progress_after_the_first_remedy_forgives() {
        let done = remedies(12, |second| Observation { progress: if second < 5 { 7 } else { 8 }, ..STALLED });
        assert_eq!(done, [(4, Remedy::Discard), (9, Remedy::Discard)]);
    }
}
