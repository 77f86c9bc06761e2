//! What a cut drain leaves to be replayed: the next start begins at these offsets, so nothing is lost.

use crate::claim::Claim;
use crate::ledger::{LedgerRow, SettledPosition, SinkIndex};
use serde::Serialize;
use std::sync::Arc;

/// One partition that was not finished.
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
    /// Records read and not decided.
    pub in_flight: u64,
    /// Where the next start begins to read; `None` = nothing of it was settled and no claim is held.
    pub replay_from: Option<i64>,
}

/// The lines of `ledger` that are not done, with how far the furthest-behind required sink has settled, else the claim's
/// start. From memory alone: the store may be what is away.
pub(super) fn manifest(
    ledger: &[LedgerRow],
    positions: &[SettledPosition],
    required: impl Fn(SinkIndex) -> bool,
    claims: &[Arc<Claim>],
) -> Vec<ManifestEntry> {
    let unfinished = ledger.iter().filter(|row| row.in_flight > 0);
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
            in_flight: row.in_flight,
            replay_from: settled.min().or(claimed),
        }
    };
    unfinished.map(entry).collect()
}
