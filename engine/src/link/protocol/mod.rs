//! The protocol of a link, generic over what flows and over the primitives it is built from.
//!
//! This folder is compiled twice: against the standard library for use, and against loom's types for the model. So it
//! names no atomic, mutex or queue but those of `super::sync`.
//!
//! How an item passes: the sender charges it (one batch, so many bytes) and puts it into the ring; the receiver takes
//! it out and *holds* it, keeping it charged, until it is settled. What is held outlives the lease, so a receiver that
//! dies has taken nothing with it.
//!
//! Invariants: the items in the ring never number more than the ring's capacity, because an item is charged before it
//! enters and everything in the ring is charged; only the current generation of each end changes anything; held items
//! come before the ring's, in the order in which they were sent.

use super::sync;

mod bell;
mod lease;
mod probation;
mod receiving;
mod sending;

pub use lease::{Ending, Lease};
pub use probation::Crash;
pub use receiving::Receiver;
pub use sending::{Closed, Sender, TryPushError};

use crate::planted::{Bug, planted};
use bell::Bell;
use receiving::Receiving;
use sending::Sending;
use std::fmt;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::{Arc, PoisonError};
use sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Queue};

/// A bounded queue for one sender and one receiver. Both ends are used under their own lock, so nothing stronger is
/// asked of it than that what was pushed is seen by the pop that takes it.
pub trait Ring<T> {
    /// Room for so many.
    fn with_capacity(capacity: usize) -> Self;
    /// Gives the item back when full.
    fn push(&self, item: T) -> Result<(), T>;
    /// The oldest.
    fn pop(&self) -> Option<T>;
}

/// What may travel on a link: a run of records of one partition, which can be cut.
pub trait Flow: Sized {
    /// Names the partition.
    type Key: Ord + Clone;

    /// The partition.
    fn key(&self) -> &Self::Key;
    /// The claim under which it was read.
    fn epoch(&self) -> i64;
    /// The first offset covered.
    fn first(&self) -> i64;
    /// One past the last offset covered.
    fn next(&self) -> i64;
    /// Bytes, as the link charges them.
    fn weight(&self) -> usize;
    /// How many records it holds.
    fn records(&self) -> usize;
    /// The offset of its first record; `None` when it holds none.
    fn first_record(&self) -> Option<i64>;
    /// The part at and after `offset`, which lies within.
    fn starting_at(&self, offset: i64) -> Self;
    /// Two parts with at least one record each; `None` when it holds fewer than two.
    fn halves(&self) -> Option<(Self, Self)>;
    /// The same range without its records.
    fn emptied(&self) -> Self;
}

/// How much a link holds, leased batches included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Batches.
    pub batches: usize,
    /// Bytes; a larger batch enters an empty link alone.
    pub bytes: usize,
}

/// How full a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fill {
    /// Batches, leased ones included.
    pub batches: usize,
    /// Bytes.
    pub bytes: usize,
    /// The larger of both shares, 0..=1.
    pub ratio: f64,
}

/// A link. It belongs to the runtime, so it survives the restarts of both its actors.
pub struct Link<T: Flow> {
    bounds: Bounds,
    ring: Queue<Arc<T>>,
    /// Charged: in the ring or held. The sender adds, settling subtracts; a split adds one.
    batches: AtomicUsize,
    /// The bytes of those.
    bytes: AtomicUsize,
    /// No batch will follow.
    closed: AtomicBool,
    /// How many held items are on probation; written under `receiving`.
    suspects: AtomicUsize,
    sending: Mutex<Sending<T::Key>>,
    receiving: Mutex<Receiving<T>>,
    /// Rung when room may have appeared.
    room: Bell,
    /// Rung when something may be there to take.
    arrival: Bell,
}

impl<T: Flow> Link<T> {
    /// An empty link.
    ///
    /// # Panics
    /// If a bound is 0.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        assert!(bounds.batches > 0 && bounds.bytes > 0, "a link of {bounds:?} lets nothing pass");
        Arc::new(Self {
            bounds,
            ring: Queue::with_capacity(bounds.batches),
            batches: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            suspects: AtomicUsize::new(0),
            sending: Mutex::new(Sending::new()),
            receiving: Mutex::new(Receiving::new()),
            room: Bell::new(),
            arrival: Bell::new(),
        })
    }

    /// The sending end; an earlier one is cut off.
    pub fn sender(self: &Arc<Self>) -> Sender<T> {
        Sender::new(self)
    }

    /// The receiving end; an earlier one is cut off and what it had not settled is delivered again.
    pub fn receiver(self: &Arc<Self>) -> Receiver<T> {
        Receiver::new(self)
    }

    /// Its bounds.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let (batches, bytes) = (self.batches.load(Relaxed), self.bytes.load(Relaxed));
        let share = |part: usize, whole: usize| part as f64 / whole as f64;
        let ratio = share(batches, self.bounds.batches).max(share(bytes, self.bounds.bytes));
        Fill { batches, bytes, ratio: ratio.min(1.0) }
    }

    /// Whether its sender has said that no batch will follow.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether nothing is in it, leased batches included.
    pub fn is_empty(&self) -> bool {
        self.batches.load(Acquire) == 0
    }

    /// Whether it is closed and everything in it was settled: no batch can come from it any more.
    pub fn is_finished(&self) -> bool {
        self.is_closed() && self.is_empty()
    }

    /// Whether what it holds is suspected of killing its receiver, and handed out piece by piece.
    pub fn on_probation(&self) -> bool {
        self.suspects.load(Acquire) > 0
    }

    /// Records that ever entered, each once: what is sent again is dropped, and a redelivery enters nothing.
    pub fn entered(&self) -> u64 {
        self.sending().entered
    }

    /// Batches on lease.
    pub fn leased(&self) -> usize {
        self.receiving().out
    }

    /// Whether something of this weight may enter.
    fn has_room(&self, weight: usize) -> bool {
        let batches = self.batches.load(Acquire);
        let fits = self.bytes.load(Acquire).saturating_add(weight) <= self.bounds.bytes
            || planted(Bug::CountsNoBytes);
        batches < self.bounds.batches && (fits || batches == 0)
    }

    fn sending(&self) -> MutexGuard<'_, Sending<T::Key>> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving<T>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Flow> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("bounds", &self.bounds)
            .field("fill", &self.fill())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
