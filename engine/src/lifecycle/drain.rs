//! When a drain is over. Pure: what is seen of the actors in, a verdict out.
//!
//! Draining itself travels in band: sources stop reading and return, the host closes their outputs, *closed and empty*
//! ends each actor in data order. What is judged here is whether it is worth waiting on.

use crate::status::State;
use std::time::Duration;

/// A wait this short may be a reconnect; a longer one is an outage.
const WAITING_GRACE: Duration = Duration::from_secs(1);

/// What one actor looks like during a drain.
#[derive(Clone, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) name: &'a str,
    pub(crate) state: State,
    /// How long it has been in that state.
    pub(crate) age: Duration,
    /// Whether a required sink depends on it.
    pub(crate) required: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait on.
    Wait,
    /// Everything that was read is done; best-effort branches that are away may be named here.
    Done { left_behind: Vec<String> },
    /// It cannot be finished in time.
    Cut { reason: String },
}

/// The verdict, `left` before the deadline. Actors without edges (the dead letter) are not shown to it.
pub(crate) fn verdict(actors: &[Seen<'_>], left: Duration) -> Verdict {
    let mut left_behind = Vec::new();
    let mut unfinished = Vec::new();
    for actor in actors {
        match &actor.state {
            State::Finished => {}
            state if !actor.required && is_away(state, actor.age) => left_behind.push(actor.name.to_owned()),
            state if is_away(state, actor.age) => {
                let why = state.reason().unwrap_or("stopped");
                return Verdict::Cut { reason: format!("`{}` is {}: {why}", actor.name, state.as_str()) };
            }
            _ => unfinished.push(actor.name),
        }
    }
    if unfinished.is_empty() {
        return Verdict::Done { left_behind };
    }
    if left.is_zero() {
        return Verdict::Cut {
            reason: format!("the drain deadline passed before {} finished", unfinished.join(", ")),
        };
    }
    Verdict::Wait
}

/// Whether it cannot be expected to finish what it has.
fn is_away(state: &State, age: Duration) -> bool {
    match state {
        State::Waiting { .. } | State::Fenced { .. } => age >= WAITING_GRACE,
        State::Stopped | State::Failed { .. } => true,
        State::Starting
        | State::Running
        | State::Draining
        | State::Stalled { .. }
        | State::Backoff { .. }
        | State::Finished => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &'static str, state: State, seconds: u64, required: bool) -> Seen<'static> {
        Seen { name, state, age: Duration::from_secs(seconds), required }
    }

    fn waiting() -> State {
        State::Waiting { class: "transient", reason: "no answer from the database".into() }
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn over_when_everybody_finished() {
        let actors = [seen("ticks", State::Finished, 0, true), seen("history", State::Draining, 0, true)];
        assert_eq!(verdict(&actors, LONG), Verdict::Wait);
        assert_eq!(verdict(&actors[..1], LONG), Verdict::Done { left_behind: vec![] });
    }

    #[test]
    fn a_required_branch_that_waits_ends_it_at_once() {
        let cut = verdict(&[seen("history", waiting(), 5, true)], LONG);
        let reason = "`history` is waiting: no answer from the database".to_owned();
        assert_eq!(cut, Verdict::Cut { reason });
        assert_eq!(
            verdict(&[seen("history", waiting(), 0, true)], LONG),
            Verdict::Wait,
            "a blip is no outage"
        );
    }

    #[test]
    fn a_best_effort_branch_that_waits_is_left_behind() {
        let actors = [seen("history", State::Finished, 0, true), seen("cache", waiting(), 5, false)];
        assert_eq!(verdict(&actors, LONG), Verdict::Done { left_behind: vec!["cache".into()] });
    }

    #[test]
    fn the_deadline_names_who_was_late() {
        let actors = [seen("trades", State::Draining, 9, true), seen("history", State::Running, 9, true)];
        let reason = "the drain deadline passed before trades, history finished".to_owned();
        assert_eq!(verdict(&actors, Duration::ZERO), Verdict::Cut { reason });
    }
}
