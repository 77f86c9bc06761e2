//! Brings the stored offsets to the lag boards: the only I/O of telemetry, on its own beat, never at scrape time. What it
//! sees of offsets that were moved under us it tells to who claims.

use crate::batch::PartitionKey;
use crate::claim::{Claims, Loss, OffsetStore, Position};
use crate::limits::{LAG_PROBE_EVERY, LAG_PROBE_WAIT_MAX};
use crate::registry::Registry;
use crate::supervisor::host::Role;
use crate::task::{self, Task};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// Where stored offsets are read; a reload may change the place.
pub(crate) type Store = watch::Receiver<Arc<dyn OffsetStore>>;

/// Asks the store again and again. An answer that fails leaves the boards as they are: lag goes on rising, which is
/// what it does while the store is away.
pub(crate) fn start(store: Store, registry: Arc<Registry>, claims: Claims) -> Task {
    task::spawn("lag probe", async move {
        let clock = registry.clock.clone();
        loop {
            let offsets = store.borrow().clone();
            match clock.timeout(LAG_PROBE_WAIT_MAX, offsets.positions()).await {
                Ok(Ok(positions)) => {
                    notice_moved(&claims, &positions);
                    enter(&registry, &registry.ledger.required_sinks(), &positions);
                }
                Ok(Err(error)) => tracing::debug!(%error, "cannot read stored offsets"),
                Err(timed_out) => tracing::debug!(%timed_out, "cannot read stored offsets"),
            }
            clock.sleep(LAG_PROBE_EVERY).await;
        }
    })
}

/// An operator moved offsets under us: who has something to write finds out by itself, and who is idle would go on
/// waiting at the old place.
fn notice_moved(claims: &Claims, positions: &[Position]) {
    for position in positions.iter().filter(|position| position.moved) {
        if let Some(claim) = claims.get(&position.key).filter(|claim| claim.epoch < position.epoch) {
            claims.request_rewind(&position.key, claim.epoch, Loss::WentBack);
        }
    }
}

/// The furthest-behind required sink decides; a topology without one goes by all of them.
fn enter(registry: &Registry, required: &[Arc<str>], positions: &[Position]) {
    let mut next: BTreeMap<&PartitionKey, i64> = BTreeMap::new();
    let counts = |position: &&Position| required.is_empty() || required.contains(&position.sink);
    for position in positions.iter().filter(counts) {
        let least = next.entry(&position.key).or_insert(position.next_offset);
        *least = (*least).min(position.next_offset);
    }
    for entry in registry.roster().entries().filter(|entry| entry.role == Role::Source) {
        for (key, next) in next.iter().filter(|(key, _)| key.source == entry.identity.id) {
            entry.status.lag().stored(&key.topic, key.partition, *next);
        }
    }
}
