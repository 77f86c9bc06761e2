//! The log's beginning moves past what was not read yet.

use super::super::kit::PLAIN;
use super::super::log::Log;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{Admin, decide, partitions_at};
use crate::harness::wait;
use futures::executor::block_on;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TOLD_MAX: Duration = Duration::from_secs(20);
/// The partitions that lose records; the others must go on.
const LOSING: [i32; 2] = [1, 3];

/// Some partitions lose records while nobody reads them. They wait and say so, the others go on, and once somebody has
/// decided all that is left is read: nothing jumps by itself.
pub fn below_our_offset(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let load = stage.load(1_000);
    let node = stage.node("reader");
    stage.await_progress(2_000);
    node.kill();
    let stood = next_offsets(&stage);
    wait::until("each partition has more than was read", TOLD_MAX, || {
        let log = stage.log();
        log.bounds.iter().all(|(partition, (_, end))| *end > stood[partition] + 100).then_some(())
    });
    let before = stage.log();
    let kept: BTreeMap<i32, i64> =
        LOSING.iter().map(|partition| (*partition, stood[partition] + 50)).collect();
    Admin::of(&stage).delete_below(&stage, &kept);
    trial.fault();
    let node = stage.node("reader");
    let told = wait::until("/readyz names what is gone", TOLD_MAX, || {
        node.get("/readyz").filter(|(status, body)| *status == 503 && body.contains("are gone"))
    });
    trial.note(told.1);
    let others = |next: &BTreeMap<i32, i64>| {
        next.iter().all(|(partition, next)| LOSING.contains(partition) || *next > stood[partition] + 100)
    };
    wait::until("the other partitions go on", TOLD_MAX, || others(&next_offsets(&stage)).then_some(()));
    let waiting = next_offsets(&stage);
    LOSING.iter().for_each(|partition| assert_eq!(waiting[partition], stood[partition], "nothing jumps"));
    assert_eq!(node.ledger("skipped"), 0, "nothing is skipped without a word");
    decide(&stage, &kept, "--skip-unread");
    let began = Instant::now();
    wait::until("these go on too", TOLD_MAX, || {
        let next = next_offsets(&stage);
        kept.iter().all(|(partition, kept)| next[partition] > *kept).then_some(())
    });
    trial.recovered(began.elapsed());
    // What was in the log and is no more: written before, or gone by decision.
    let read = before
        .ids
        .into_iter()
        .filter(|((partition, offset), _)| LOSING.contains(partition) && *offset < stood[partition]);
    let gone = Log { bounds: BTreeMap::new(), ids: read.collect() };
    let sent = load.stop();
    stage.judge_logs(trial, vec![node], &[gone]);
    let decided = 50 * LOSING.len() as u64;
    let records = trial.findings.as_ref().map_or(0, |findings| findings.records);
    assert_eq!(records, sent - decided, "all but what somebody let go");
}

fn next_offsets(stage: &Stage) -> BTreeMap<i32, i64> {
    partitions_at(stage, "next_offset").into_iter().collect()
}

impl Admin {
    /// Deletes the records of the stage's topic below these offsets, as retention does.
    fn delete_below(&self, stage: &Stage, kept: &BTreeMap<i32, i64>) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in kept {
            list.add_partition_offset(&stage.world.topic, *partition, Offset::Offset(*offset))
                .expect("an offset");
        }
        block_on(self.0.delete_records(&list, &Self::patience())).expect("deleted");
    }
}
