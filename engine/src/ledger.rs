//! The fate of every record, per partition and epoch.
//!
//! `read = written + dead_lettered + filtered + skipped + in_flight`; the difference is `unaccounted`, 0 always.

use crate::batch::{Origin, PartitionKey, RawRecords};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The place of a sink in the ledger: its index in the list the ledger was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SinkIndex(pub usize);

/// One line of `/api/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// The topology.
    pub topology: Arc<str>,
    /// The source actor.
    pub source: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The claim.
    pub epoch: i64,
    /// Records the source handed on.
    pub read: u64,
    /// Durable in every required sink.
    pub written: u64,
    /// Rejected by a required branch.
    pub dead_lettered: u64,
    /// Gave no row.
    pub filtered: u64,
    /// Passed over: gone from the log before it could be read.
    pub skipped: u64,
    /// Not decided yet.
    pub in_flight: u64,
    /// What the sum lacks; anything but 0 is a bug worth an alarm.
    pub unaccounted: i64,
}

/// Shared by sources and sinks. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    topology: Arc<str>,
    rows: BTreeMap<(PartitionKey, i64), LedgerRow>,
}

impl Ledger {
    /// A ledger for the sinks with these identities and whether each is required.
    pub fn new(topology: Arc<str>, sinks: Vec<(Arc<str>, bool)>) -> Self {
        let _ = sinks;
        Self { inner: Arc::new(Mutex::new(Inner { topology, rows: BTreeMap::new() })) }
    }

    /// The source hands on these records.
    pub fn read(&self, origin: &Origin, raw: &RawRecords) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let topology = inner.topology.clone();
        let row = inner.rows.entry((origin.key.clone(), origin.epoch)).or_insert_with(|| LedgerRow {
            topology,
            source: origin.key.source.clone(),
            topic: origin.key.topic.clone(),
            partition: origin.key.partition,
            epoch: origin.epoch,
            read: 0,
            written: 0,
            dead_lettered: 0,
            filtered: 0,
            skipped: 0,
            in_flight: 0,
            unaccounted: 0,
        });
        row.read += raw.len() as u64;
    }

    /// A sink has made `origin.first..origin.next` durable. `written` are the offsets of its rows (repeats allowed).
    pub fn settled(&self, sink: SinkIndex, origin: &Origin, written: &[i64]) {
        let _ = (sink, origin, written);
    }

    /// A required branch has rejected the record at `offset`, durably. Saying it twice is saying it once.
    pub fn dead_lettered(&self, key: &PartitionKey, epoch: i64, offset: i64) {
        let _ = (key, epoch, offset);
    }

    /// The source passed over `count` records that the log no longer has.
    pub fn skipped(&self, key: &PartitionKey, epoch: i64, count: u64) {
        let _ = (key, epoch, count);
    }

    /// Completes once every record of that partition and epoch that was read has been settled by every sink.
    pub async fn idle(&self, key: &PartitionKey, epoch: i64) {
        let _ = (key, epoch);
    }

    /// Whether anything at all is in flight.
    pub fn is_idle(&self) -> bool {
        true
    }

    /// Every line.
    pub fn rows(&self) -> Vec<LedgerRow> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).rows.values().cloned().collect()
    }
}
