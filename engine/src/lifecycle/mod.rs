//! From the first start to the exit code: the conductor, drain, idleness, reload, signals.

pub(crate) mod conductor;
pub(crate) mod drain;
pub(crate) mod idle;
mod manifest;
pub mod reload;
pub(crate) mod signal;
pub mod tally;

pub use manifest::ManifestEntry;

use crate::ledger::LedgerRow;
use crate::supervisor::core::Order;
use std::time::Duration;
use tokio::sync::oneshot;

/// Everything went as it should.
pub const EXIT_OK: u8 = 0;
/// Supervision gave up.
pub const EXIT_ESCALATED: u8 = 70;
/// The engine ended before everything that was read was written; a manifest says what will be replayed.
pub const EXIT_CUT: u8 = 74;
/// The configuration was refused.
pub const EXIT_CONFIG: u8 = 78;

/// How an application ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The process's exit code.
    pub exit_code: u8,
    /// The ledger at the end.
    pub ledger: Vec<LedgerRow>,
    /// Why it ended, for people; the last is the most telling.
    pub reasons: Vec<String>,
    /// What will be replayed; empty unless the drain was cut.
    pub manifest: Vec<ManifestEntry>,
}

/// What a [`crate::Handle`] asks of the conductor.
#[derive(Debug)]
pub(crate) enum Command {
    /// Finish what was read, then end.
    Drain,
    /// End in order, without finishing.
    Stop,
    /// End now.
    Abort,
    /// Drain once nothing has been left to do for so long.
    DrainWhenIdle(Duration),
    /// An operator's word to one actor.
    Order(usize, Order, oneshot::Sender<()>),
    /// Another graph.
    Reload(Box<reload::Wanted>),
}
