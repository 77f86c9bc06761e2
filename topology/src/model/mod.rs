//! The typed topology: what a file means once it has been read and found right.
//!
//! Everything is lowered: defaults are filled in, cases are merged over their row, names are resolved.
//! A consumer of the model never looks at YAML again. Leaves an error could point at keep their span.

mod connection;
mod field;
mod format;
mod gate;
mod job;
mod kind;
mod schedule;
mod storage;
mod supervisor;
mod test;
mod word;

pub use connection::{
    Connections, KafkaConnection, RedisConnection, RegistryConnection, Sasl, TimescaleConnection, Tls,
};
pub use field::{
    Case, Column, EventTime, Expr, Field, FieldSource, FieldType, Literal, MatchMode, Pointer, TimeUnit,
};
pub use format::{Coding, Csv, Format};
pub use gate::{
    BandRule, CountRule, CrossedRule, FrozenRule, GATE_AT, GATE_FIELDS, GATE_REASON, GATE_SCORE, GATE_SINCE,
    GATE_VERDICT, GATE_WOULD, GateMode, GateOverride, GateRules, LateRule, QualityGate,
};
pub use job::{Aggregate, Export, Rollup, RollupColumn};
pub use kind::{
    DeadLetter, Flush, GroupProtocol, KafkaSink, KafkaSource, Kind, Membership, Normalizer, OnConflict,
    RedisCache, ReplayFormat, ReplaySource, Start, TemplatePart, TimescaleWriter,
};
pub use schedule::{Beat, Cron, Schedule, Work};
pub use storage::{Growth, KeptTable, TablePolicy};
pub use supervisor::{Backoff, Restart, Strategy, Supervisor};
pub use test::{
    Expect, ExpectedLetter, ExpectedOffset, ExpectedRow, Fault, FaultKind, Record, RowOrder, Send,
    SinkExpect, Table, Test, TestRecord,
};
pub(crate) use word::Word;

use crate::Spanned;
use std::time::Duration;

/// A whole topology file.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The consumer group, and the key of its offsets.
    pub name: Spanned<String>,
    /// At most one cluster of each part.
    pub connections: Connections,
    /// The supervision tree, root first. There is always a root; a child is the name of an actor or supervisor.
    pub supervisors: Vec<Supervisor>,
    /// Every actor, in the file's order, which is a topological order only by chance. `dead_letter` is always there.
    pub actors: Vec<Actor>,
}

impl Topology {
    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.name.value == name)
    }

    /// The actor whose identity is `id`.
    pub fn identified(&self, id: &str) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.id.value == id)
    }

    /// The actors that read from `name`.
    pub fn readers<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a Actor> + use<'a, 'n> {
        self.actors.iter().filter(move |actor| actor.from.iter().any(|from| from.value == name))
    }
}

/// What an outage or a rejection of this branch means to the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// A record is written only when this sink has it.
    #[default]
    Required,
    /// An outage of this branch never slows the others; its own lag shows.
    BestEffort,
}

/// How much may wait on the link into an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkBounds {
    /// Batches, leased ones included.
    pub batches: u32,
    /// Bytes of the batches' buffers; a larger batch enters an empty link alone.
    pub bytes: u64,
}

/// One actor of the topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// The key under `actors`.
    pub name: Spanned<String>,
    /// The identity under which offsets are kept; the name unless the file says otherwise.
    pub id: Spanned<String>,
    /// The former identity whose offsets this sink takes over.
    pub adopts: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
    /// The actors it reads from.
    pub from: Vec<Spanned<String>>,
    /// Whether it is started again after it ends.
    pub restart: Restart,
    /// How long it may take to stop.
    pub shutdown: Duration,
    /// How many clones share its partitions.
    pub parallelism: Spanned<u32>,
    /// What a clone needs of a core beside the others, if the file says so; see [`placement`](crate::placement).
    pub load: Option<u32>,
    /// The bounds of each link into it.
    pub link: LinkBounds,
    /// Meaningful for sinks.
    pub policy: Policy,
    /// What it does.
    pub kind: Kind,
    /// The whole entry.
    pub span: crate::Span,
}
