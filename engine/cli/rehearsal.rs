//! Runs a topology on stand-ins, in virtual time and in this thread: for `try` and `test`.
//!
//! Deliberately absent: the admin endpoint, signals, and anything that would open a socket.

use anyhow::Result;
use aqueduct_actors::stand_in::StandIns;
use aqueduct_engine::application::{Handle, RuntimeApplication, Settings};
use aqueduct_engine::{Claims, Clock, Outcome};
use aqueduct_topology::model::Topology;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A topology among stand-ins, before it starts.
pub(crate) struct Rehearsal {
    pub(crate) topology: Arc<Topology>,
    /// When it is, at the start: microseconds since 1970 UTC.
    pub(crate) starts_us: i64,
    /// The partitions of each source; partition 0 where it is silent.
    pub(crate) partitions: BTreeMap<String, BTreeSet<u32>>,
}

impl Rehearsal {
    /// Runs it to its end, with `play` speaking to it; gives its outcome and what `play` gave.
    pub(crate) fn run<F: Future>(
        self,
        play: impl FnOnce(Handle, StandIns, Clock) -> F,
    ) -> Result<(Outcome, F::Output)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let (clock, claims) = (Clock::simulated(self.starts_us), Claims::default());
            let around =
                StandIns::new(self.topology.clone(), clock.clone(), claims.clone(), &self.partitions);
            let kinds = around.clone();
            let application = RuntimeApplication::builder(self.topology)
                .settings(Settings { node: "rehearsal".into(), ..Settings::default() })
                .catalog(Box::new(move |actor| kinds.factory(actor)))
                .offsets(around.offsets())
                .clock(clock.clone())
                .claims(claims)
                .build()?;
            let handle = application.handle();
            Ok(futures::join!(application.run(), play(handle, around, clock)))
        })
    }
}
