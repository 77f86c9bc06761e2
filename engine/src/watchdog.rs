//! Finds actors that are alive and yet get nowhere. Pure: observations in, remedies out.
//!
//! Three checks stay apart. *Exited* is the host's to tell. *Alive* is whether its arbiter answers ([`crate::placement`]).
//! *Progressed* is judged here: stalled = has input waiting, is not held up by a full output, waits for nothing and
//! nobody, and nothing was settled. A source is judged by each of its partitions: that the others flow is no excuse for
//! the one that does not. Idle is not stalled; but whoever looks after something while nothing waits for it, such as a
//! source its log or a sink its connection, says so again and again, and is stalled when it falls silent.
//!
//! A stall is told early, for readiness, and remedied late: after a whole period the actor's connections are discarded;
//! if another passes, it is restarted, it alone.

use crate::limits::SILENCE_MAX;
use crate::planted::{Bug, planted};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A partition with records that its source has not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// Where the source reads on.
    pub(crate) next: i64,
    /// How many there are.
    pub(crate) records: i64,
}

/// What waits for an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Batches on its links, leased ones included.
    Batches(usize),
    /// What the log has for a source.
    Unread(Vec<Unread>),
}

/// What one actor looks like now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    /// [`crate::Status::progress`].
    pub(crate) progress: u64,
    /// What waits for it.
    pub(crate) input: Input,
    /// How often it said that it is there; none where that is not asked of it.
    pub(crate) beats: Option<u64>,
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

/// Somebody gets nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Since when (time since any fixed moment).
    pub(crate) since: Duration,
    /// What waits.
    pub(crate) what: String,
    /// What is due now, if anything.
    pub(crate) remedy: Option<Remedy>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    progress: u64,
    /// What it had said and done, and since when it has said and done nothing more.
    silent: Option<(u64, Duration)>,
    /// Since when it has had reason to progress and has not.
    since: Option<Duration>,
    /// Where each partition of a source stands, and since when.
    standing: BTreeMap<(Arc<str>, i32), (i64, Duration)>,
    /// When it was last helped in this stall, and whether its connections were what was tried.
    helped: Option<(Duration, Remedy)>,
}

impl Watched {
    /// Since when what waits has waited, and what that is.
    fn waits(&mut self, now: Duration, patience: Duration, seen: &Observation) -> Option<(Duration, String)> {
        if seen.blocked || !seen.at_work || planted(Bug::SeesNoStall) {
            (self.since, self.standing, self.silent) = (None, BTreeMap::new(), None);
            return None;
        }
        let input = match &seen.input {
            Input::Batches(batches) if *batches == 0 || seen.progress != self.progress => {
                self.since = None;
                None
            }
            Input::Batches(batches) => {
                let since = *self.since.get_or_insert(now);
                Some((since, format!("{batches} batches wait on its links and none is settled")))
            }
            Input::Unread(unread) => self.longest_standing(now, unread),
        };
        let silent = self.silent(now, patience, seen);
        input.into_iter().chain(silent).min_by_key(|(since, _)| *since)
    }

    /// Since when one that says again and again that it is there has said nothing, and done nothing either.
    fn silent(
        &mut self,
        now: Duration,
        patience: Duration,
        seen: &Observation,
    ) -> Option<(Duration, String)> {
        let said = seen.beats.filter(|_| !planted(Bug::HearsNoSilence))?.wrapping_add(seen.progress);
        match self.silent {
            Some((known, since)) if known == said => {
                let lasts = now.saturating_sub(since) >= SILENCE_MAX.min(patience);
                lasts.then(|| {
                    (since, "nothing is heard of it, though it should look after what it has".to_owned())
                })
            }
            _ => {
                self.silent = Some((said, now));
                None
            }
        }
    }

    fn longest_standing(&mut self, now: Duration, unread: &[Unread]) -> Option<(Duration, String)> {
        let before = std::mem::take(&mut self.standing);
        let mut longest: Option<(Duration, &Unread)> = None;
        for line in unread {
            let key = (line.topic.clone(), line.partition);
            let since =
                before.get(&key).filter(|(next, _)| *next == line.next).map_or(now, |(_, since)| *since);
            self.standing.insert(key, (line.next, since));
            if longest.is_none_or(|(oldest, _)| since < oldest) {
                longest = Some((since, line));
            }
        }
        let (since, Unread { topic, partition, next, records }) = longest?;
        let what = format!(
            "partition {partition} of {topic}: {records} records wait from offset {next} on and none is read"
        );
        Some((since, what))
    }
}

/// The watch over all actors.
#[derive(Debug)]
pub(crate) struct Watchdog {
    patience: Duration,
    watched: Vec<Watched>,
}

impl Watchdog {
    /// A watch over `actors` that acts after so long.
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
    pub(crate) fn observe(&mut self, now: Duration, actor: usize, seen: &Observation) -> Option<Stall> {
        let patience = self.patience;
        let watched = &mut self.watched[actor];
        let waits = watched.waits(now, patience, seen);
        watched.progress = seen.progress;
        let Some((since, what)) = waits else {
            watched.helped = None;
            return None;
        };
        // What began to wait after the last help is another stall.
        watched.helped = watched.helped.filter(|(at, _)| *at >= since);
        let from = watched.helped.map_or(since, |(at, _)| at);
        let remedy = (now.saturating_sub(from) >= patience).then_some(match watched.helped {
            Some((_, Remedy::Discard)) => Remedy::Restart,
            _ => Remedy::Discard,
        });
        if let Some(remedy) = remedy {
            watched.helped = Some((now, remedy));
        }
        Some(Stall { since, what, remedy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED: Observation =
        Observation { progress: 7, input: Input::Batches(2), beats: None, blocked: false, at_work: true };

    /// What is done when `seen(second)` is seen each second, with a patience of three.
    fn remedies(seconds: u64, seen: impl Fn(u64) -> Observation) -> Vec<(u64, Remedy)> {
        let mut watchdog = Watchdog::new(1, Duration::from_secs(3));
        let remedy = |second| {
            let stall = watchdog.observe(Duration::from_secs(second), 0, &seen(second))?;
            stall.remedy.map(|done| (second, done))
        };
        (0..seconds).filter_map(remedy).collect()
    }

    fn unread(next: [i64; 2]) -> Observation {
        let line = |(partition, next): (usize, &i64)| Unread {
            topic: "ticks".into(),
            partition: partition as i32,
            next: *next,
            records: 5,
        };
        Observation { input: Input::Unread(next.iter().enumerate().map(line).collect()), ..STALLED }
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
        let seen: [fn(u64) -> Observation; 5] = [
            |_| Observation { input: Input::Batches(0), ..STALLED },
            |_| Observation { input: Input::Unread(Vec::new()), ..STALLED },
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

    #[test]
    fn who_falls_silent_is_helped_though_nothing_waits_for_it() {
        let silent_from = |from: u64| {
            move |second: u64| Observation {
                input: Input::Unread(Vec::new()),
                beats: Some(40 + 5 * second.min(from)),
                ..STALLED
            }
        };
        assert_eq!(
            remedies(14, silent_from(4)),
            [(7, Remedy::Discard), (10, Remedy::Restart), (13, Remedy::Discard)]
        );
        assert_eq!(remedies(20, silent_from(20)), []);
        let idle_sink = |second| Observation { input: Input::Batches(0), ..silent_from(4)(second) };
        assert_eq!(remedies(8, idle_sink), [(7, Remedy::Discard)]);
        let at_work = |second| Observation { progress: second, ..silent_from(0)(second) };
        assert_eq!(remedies(20, at_work), [], "it does something");
        let unasked = |second| Observation { beats: None, ..silent_from(0)(second) };
        assert_eq!(remedies(20, unasked), [], "some never say anything");
        let held_up = |second| Observation { blocked: true, ..silent_from(0)(second) };
        assert_eq!(remedies(20, held_up), []);
    }

    #[test]
    fn one_partition_that_is_never_read_shows_beside_others_that_flow() {
        let mut watchdog = Watchdog::new(1, Duration::from_secs(3));
        let mut last = None;
        for second in 0..3 {
            last = watchdog.observe(Duration::from_secs(second), 0, &unread([10, 20 + second as i64]));
        }
        let stall = last.expect("partition 0 stands still");
        assert_eq!((stall.since, stall.remedy), (Duration::ZERO, None));
        assert!(
            stall.what.starts_with("partition 0 of ticks: 5 records wait from offset 10"),
            "{}",
            stall.what
        );
        assert_eq!(
            remedies(8, |second| unread([10, second as i64])),
            [(3, Remedy::Discard), (6, Remedy::Restart)]
        );
        assert_eq!(remedies(20, |second| unread([second as i64 / 2, second as i64])), []);
    }
}
