//! What a source reads: a log per partition that may grow while it is read, and which node reads it.

use crate::replay_source::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Which of the nodes; the first is the one a test looks at.
pub(super) type Node = usize;

/// How a partition goes from one node to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handover {
    /// The old owner finishes what it has begun, then lets go.
    Graceful,
    /// The old owner is told that it has lost it.
    Sudden,
    /// The old owner is told nothing, and goes on.
    Unnoticed,
}

/// The logs of one topic. Its partitions are fixed, as those of a topic are while it is read.
#[derive(Debug)]
pub struct Feed {
    /// The identity of the source.
    pub(super) source: Arc<str>,
    /// The topic.
    pub(super) topic: Arc<str>,
    logs: Mutex<BTreeMap<u32, Vec<Entry>>>,
    owners: Mutex<BTreeMap<u32, Owners>>,
    pub(super) changed: Notify,
}

/// A message, or the marker of a transaction, which takes an offset and holds none.
type Entry = Option<Arc<Message>>;

/// Who reads one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Owners {
    node: Node,
    /// How often it was given.
    generation: u64,
    /// To whom it goes once `node` has let go.
    next: Option<(Node, Handover)>,
    /// Who still takes it for its own.
    zombie: Option<(Node, u64)>,
}

/// What a node believes of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) generation: u64,
    /// It is to let go, in that way.
    pub(super) leaving: Option<Handover>,
}

impl Feed {
    pub(super) fn new(source: &str, topic: &str, mut partitions: BTreeSet<u32>) -> Self {
        if partitions.is_empty() {
            partitions.insert(0);
        }
        Self {
            source: source.into(),
            topic: topic.into(),
            owners: Mutex::new(partitions.iter().map(|partition| (*partition, Owners::default())).collect()),
            logs: Mutex::new(partitions.into_iter().map(|partition| (partition, Vec::new())).collect()),
            changed: Notify::new(),
        }
    }

    /// Appends `message` to its partition (the first one where it says none); gives its partition and offset.
    ///
    /// # Panics
    /// If the feed was made without that partition.
    pub fn send(&self, message: Message) -> (u32, i64) {
        let mut logs = self.logs();
        let first = *logs.keys().next().expect("invariant: a feed has a partition");
        let partition = message.partition.unwrap_or(first);
        let log = logs.get_mut(&partition).expect("invariant: the feed was made with every partition");
        log.push(Some(Arc::new(message)));
        self.changed.notify_waiters();
        (partition, log.len() as i64 - 1)
    }

    /// A transaction ends in `partition`.
    pub fn mark(&self, partition: u32) {
        if let Some(log) = self.logs().get_mut(&partition) {
            log.push(None);
        }
        self.changed.notify_waiters();
    }

    /// How long the log of each partition is.
    pub fn lengths(&self) -> BTreeMap<u32, i64> {
        self.logs().iter().map(|(partition, log)| (*partition, log.len() as i64)).collect()
    }

    pub(super) fn length(&self, partition: u32) -> i64 {
        self.logs().get(&partition).map_or(0, |log| log.len() as i64)
    }

    /// What stands at `offset` and behind it, up to `most`.
    pub(super) fn read(&self, partition: u32, offset: i64, most: usize) -> Vec<Entry> {
        let logs = self.logs();
        let log = logs.get(&partition).map_or(&[][..], Vec::as_slice);
        log.iter().skip(usize::try_from(offset).unwrap_or(0)).take(most).cloned().collect()
    }

    /// Gives `partition` (every one where none is said) to `node`, away from whoever has it.
    pub(super) fn give(&self, partition: Option<u32>, node: Node, handover: Handover) {
        for (_, owners) in self.owners().iter_mut().filter(|(of, _)| partition.is_none_or(|one| one == **of))
        {
            if handover == Handover::Unnoticed {
                owners.zombie = Some((owners.node, owners.generation));
                (owners.node, owners.generation) = (node, owners.generation + 1);
                owners.next = None;
            } else {
                owners.next = Some((node, handover));
            }
        }
        self.changed.notify_waiters();
    }

    /// What `node` takes for its own.
    pub(super) fn granted(&self, node: Node) -> BTreeMap<u32, Grant> {
        let grant = |(partition, owners): (&u32, &Owners)| {
            let leaving = owners.next.map(|(_, handover)| handover);
            let own = (owners.node == node).then_some(Grant { generation: owners.generation, leaving });
            let zombie = owners.zombie.filter(|(zombie, _)| *zombie == node);
            let taken = zombie.map(|(_, generation)| Grant { generation, leaving: None });
            Some((*partition, own.or(taken)?))
        };
        self.owners().iter().filter_map(grant).collect()
    }

    /// `node` has let go of it, or learned that it has lost it.
    pub(super) fn released(&self, node: Node, partition: u32) {
        if let Some(owners) = self.owners().get_mut(&partition) {
            owners.zombie = owners.zombie.filter(|(zombie, _)| *zombie != node);
            if owners.node == node
                && let Some((next, _)) = owners.next.take()
            {
                (owners.node, owners.generation) = (next, owners.generation + 1);
            }
        }
        self.changed.notify_waiters();
    }

    fn logs(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<Entry>>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<u32, Owners>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
