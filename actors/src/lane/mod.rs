//! Lanes: a part of a topology that is run for a while beside its nodes, with a source of its own. A replay sends letters
//! through one, a backfill records.

pub(crate) mod part;
pub(crate) mod source;
