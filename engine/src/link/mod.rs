//! Bounded links between actors, with leases.
//!
//! One link per edge (and per clone of its reader), one sender and one receiver at a time. A link belongs to the
//! runtime: it survives the restarts of both its actors, and with it everything sent and not settled.
//!
//! - **Room** is counted in batches and bytes; leased batches count until settled. A batch above the byte bound enters
//!   an empty link alone.
//! - **Sending again** what was sent before is harmless: per partition and epoch the link knows how far it has come.
//! - **Leases**: a batch leaves only when settled. A lease dropped unsettled, or held by a receiver that was replaced,
//!   is delivered again, in order.
//! - **Generations**: making a new end cuts off the earlier one, wherever it still runs: its pushes find the link
//!   closed, its settlements do nothing.
//! - **Probation** finds the record that kills its receiver; see [`Link::receiver_crashed`].
//! - **Cancellation**: any future here may be dropped; nothing is taken or sent by it then.
//!
//! Deliberately absent: clocks, and knowledge of who may own a partition (the inputs of an actor drop what is stale).

pub mod protocol;
mod sync;

#[cfg(any(test, feature = "planted"))]
pub mod model;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod tests;

pub use self::protocol::{Bounds, Closed, Ending, Fill, Flow, Ring};

use crate::batch::{Batch, PartitionKey};

/// A link of batches.
pub type Link = self::protocol::Link<Batch>;
/// The sending end of a link.
pub type Sender = self::protocol::Sender<Batch>;
/// The receiving end of a link.
pub type Receiver = self::protocol::Receiver<Batch>;
/// A batch on lease.
pub type Lease = self::protocol::Lease<Batch>;
/// Why a batch was not taken.
pub type TryPushError = self::protocol::TryPushError<Batch>;
/// What a crash of the receiver meant.
pub type Crash = self::protocol::Crash<Batch>;

impl Flow for Batch {
    type Key = PartitionKey;

    fn key(&self) -> &PartitionKey {
        &self.origin.key
    }

    fn epoch(&self) -> i64 {
        self.origin.epoch
    }

    fn first(&self) -> i64 {
        self.origin.first
    }

    fn next(&self) -> i64 {
        self.origin.next
    }

    fn weight(&self) -> usize {
        self.bytes()
    }

    fn records(&self) -> usize {
        self.raw.len()
    }

    fn first_record(&self) -> Option<i64> {
        self.raw.offsets.values().first().copied()
    }

    fn starting_at(&self, offset: i64) -> Self {
        Batch::from_offset(self, offset)
    }

    fn halves(&self) -> Option<(Self, Self)> {
        Batch::halves(self)
    }

    fn emptied(&self) -> Self {
        Batch::emptied(self)
    }
}
