//! Which records a backfill reads: a range of offsets in each partition, cut where chunks of the table end.
//!
//! Rows belong to the range by their own time, records are found by theirs; so records are read from a while before the
//! range to a while after it. The end is never beyond what the live writer has durable (`state.rs` sees to that): from there
//! on it is the live topology that writes. Pure, but for the questions to the broker.

use super::ground::shown;
use super::lane::Source;
use crate::export::spans::Range;
use crate::kafka::logs::Logs;
use aqueduct_engine::{Class, Error, LogRange};
use aqueduct_topology::model::Start;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Steps of a plan: a range of more chunks is cut at some of their edges only.
const STEPS_MAX: usize = 64;
/// Partitions that a message names.
const NAMED_MAX: usize = 3;

/// What is read of one partition: from `start` to before `end`, step by step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The identity of the source in whose place it is read.
    pub source: String,
    /// The topic, as the lane calls it.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// One past the last.
    pub end: i64,
    /// Where each step ends, ascending; the last is the end. No partition begins a step before all have ended the last.
    pub steps: Vec<i64>,
}

impl Part {
    /// All of it in one step.
    pub fn whole(source: &str, topic: &str, partition: i32, (start, end): (i64, i64)) -> Self {
        let (source, topic) = (source.to_owned(), topic.to_owned());
        Self { source, topic, partition, start, end, steps: vec![end] }
    }

    /// Nothing from `limit` on.
    pub fn clamp(&mut self, limit: i64) {
        self.end = self.end.min(limit.max(self.start));
        self.steps.iter_mut().for_each(|step| *step = (*step).min(self.end));
    }

    /// How many offsets it has.
    pub fn offsets(&self) -> i64 {
        self.end - self.start
    }
}

/// How far records may be from the time of their rows, microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Slack {
    /// A record that was made before its row's time.
    pub early_us: i64,
    /// One that was made after it.
    pub late_us: i64,
}

/// Where a log no longer has what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Gone {
    topic: String,
    partition: i32,
    start: i64,
    /// When its first record was made; `None`: it has none.
    first_us: Option<i64>,
}

/// The records of `sources` for `range`. Refuses one that the logs have not whole, unless `partial`.
pub fn plan(
    logs: &Logs,
    sources: &[Source],
    (range, slack): (Range, Slack),
    (edges, partial): (&[i64], bool),
) -> Result<Vec<Part>, Error> {
    let from_us = range.from_us.saturating_sub(slack.early_us);
    let to_us = range.to_us.saturating_add(slack.late_us);
    let (mut parts, mut gone) = (Vec::new(), Vec::new());
    for source in sources {
        let topic = source.topic.as_str();
        let starts = logs.ranges(topic, &Start::At(from_us))?;
        gone.extend(missing(logs, topic, &starts, from_us)?);
        let mut ends: Vec<BTreeMap<i32, LogRange>> = Vec::new();
        for edge in thinned(edges) {
            ends.push(logs.ranges(topic, &Start::At(edge.saturating_sub(slack.early_us)))?);
        }
        ends.push(logs.ranges(topic, &Start::At(to_us))?);
        for (partition, log) in &starts {
            let start = log.initial;
            let at = |log: &BTreeMap<i32, LogRange>| {
                log.get(partition).map_or(start, |log| log.initial.max(start))
            };
            let steps = rising(ends.iter().map(at));
            let end = steps.last().copied().unwrap_or(start);
            let (source, topic) = (source.of.clone(), topic.to_owned());
            parts.push(Part { source, topic, partition: *partition, start, end, steps });
        }
    }
    if gone.is_empty() || partial { Ok(parts) } else { Err(refusal(&gone, range, slack)) }
}

/// Where records made from `from_us` on may be gone: the log begins after its first record, with one that is younger.
fn missing(
    logs: &Logs,
    topic: &str,
    starts: &BTreeMap<i32, LogRange>,
    from_us: i64,
) -> Result<Vec<Gone>, Error> {
    let mut gone = Vec::new();
    for (partition, log) in starts.iter().filter(|(_, log)| log.start > 0 && log.initial == log.start) {
        let first_us = match log.end > log.start {
            true => logs.time_from(topic, *partition, log.start)?,
            false => None,
        };
        if first_us.is_none_or(|first_us| first_us > from_us) {
            gone.push(Gone { topic: topic.to_owned(), partition: *partition, start: log.start, first_us });
        }
    }
    Ok(gone)
}

fn refusal(gone: &[Gone], range: Range, slack: Slack) -> Error {
    let place = |gone: &Gone| match gone.first_us {
        Some(first) => {
            format!("{}/{} begins at offset {}, of {}", gone.topic, gone.partition, gone.start, shown(first))
        }
        None => format!("{}/{} has no record left", gone.topic, gone.partition),
    };
    let mut places: Vec<String> = gone.iter().take(NAMED_MAX).map(place).collect();
    if gone.len() > NAMED_MAX {
        places.push(format!("{} more", gone.len() - NAMED_MAX));
    }
    // What every partition still has.
    let whole_from = gone.iter().map(|gone| gone.first_us).max().flatten();
    let left =
        whole_from.map(|first| first.saturating_add(slack.early_us)).filter(|left| *left < range.to_us);
    let left = match (left, gone.iter().all(|gone| gone.first_us.is_some())) {
        (Some(left), true) => {
            format!("the log still has what lies from --from {} on; take the rest", shown(left))
        }
        _ => "the log has nothing of it any more; take it".to_owned(),
    };
    Error::new(
        Class::Config,
        format!(
            "records of {} to {} may not be in the log any more: {}; {left} from a file of records (--input) or of rows, such \
             as an export's (--rows), or say --partial to take what is left",
            shown(range.from_us),
            shown(range.to_us),
            places.join(", ")
        ),
    )
}

/// Each at least the one before.
fn rising(steps: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut last = i64::MIN;
    steps
        .map(|step| {
            last = last.max(step);
            last
        })
        .collect()
}

/// Not more edges than steps may be.
fn thinned(edges: &[i64]) -> impl Iterator<Item = i64> {
    let every = edges.len().div_ceil(STEPS_MAX).max(1);
    edges.iter().copied().skip(every - 1).step_by(every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_where_the_live_writer_stands() {
        let mut part = Part { steps: vec![20, 40, 60], ..Part::whole("s", "t", 0, (10, 60)) };
        part.clamp(45);
        assert_eq!((part.end, part.steps.clone(), part.offsets()), (45, vec![20, 40, 45], 35));
        part.clamp(5);
        assert_eq!((part.start, part.end, part.steps), (10, 10, vec![10, 10, 10]), "nothing of it");
    }

    #[test]
    fn steps_never_go_back_and_are_not_too_many() {
        assert_eq!(rising([5, 3, 9].into_iter()), [5, 5, 9]);
        let edges: Vec<i64> = (0..1_000).collect();
        assert!(thinned(&edges).count() <= STEPS_MAX);
        assert_eq!(thinned(&edges[..3]).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_is_gone_is_said_with_what_is_left_and_where_else_to_take_it_from() {
        let gone = |partition, first_us| Gone { topic: "md".into(), partition, start: 7, first_us };
        let (range, slack) = (Range { from_us: 0, to_us: 60_000_000 }, Slack { early_us: 0, late_us: 0 });
        let said = |gone: &[Gone]| refusal(gone, range, slack).message.into_owned();
        let some = said(&[gone(0, Some(10_000_000)), gone(1, Some(20_000_000))]);
        assert!(some.contains("md/0 begins at offset 7, of 1970-01-01T00:00:10Z"), "{some}");
        assert!(some.contains("from --from 1970-01-01T00:00:20Z on; take the rest from a file"), "{some}");
        let all = said(&[gone(0, Some(90_000_000)), gone(1, None)]);
        assert!(all.contains("md/1 has no record left") && all.contains("nothing of it any more"), "{all}");
    }
}
