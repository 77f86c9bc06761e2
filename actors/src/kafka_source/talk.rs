//! What the polling thread and the actor say to each other.

use aqueduct_engine::port::Outputs;
use aqueduct_engine::{Claim, Error};

/// A stretch during which the group lets us have a partition. Each has its own number, so that an answer that comes
/// too late is known as such.
pub(super) type Grant = u64;

/// From the polling thread.
#[derive(Debug)]
pub(super) enum Report {
    /// The group's answer is known: we are a member. Partitions to claim, perhaps none.
    Granted {
        /// The stretch that begins.
        grant: Grant,
        /// The partitions.
        partitions: Vec<i32>,
    },
    /// The group asks for a partition back: tell when nothing of it is in flight.
    Revoking {
        /// Which.
        partition: i32,
        /// The claim it was read under.
        epoch: i64,
    },
    /// A claim of ours is of no more use.
    Released {
        /// Which.
        partition: i32,
        /// The claim.
        epoch: i64,
    },
    /// The group has these back.
    Revoked {
        /// Which.
        partitions: Vec<i32>,
    },
    /// Something must be waited for.
    Trouble(Error),
    /// Messages flow, or a partition's end was reached: whatever the trouble was, it is over.
    Flowing,
    /// Some partition's next message is not there. Which one, the client does not say: ask where each log spans.
    OutOfRange,
    /// The log of a partition begins after our offset: what lay between is gone. It is not read any more, and all that
    /// was read of it is handed on.
    Gone {
        /// Which.
        partition: i32,
        /// The claim.
        epoch: i64,
        /// The first offset gone.
        from: i64,
        /// Where the log begins now.
        to: i64,
    },
    /// The log of a partition ends before our offset; it is not read any more.
    BeyondEnd {
        /// Which.
        partition: i32,
        /// The offset wanted next.
        next: i64,
        /// The log's end.
        end: i64,
    },
    /// The thread is done; nothing follows.
    Ended {
        /// Why.
        why: End,
        /// Given back: to be closed, or for the next client.
        outputs: Outputs,
    },
}

/// Why the polling thread ended.
#[derive(Debug)]
pub(super) enum End {
    /// It was told to.
    Told,
    /// Everything read was handed on, as it was told to.
    Drained,
    /// The client is of no more use; a new one may be made.
    ClientGone(Error),
    /// Another member took our name: not to be made anew.
    FencedByName(Error),
    /// The links were closed or given to a newer sender.
    OutputClosed,
}

/// To the polling thread.
#[derive(Debug)]
pub(super) enum Order {
    /// Read a partition from `start` on (its claim's start, or the log's where that begins later), if `grant` still
    /// stands.
    Read {
        /// The stretch it was claimed in.
        grant: Grant,
        /// The claim.
        claim: Claim,
        /// Where to begin.
        start: i64,
    },
    /// Stop reading a partition, for the time being: it will be claimed anew.
    Halt {
        /// Which.
        partition: i32,
    },
    /// Where the log of a partition spans.
    Range {
        /// Which.
        partition: i32,
        /// Its first offset.
        start: i64,
        /// One past its last.
        end: i64,
    },
    /// Nothing of a revoked partition is in flight any more, or its time is over.
    Idle {
        /// Which.
        partition: i32,
    },
    /// Tell the group what is written, for tools.
    Commit(Vec<(i32, i64)>),
    /// Stop reading; hand on what was read; end.
    Drain,
    /// End.
    Stop,
}
