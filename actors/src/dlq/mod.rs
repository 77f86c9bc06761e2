//! Dead letters of a topology, read and sent through it again.
//!
//! [`list`], [`payloads`] and [`counts`] look at them, by a [`Filter`]. A replay chooses ([`groups`], [`take`]), finds the
//! way of each letter through the topology ([`Lane`]) and runs it ([`Replay`]): the letters are a source of their own,
//! `dlq:<topology>`, with the letter's id as offset and a claim of its own; what became of a letter is marked in the
//! transaction of its rows. So it may run beside nodes, be killed anywhere, and be run again.
//!
//! Three rules carry that; each has its reasons where it is kept, and a test that fails without it
//! (`tests/e2e/dlq/interrupted.rs`):
//! - a replay claims before it chooses ([`begin`], `offsets.rs`), and only the newest claim marks;
//! - a sink marks a letter only if its record was handed on under the claim it writes under (`run.rs`);
//! - a record is taken only once no claim of a node will judge it again (`select.rs`).
//!
//! Letters of a topology without TimescaleDB are in a topic, where nothing can be marked: they are none of this module's.

mod again;
mod cache;
mod filter;
mod lane;
mod offsets;
mod read;
mod replay;
mod rows;
mod run;
mod select;
mod source;
mod store;

pub use filter::{Filter, Word};
pub use lane::{Lane, ROWS};
pub use offsets::begin;
pub use read::{Again, Count, Letter, Page, Payload, Place, Sample, counts, list, payloads, samples};
pub use replay::{Fates, Replay, exclude_others, fates, finish, moved};
pub use run::Taken;
pub use select::{Choice, Group, RUN_LETTERS_MAX, groups, newest, take};

/// What the identity of a replay's source begins with; the topology's name follows. No actor can be named so.
pub const SOURCE_PREFIX: &str = "dlq:";
