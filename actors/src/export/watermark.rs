//! Up to which event time a table is closed.
//!
//! A partition is durable up to the *record time* of the first record that the table's sink has not committed with its
//! rows yet; where it has committed all there is, up to now. The watermark is the least of those over all partitions of all
//! topics that feed the table, less an allowance for events that reach Kafka late.
//!
//! Promise: every record that lay in the log before that, and whose event time trails its record time by no more than the
//! allowance, is in the table, is a dead letter, or was filtered. Not promised: that nobody sends an older event later, or
//! replays a dead letter. Such rows are late, and an export with `late` finds them.

use super::limits::HOLDERS_NAMED_MAX;
use crate::kafka::logs::Logs;
use crate::timescale::offsets::Stand;
use aqueduct_engine::{Error, LogRange};
use aqueduct_topology::model::{Kind, Start, Topology};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watermark {
    /// Microseconds since 1970 UTC; rows before it come no more.
    pub time_us: i64,
    /// How far an event may trail its record, microseconds.
    pub lateness_us: i64,
    /// The partitions that were looked at.
    pub partitions: usize,
    /// Those that are behind: name, and the offset the table needs next. The one furthest behind first.
    pub held_by: Vec<Holder>,
}

/// A partition that is not durable up to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first record that is not durable; of a partition that nobody has read, where its log begins.
    pub next_offset: i64,
    /// When it was made.
    pub time_us: i64,
}

/// The sinks of the topology that write `table`, by name.
pub fn sinks_of<'t>(topology: &'t Topology, table: &str) -> Vec<&'t str> {
    let writes = |kind: &Kind| matches!(kind, Kind::TimescaleWriter(writer) if writer.table.value == table);
    topology
        .actors
        .iter()
        .filter(|actor| writes(&actor.kind))
        .map(|actor| actor.name.value.as_str())
        .collect()
}

/// Of the rows that `sinks` write, as their offsets `stands` and the logs are now.
pub fn watermark(
    topology: &Topology,
    sinks: &[&str],
    stands: &[Stand],
    logs: &Logs,
    (now_us, lateness_us): (i64, i64),
) -> Result<Watermark, Error> {
    let mut held_by = Vec::new();
    let mut partitions = 0;
    for sink in sinks {
        let Some(id) = topology.actor(sink).map(|actor| actor.id.value.as_str()) else { continue };
        for source in topology.sources_of(sink) {
            let Kind::KafkaSource(options) = &source.kind else { continue };
            let topic = options.topic.value.as_str();
            let next = next_offsets(stands, id, &source.id.value, topic);
            let ranges = logs.ranges(topic, &Start::Earliest)?;
            partitions += ranges.len();
            for (partition, next_offset) in behind(&ranges, &next) {
                if let Some(time_us) = logs.time_from(topic, partition, next_offset)? {
                    held_by.push(Holder { topic: topic.to_owned(), partition, next_offset, time_us });
                }
            }
        }
    }
    held_by.sort_by_key(|holder| holder.time_us);
    Ok(Watermark { time_us: least(&held_by, now_us, lateness_us), lateness_us, partitions, held_by })
}

fn next_offsets(stands: &[Stand], sink: &str, input: &str, topic: &str) -> BTreeMap<i32, i64> {
    let mine =
        stands.iter().filter(|stand| stand.sink == sink && stand.input == input && stand.topic == topic);
    mine.map(|stand| (stand.partition, stand.next_offset)).collect()
}

/// The partitions whose end is not durable, with the first offset that is not.
fn behind(ranges: &BTreeMap<i32, LogRange>, next: &BTreeMap<i32, i64>) -> Vec<(i32, i64)> {
    let first = |(partition, range): (&i32, &LogRange)| {
        let next = next.get(partition).copied().unwrap_or(range.start).max(range.start);
        (next < range.end).then_some((*partition, next))
    };
    ranges.iter().filter_map(first).collect()
}

fn least(held_by: &[Holder], now_us: i64, lateness_us: i64) -> i64 {
    let first = held_by.iter().map(|holder| holder.time_us).min().unwrap_or(now_us);
    first.min(now_us).saturating_sub(lateness_us)
}

impl Watermark {
    /// Who holds it back, for messages; empty where nobody does.
    pub fn holders(&self) -> String {
        let shown = self.held_by.iter().take(HOLDERS_NAMED_MAX);
        let mut text: Vec<String> = shown
            .map(|holder| {
                format!("{} partition {} at offset {}", holder.topic, holder.partition, holder.next_offset)
            })
            .collect();
        if self.held_by.len() > HOLDERS_NAMED_MAX {
            text.push(format!("{} more", self.held_by.len() - HOLDERS_NAMED_MAX));
        }
        text.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> LogRange {
        LogRange { start, end, initial: start }
    }

    #[test]
    fn a_partition_is_behind_from_the_first_record_that_is_not_durable() {
        let ranges =
            BTreeMap::from([(0, range(0, 10)), (1, range(5, 10)), (2, range(3, 7)), (3, range(4, 4))]);
        let next = BTreeMap::from([(0, 10), (1, 2)]);
        assert_eq!(behind(&ranges, &next), [(1, 5), (2, 3)], "2 was never claimed, 3 is empty");
    }

    #[test]
    fn the_watermark_is_the_least_of_all_and_never_in_the_future() {
        let holder = |time_us| Holder { topic: "t".into(), partition: 0, next_offset: 0, time_us };
        assert_eq!(least(&[], 100, 30), 70);
        assert_eq!(least(&[holder(90), holder(50)], 100, 30), 20);
        assert_eq!(least(&[holder(500)], 100, 30), 70);
    }
}
