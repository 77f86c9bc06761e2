//! Runs a topology on stand-ins, in virtual time and in this thread: for `try` and `test`.
//!
//! Invariant: one topology, one play, one seed: one run. Deliberately absent: the admin endpoint, signals, and anything
//! that would open a socket.

mod doors;

pub(crate) use doors::{Doors, is_door};

use anyhow::Result;
use aqueduct_actors::stand_in::{Chance, Mishaps, StandIns};
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
    /// What the world outside leaves to chance.
    pub(crate) seed: u64,
    /// Whether another node runs the same topology.
    pub(crate) has_other: bool,
}

/// What a play speaks to.
pub(crate) struct Stage {
    pub(crate) handle: Handle,
    /// Of the other node, if there is one.
    pub(crate) other: Option<Handle>,
    pub(crate) around: StandIns,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
}

impl Rehearsal {
    /// Runs it to its end, with `play` speaking to it; gives its outcome and what `play` gave.
    pub(crate) fn run<F: Future>(self, play: impl FnOnce(Stage) -> F) -> Result<(Outcome, F::Output)> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let local = tokio::task::LocalSet::new();
        // What the engine itself leaves to chance, the jitter of its waits, follows from the seed too.
        fastrand::seed(self.seed);
        local.block_on(&runtime, async move {
            let (clock, claims) = (Clock::simulated(self.starts_us), Claims::default());
            let chance = Chance::of(self.seed);
            let around = StandIns::new(
                self.topology.clone(),
                clock.clone(),
                claims.clone(),
                &self.partitions,
                chance.clone(),
                Mishaps::default(),
            );
            let settings = Settings { node: "rehearsal".into(), ..Settings::default() };
            let application = around.application(settings.clone())?;
            let other = if self.has_other {
                Some(around.seen_by(1, Claims::default()).application(settings)?)
            } else {
                None
            };
            let other_handle = other.as_ref().map(RuntimeApplication::handle);
            let handle = application.handle();
            let stage = Stage { handle, other: other_handle.clone(), around, clock, chance };
            let first = async {
                let outcome = application.run().await;
                if let Some(other) = other_handle {
                    other.abort().await;
                }
                outcome
            };
            let second = async {
                if let Some(other) = other {
                    other.run().await;
                }
            };
            let (outcome, played, ()) = futures::join!(first, play(stage), second);
            Ok((outcome, played))
        })
    }
}
