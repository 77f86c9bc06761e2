//! What a source reads: a log per partition that may grow while it is read.

use crate::replay_source::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The logs of one topic. Its partitions are fixed, as those of a topic are while it is read.
#[derive(Debug)]
pub struct Feed {
    /// The identity of the source.
    pub(super) source: Arc<str>,
    /// The topic.
    pub(super) topic: Arc<str>,
    logs: Mutex<BTreeMap<u32, Vec<Arc<Message>>>>,
    pub(super) changed: Notify,
}

impl Feed {
    pub(super) fn new(source: &str, topic: &str, mut partitions: BTreeSet<u32>) -> Self {
        if partitions.is_empty() {
            partitions.insert(0);
        }
        Self {
            source: source.into(),
            topic: topic.into(),
            logs: Mutex::new(partitions.into_iter().map(|partition| (partition, Vec::new())).collect()),
            changed: Notify::new(),
        }
    }

    /// Appends `message` to its partition (the first one where it says none); gives its partition and offset.
    ///
    /// # Panics
    /// If the feed was made without that partition.
    pub fn send(&self, message: Message) -> (u32, i64) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *logs.keys().next().expect("invariant: a feed has a partition");
        let partition = message.partition.unwrap_or(first);
        let log = logs.get_mut(&partition).expect("invariant: the feed was made with every partition");
        log.push(Arc::new(message));
        self.changed.notify_waiters();
        (partition, log.len() as i64 - 1)
    }

    /// How many messages each partition has.
    pub fn lengths(&self) -> BTreeMap<u32, i64> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter().map(|(partition, log)| (*partition, log.len() as i64)).collect()
    }

    pub(super) fn partitions(&self) -> Vec<u32> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    pub(super) fn length(&self, partition: u32) -> i64 {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.get(&partition).map_or(0, |log| log.len() as i64)
    }

    /// At most `most` messages from `offset` on.
    pub(super) fn read(&self, partition: u32, offset: i64, most: usize) -> Vec<Arc<Message>> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs.get(&partition).map_or(&[][..], Vec::as_slice);
        log.iter().skip(usize::try_from(offset).unwrap_or(0)).take(most).cloned().collect()
    }
}
