//! Which letters: the flags that every command of `dlq` takes.

use aqueduct_actors::dlq::{self, Word};
use aqueduct_engine::Clock;
use aqueduct_topology::model::Topology;

#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which letters")]
pub(crate) struct Filter {
    /// Rejected by this actor of the file, or of this identity; may be repeated, as may all of these.
    #[arg(long, value_name = "ACTOR")]
    actor: Vec<String>,
    /// For this reason.
    #[arg(long, value_name = "REASON")]
    reason: Vec<String>,
    /// Of this class, such as `data` or `bug`.
    #[arg(long, value_name = "CLASS")]
    class: Vec<String>,
    /// Rejected since then: RFC 3339, or so long ago, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = false)]
    since: Option<i64>,
    /// Rejected before then: RFC 3339, or so long ago.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// From this partition.
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// From the source of this identity.
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// From this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// What they have come to.
    #[arg(long, value_name = "STATE")]
    state: Vec<State>,
}

/// What a letter has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum State {
    /// Nobody has replayed it.
    New,
    /// What a replay made of it is durable.
    Replayed,
    /// A replay rejected it again.
    FailedAgain,
}

impl Filter {
    /// As the database is asked: for the identities of the actors that the file names so, and for what was said itself, an
    /// identity or an actor that is gone.
    pub(crate) fn of(&self, ids: &[i64], topology: &Topology) -> dlq::Filter {
        let id = |name: &String| topology.actor(name).map(|actor| actor.id.value.clone());
        let ids_of_actors = self.actor.iter().filter_map(id);
        let word = |state: &State| match state {
            State::New => Word::New,
            State::Replayed => Word::Replayed,
            State::FailedAgain => Word::FailedAgain,
        };
        dlq::Filter {
            ids: ids.to_vec(),
            actors: ids_of_actors.chain(self.actor.iter().cloned()).collect(),
            reasons: self.reason.clone(),
            classes: self.class.clone(),
            sources: self.source.clone(),
            topics: self.topic.clone(),
            partitions: self.partition.clone(),
            since_us: self.since,
            until_us: self.until,
            states: self.state.iter().map(word).collect(),
        }
    }
}

/// A time, or how long ago; microseconds since 1970 UTC.
pub(crate) fn time(text: &str) -> Result<i64, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_microsecond());
    }
    match aqueduct_topology::duration(text).and_then(|ago| i64::try_from(ago.as_micros()).ok()) {
        Some(ago_us) => Ok(Clock::system().wall_us().saturating_sub(ago_us)),
        None => {
            Err(format!("`{text}` is no time; write 2026-11-29T08:00:00Z, or how long ago: 90s, 15m, 2h, 7d"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_two_ways_and_nothing_else_is_one() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(1_000_000));
        let hours = time("2h").expect("a duration");
        let now = Clock::system().wall_us();
        assert!((now - hours - 7_200_000_000).abs() < 60_000_000, "{hours} is two hours before {now}");
        for wrong in ["yesterday", "", "-5m", "12", "2026-11-29"] {
            let error = time(wrong).expect_err(wrong);
            assert!(error.contains("is no time; write 2026-"), "{error}");
        }
    }
}
