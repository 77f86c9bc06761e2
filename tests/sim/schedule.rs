//! What goes wrong, and when, by a seed: what somebody or something does to a node, an actor or a store. What strikes a
//! single question is drawn apart, at each of them ([`Mishaps`](aqueduct_actors::stand_in::Mishaps)).

use super::workload::Workload;
use aqueduct_actors::stand_in::{Crash, Handover, Trouble};
use std::time::Duration;

/// Everything begins within this; afterwards all is well again.
pub const LASTS: Duration = Duration::from_secs(20);

/// One thing done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// An actor of that node ends by its own fault, or stands still.
    Crash { node: usize, actor: &'static str, how: Crash },
    /// Somebody restarts it, so often in a row; its siblings start again with it, as their supervisor says.
    Restart { node: usize, actor: &'static str, times: u32 },
    /// What it speaks to has trouble.
    Trouble { actor: &'static str, what: Trouble, lasting: Duration },
    /// Kill -9, and a new process of the node after a while.
    Kill { node: usize, down: Duration },
    /// A node is drained, and a new process of it starts.
    Roll { node: usize },
    /// Partitions go to that node.
    HandOver { partition: Option<u32>, to: usize, how: Handover },
    /// A node nobody hears of again claims partitions.
    Usurp { partition: Option<u32> },
    /// The database is copied, for a standby.
    BackUp,
    /// The standby takes over; what was committed since the copy is gone.
    FailOver,
}

/// What goes wrong in one run.
#[derive(Clone, Debug)]
pub struct Schedule {
    pub nodes: usize,
    /// In order.
    pub acts: Vec<(Duration, Act)>,
    /// Of a thousand questions so many are struck.
    pub mishaps_per_mille: u64,
    /// How it ends when all is decided.
    pub end: End,
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Drain,
    DrainWhenIdle,
}

/// Crashes that one run may bring upon an actor: fewer than speak against a record it holds.
pub const CRASHES_MAX: u32 = 2;

impl Schedule {
    /// Nothing goes wrong.
    pub fn calm() -> Self {
        Self { nodes: 1, acts: Vec::new(), mishaps_per_mille: 0, end: End::Drain }
    }

    /// Those acts on one node, each at so many milliseconds, and nothing else.
    pub fn script(acts: Vec<(u64, Act)>, end: End) -> Self {
        let acts = acts.into_iter().map(|(at, act)| (Duration::from_millis(at), act)).collect();
        Self { acts, end, ..Self::calm() }
    }

    /// Whether nothing happens that a node would not finish its work under.
    pub fn is_gentle(&self) -> bool {
        self.mishaps_per_mille == 0 && self.acts.iter().all(|(_, act)| matches!(act, Act::Roll { .. }))
    }

    pub fn of(rng: &mut fastrand::Rng, workload: &Workload) -> Self {
        let end = if rng.bool() { End::Drain } else { End::DrainWhenIdle };
        if rng.u8(..12) == 0 {
            return Self { end, ..Self::calm() };
        }
        let nodes = rng.usize(1..=2);
        let mut acts = Vec::new();
        let mut crashes = 0;
        for _ in 0..rng.usize(1..=8) {
            let at = Duration::from_millis(rng.u64(..LASTS.as_millis() as u64 - 4000));
            let act = act(rng, workload, nodes);
            match act {
                Act::Crash { .. } if crashes == CRASHES_MAX => continue,
                Act::Crash { .. } => crashes += 1,
                Act::FailOver => {
                    acts.push((at.saturating_sub(Duration::from_millis(rng.u64(1..3000))), Act::BackUp))
                }
                _ => {}
            }
            acts.push((at, act));
        }
        acts.sort_by_key(|(at, _)| *at);
        let mishaps_per_mille = [0, 5, 20, 60][rng.usize(..4)];
        Self { nodes, acts, mishaps_per_mille, end }
    }
}

fn act(rng: &mut fastrand::Rng, workload: &Workload, nodes: usize) -> Act {
    let node = rng.usize(..nodes);
    let actors = ["ticks", "trades", "history", "last", "dead_letter", "copy"];
    let speaking = ["history", "last", "dead_letter", "copy"];
    let partition = rng.bool().then(|| rng.u32(..workload.partitions));
    let some = |rng: &mut fastrand::Rng, of: &[&'static str]| {
        let known = of.len() - usize::from(!workload.copy);
        of[rng.usize(..known)]
    };
    match rng.u8(..12) {
        0..=2 => {
            let how = match rng.u8(..8) {
                0 => Crash::Freeze,
                1..=4 => Crash::Error,
                _ => Crash::Panic,
            };
            Act::Crash { node, actor: some(rng, &actors), how }
        }
        3 => Act::Restart { node, actor: some(rng, &actors), times: rng.u32(1..=6) },
        4..=5 => {
            let what = [Trouble::Away, Trouble::Silent, Trouble::Full][rng.usize(..3)];
            let lasting = Duration::from_millis(rng.u64(100..8000));
            Act::Trouble { actor: some(rng, &speaking), what, lasting }
        }
        6 => Act::Kill { node, down: Duration::from_millis(rng.u64(..3000)) },
        7 => Act::Roll { node },
        8..=9 => {
            let how = [Handover::Graceful, Handover::Sudden, Handover::Unnoticed][rng.usize(..3)];
            Act::HandOver { partition, to: rng.usize(..nodes), how }
        }
        10 => Act::Usurp { partition },
        _ => Act::FailOver,
    }
}
