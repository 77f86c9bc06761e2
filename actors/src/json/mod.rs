//! JSON as it came: one pass over a message makes a flat tape of positions; nothing is copied, no number is rounded.
//!
//! The tape ([`scan`]) is reused from message to message. [`Document`] reads it, [`Paths`] finds many pointers in one
//! walk. Of a message that has the [`shape`] of an earlier one only the scalars are scanned, and nobody walks ([`Known`]). Numbers keep their text (decimals stay exact), subtrees keep their bytes, nesting is bounded and never costs
//! stack, and of duplicate members the last one counts.
//! A message of another format is written as a [`Draft`], and read like one that came as JSON.
//! The other way, [`rows`] writes typed rows as JSON.
//! Deliberately absent: a tree of values, and repair of what is not JSON.

mod document;
mod draft;
mod known;
mod lanes;
mod paths;
pub mod rows;
mod scan;
mod shape;
mod unescape;

pub use document::{Document, Kind, NodeRef, Scalar, ScalarKind};
pub use draft::{Draft, Name};
pub use known::{Known, KnownEach};
pub use paths::{Paths, Step};
pub use scan::{Fault, FaultKind, Tape};

/// "No node": what a path that leads nowhere resolves to.
pub const NONE: u32 = u32::MAX;

/// Deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 128;

/// Longest message; the tape needs at most six bytes for each byte of it.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

const _: () = assert!(MESSAGE_BYTES_MAX < NONE as usize / 2, "positions fit the tape's 32 bits");
