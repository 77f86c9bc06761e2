//! Changing the graph while it runs: what is asked, and what comes of it. The conductor carries it out
//! (`conductor/reload.rs`); ADR 0012 tells the whole of it.

use crate::assemble::Catalog;
use crate::claim::OffsetStore;
use crate::graph::Draft;
use aqueduct_topology::model::Topology;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The topology that shall run from now on.
pub struct Next {
    /// It; of the same name as the one at work.
    pub topology: Arc<Topology>,
    /// See [`crate::Builder::canonical`].
    pub canonical: serde_json::Value,
    /// Where its kinds come from.
    pub catalog: Catalog,
    /// Where its offsets live.
    pub offsets: Option<Arc<dyn OffsetStore>>,
    /// The actors that are in both and must not stay as they are, by name. Those whose links change restart in any case.
    pub restart: BTreeSet<String>,
    /// The generation this was compared with: if it is not at work any more, nothing is done.
    pub onto: u64,
}

/// Why the graph is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It was not begun, or given up before anything was replaced.
    #[error("{0}")]
    Refused(String),
    /// Another one is under way, or has come in between.
    #[error("another reload is under way or has come first; ask again")]
    Busy,
    /// What was started did not hold; what was there before is at work again.
    #[error("rolled back: {0}")]
    RolledBack(String),
    /// The application ended meanwhile.
    #[error("the application has ended")]
    Ended,
}

/// Somebody wants the topology to be read again and applied.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Whether to apply it; else it is only said what would be done.
    pub apply: bool,
    /// Takes what came of it.
    pub reply: oneshot::Sender<ReloadAnswer>,
}

/// What came of it, as an HTTP status and a body for people and programs.
#[derive(Clone, Debug)]
pub struct ReloadAnswer {
    /// 200 = at work.
    pub status: u16,
    /// JSON.
    pub body: serde_json::Value,
}

/// What the conductor is asked.
pub(crate) struct Wanted {
    pub(crate) draft: Draft,
    pub(crate) restart: BTreeSet<String>,
    pub(crate) onto: u64,
    pub(crate) reply: oneshot::Sender<Result<u64, ReloadError>>,
}

impl std::fmt::Debug for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted")
            .field("restart", &self.restart)
            .field("onto", &self.onto)
            .finish_non_exhaustive()
    }
}
