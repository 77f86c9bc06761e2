//! How each partition stands at the end: what was settled, and what will be replayed. The next start begins at these
//! offsets, so nothing is lost. From memory alone: the store may be what is away.

use crate::claim::Claim;
use crate::ledger::{LedgerRow, SettledPosition, SinkIndex};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// How one partition stands at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ManifestEntry {
    /// The source actor's identity.
    pub source: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The claim it was read under.
    pub epoch: i64,
    /// Records whose fate is decided.
    pub settled: u64,
    /// Records read and not decided.
    pub in_flight: u64,
    /// Where the next start begins to read; `None` = nothing of it was settled and no claim is held.
    pub replay_from: Option<i64>,
}

impl fmt::Display for ManifestEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, topic, partition, settled, in_flight, .. } = self;
        write!(out, "{source} {topic}/{partition}: {settled} settled, ")?;
        match in_flight {
            0 => write!(out, "nothing to replay")?,
            records => write!(out, "{records} will be replayed")?,
        }
        match self.replay_from {
            Some(offset) => write!(out, ", next offset {offset}"),
            None => Ok(()),
        }
    }
}

/// What the log says at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct DrainReport {
    /// Everything that was read has its fate.
    pub(super) finished: bool,
    /// Why it ended, or could not be finished.
    pub(super) reason: String,
    /// How long the drain took; 0 = there was none.
    pub(super) seconds: f64,
    pub(super) partitions: Vec<ManifestEntry>,
}

impl fmt::Display for DrainReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.finished { "finished" } else { "cut" };
        write!(out, "{how} after {:.1} s ({})", self.seconds, self.reason)?;
        self.partitions.iter().try_for_each(|partition| write!(out, "; {partition}"))
    }
}

/// The lines of `ledger`, with how far the furthest-behind required sink has settled, else the claim's start.
pub(super) fn endings(
    ledger: &[LedgerRow],
    positions: &[SettledPosition],
    required: impl Fn(SinkIndex) -> bool,
    claims: &[Arc<Claim>],
) -> Vec<ManifestEntry> {
    let entry = |row: &LedgerRow| {
        let same = |key: &crate::PartitionKey| {
            (&key.source, &key.topic, key.partition) == (&row.source, &row.topic, row.partition)
        };
        let settled = |position: &&SettledPosition| {
            same(&position.key) && position.epoch == row.epoch && required(position.sink)
        };
        let settled = positions.iter().filter(settled).map(|position| position.next);
        let claimed = claims.iter().find(|claim| same(&claim.key)).map(|claim| claim.start);
        ManifestEntry {
            source: row.source.clone(),
            topic: row.topic.clone(),
            partition: row.partition,
            epoch: row.epoch,
            settled: row.written + row.dead_lettered + row.filtered + row.skipped,
            in_flight: row.in_flight,
            replay_from: settled.min().or(claimed),
        }
    };
    ledger.iter().map(entry).collect()
}
