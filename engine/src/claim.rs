//! Who owns a partition: claims, and the store that keeps them beside the rows.
//!
//! A claim gives this process an epoch (one more than any before) and a random owner token for one partition, in one
//! transaction for all its sinks. Every later write of an offset names both, so a zombie's write hits no row.

use crate::batch::PartitionKey;
use crate::class::Error;
use crate::planted::{Bug, planted};
use crate::telemetry::Figures;
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A random 128-bit token, unique to one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u128);

impl Owner {
    /// A fresh one.
    pub fn random() -> Self {
        Self(fastrand::u128(..))
    }
}

/// How a sink takes part in claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkIdentity {
    /// Its `id`.
    pub id: Arc<str>,
    /// The identity it takes over, if a file says so.
    pub adopts: Option<Arc<str>>,
    /// The table (or other place) it feeds; a place fed under another id is refused.
    pub target: Arc<str>,
    /// Whether a record counts as written only when this sink has it.
    pub required: bool,
}

/// Where one partition stands in Kafka, asked before the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The first offset the log still has.
    pub start: i64,
    /// The high watermark.
    pub end: i64,
    /// Where reading begins here if no sink has an offset: what `start: earliest | latest | <time>` means, or the log's
    /// start in a partition that came later.
    pub initial: i64,
}

/// A partition to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Which.
    pub key: PartitionKey,
    /// What Kafka has.
    pub log: LogRange,
    /// Whether the topic has begun ([`OffsetStore::begin`]), so that a partition without an offset is one that came later.
    /// Where nothing of the topic is stored any more the claim is refused, to be asked again.
    pub begun: bool,
}

/// A partition that is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which.
    pub key: PartitionKey,
    /// One more than any before.
    pub epoch: i64,
    /// Ours alone.
    pub owner: Owner,
    /// Where reading starts: the least of the sinks' offsets, after clamping best-effort sinks.
    pub start: i64,
    /// Each sink's own next offset; what lies below it, that sink already has.
    pub sinks: BTreeMap<Arc<str>, i64>,
    /// Records a best-effort sink will not see because it was too far behind, by sink.
    pub skipped: BTreeMap<Arc<str>, i64>,
}

/// Where offsets live. Implemented beside the rows (TimescaleDB), by Kafka's own group offsets, and in memory.
pub trait OffsetStore: Send + Sync {
    /// Claims all of `requests` for all sinks of the topology, in one transaction.
    /// Transient faults are the caller's to retry; [`crate::Class::Config`] says what somebody must change.
    fn claim<'a>(&'a self, requests: &'a [ClaimRequest]) -> LocalBoxFuture<'a, Result<Vec<Claim>, Error>>;

    /// Whether `source` has begun with `topic`: some sink downstream of it has an offset there. A store in which nothing
    /// begins says yes.
    fn has_begun<'a>(&'a self, source: &'a str, topic: &'a str) -> LocalBoxFuture<'a, Result<bool, Error>> {
        let _ = (source, topic);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Stores where each partition that `topic` has begins for every sink of `source`, unless it has begun; in one
    /// transaction, whoever comes first. From then on a partition without an offset is one that the topic has grown by:
    /// nothing of it was ever there to pass over, and it begins at its start, whoever claims it and whenever.
    fn begin<'a>(
        &'a self,
        source: &'a str,
        topic: &'a str,
        starts: &'a BTreeMap<i32, i64>,
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        let _ = (source, topic, starts);
        Box::pin(std::future::ready(Ok(())))
    }

    /// The stored next offset per sink and partition, for lag and the ledger.
    fn positions<'a>(&'a self) -> LocalBoxFuture<'a, Result<Vec<Position>, Error>>;

    /// Records how far `sink`, which keeps no offsets beside its rows, has come: partition, epoch, next offset. Guarded
    /// like every offset: what was claimed anew since hits nothing, and no offset goes back. A store in which every sink
    /// records its own has nothing to do here.
    fn advance<'a>(
        &'a self,
        sink: &'a str,
        positions: &'a [(PartitionKey, i64, i64)],
    ) -> LocalBoxFuture<'a, Result<(), Error>> {
        let _ = (sink, positions);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Who keeps the logs, if somebody here can tell.
    fn logs(&self) -> Option<&dyn Logs> {
        None
    }

    /// Shows what can be measured of the place where offsets live, such as its connections; again and again, on
    /// telemetry's own beat.
    fn measure<'a>(&'a self, figures: &'a Figures) -> LocalBoxFuture<'a, ()> {
        let _ = figures;
        Box::pin(std::future::ready(()))
    }

    /// Whether offsets ride in the rows' transaction (exactly once) or are committed after it (at least once).
    fn exactly_once(&self) -> bool;
}

/// A stored offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which sink.
    pub sink: Arc<str>,
    /// Which partition.
    pub key: PartitionKey,
    /// The claim it was written under.
    pub epoch: i64,
    /// The next offset that sink needs.
    pub next_offset: i64,
    /// Whether somebody moved it under a claim of this process: the claim does not hold, and nobody else has the partition.
    pub moved: bool,
    /// Whose claim that was.
    pub holder: Holder,
    /// How long the offset has not moved, as far as the store can tell.
    pub resting: Duration,
}

/// Whose claim a stored offset was written under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This node's, in this life or one before.
    Ours,
    /// Another node's, which is there.
    Other,
    /// Another node's, of which nothing is there any more.
    Nobody,
}

/// Who keeps the logs and can tell where they begin and end, whether or not anybody reads them. Asked by telemetry alone,
/// on its own beat, so an answer may take its time but must not keep a thread of actors from their work.
pub trait Logs: Send + Sync {
    /// Where every partition of `topic` begins and ends, as a reader of committed records sees it.
    fn ranges<'a>(&'a self, topic: &'a str) -> LocalBoxFuture<'a, Result<BTreeMap<i32, LogRange>, Error>>;
}

/// Why a claim does not hold any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// Somebody newer owns the partition.
    Fenced,
    /// The database has an older offset than we had committed, or an older claim than ours: it went back in time.
    WentBack,
    /// We gave it up ourselves: what was on its way under it was dropped when the graph changed.
    Renounced,
}

/// The newest claim of every partition this process holds. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    newest: Arc<Mutex<BTreeMap<PartitionKey, Arc<Claim>>>>,
    rewinds: Arc<Mutex<BTreeMap<PartitionKey, (i64, Loss)>>>,
    /// The greatest epoch given up, by partition.
    renounced: Arc<Mutex<BTreeMap<PartitionKey, i64>>>,
}

impl Claims {
    /// Records a claim just made; batches of older epochs are dropped from now on.
    pub fn insert(&self, claim: Claim) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(&claim.key).is_none_or(|old| old.epoch < claim.epoch) {
            newest.insert(claim.key.clone(), Arc::new(claim));
        }
    }

    /// The newest claim of that partition.
    pub fn get(&self, key: &PartitionKey) -> Option<Arc<Claim>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Forgets a released partition, unless it was claimed again since.
    pub fn release(&self, key: &PartitionKey, epoch: i64) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.get(key).is_some_and(|claim| claim.epoch == epoch) {
            newest.remove(key);
        }
    }

    /// Whether batches of that epoch are to be dropped: a newer claim was made, or this one was given up.
    pub fn is_stale(&self, key: &PartitionKey, epoch: i64) -> bool {
        let newer = self.get(key).is_some_and(|newest| newest.epoch > epoch);
        newer || {
            let renounced = self.renounced.lock().unwrap_or_else(PoisonError::into_inner);
            renounced.get(key).is_some_and(|&given_up| given_up >= epoch)
        }
    }

    /// Gives up every claim of that source: what is on its way under them is dropped wherever it is, and the source
    /// claims anew and reads from what is stored. So a link may be thrown away with what it holds: nothing behind the
    /// gap is taken for its continuation.
    pub fn renounce(&self, source: &str) {
        let held: Vec<_> = self.all().into_iter().filter(|claim| *claim.key.source == *source).collect();
        for claim in held {
            let mut renounced = self.renounced.lock().unwrap_or_else(PoisonError::into_inner);
            let given_up = renounced.entry(claim.key.clone()).or_insert(claim.epoch);
            *given_up = claim.epoch.max(*given_up);
            drop(renounced);
            self.request_rewind(&claim.key, claim.epoch, Loss::Renounced);
        }
    }

    /// A sink found that the claim of `epoch` does not hold: the source must claim the partition anew and read from
    /// there. Asking again changes nothing.
    pub fn request_rewind(&self, key: &PartitionKey, epoch: i64, loss: Loss) {
        if planted(Bug::RewindsNothing) {
            return;
        }
        let mut rewinds = self.rewinds.lock().unwrap_or_else(PoisonError::into_inner);
        if rewinds.get(key).is_none_or(|(older, _)| *older < epoch) {
            rewinds.insert(key.clone(), (epoch, loss));
        }
    }

    /// For the source of that identity: the partitions to claim anew, each with the epoch that was lost. A request
    /// under a claim that is not the newest any more is void.
    pub fn take_rewinds(&self, source: &str) -> Vec<(PartitionKey, i64, Loss)> {
        let mut rewinds = self.rewinds.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        rewinds.retain(|key, (epoch, loss)| {
            if *key.source != *source {
                return true;
            }
            if newest.get(key).is_some_and(|claim| claim.epoch == *epoch) {
                taken.push((key.clone(), *epoch, *loss));
            }
            false
        });
        taken
    }

    /// Every claim held.
    pub fn all(&self) -> Vec<Arc<Claim>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
