//! What a topology will do, said before it runs: who restarts whom, what each edge carries, what each sink promises,
//! where a restart begins, and how much memory it may take.
//!
//! Everything follows from the model and from [`bounds`](crate::bounds). Deliberately absent: measurements, and what
//! only a running node knows (how many partitions it was given, how large their messages are).

mod crash;
mod delivery;
mod edge;
mod gate;
mod memory;
mod storage;
mod text;
mod threads;
mod words;

pub use crash::{Crash, Escalation, SupervisorNote};
pub use delivery::{Delivery, RestartPoint};
pub use edge::{CaseNote, ColumnNote, EdgeNote, NormalizerNote};
pub use gate::{GateNote, OverrideNote};
pub use memory::{Addend, Memory, memory, over_budget};
pub use storage::TableNote;
pub use text::to_text;
pub use threads::{ActorLoad, ThreadNote};

use crate::model::Topology;
use serde::Serialize;

/// All of it; the JSON form is this, field by field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The topology's name.
    pub topology: String,
    /// The supervisors, root first.
    pub supervisors: Vec<SupervisorNote>,
    /// What a crash of each actor brings about, in the file's order.
    pub crashes: Vec<Crash>,
    /// What flows, edge by edge.
    pub edges: Vec<EdgeNote>,
    /// How each normalizer finds its rows.
    pub normalizers: Vec<NormalizerNote>,
    /// How each gate judges its keys.
    pub gates: Vec<GateNote>,
    /// What each sink promises.
    pub sinks: Vec<Delivery>,
    /// How the tables with a policy are kept, and who carries it out.
    pub tables: Vec<TableNote>,
    /// Where each source begins after a restart.
    pub restart_points: Vec<RestartPoint>,
    /// Which actors share a thread.
    pub threads: Vec<ThreadNote>,
    /// The worst case, addend by addend.
    pub memory: Memory,
}

/// Explains a topology on a node with at most so many arbiters.
pub fn explain(topology: &Topology, arbiters_max: usize) -> Explanation {
    Explanation {
        topology: topology.name.value.clone(),
        supervisors: crash::supervisors(topology),
        crashes: crash::crashes(topology),
        edges: edge::edges(topology),
        normalizers: edge::normalizers(topology),
        gates: gate::gates(topology),
        sinks: delivery::sinks(topology),
        tables: storage::tables(topology),
        restart_points: delivery::restart_points(topology),
        threads: threads::threads(topology, arbiters_max),
        memory: memory(topology),
    }
}
