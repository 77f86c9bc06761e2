//! The actor runtime: links, supervisors, lifecycle, ledger, clock, telemetry, administration.

pub mod actor;
pub mod admin;
pub mod allocator;
pub mod application;
pub mod archive;
mod assemble;
pub mod backoff;
pub mod batch;
pub mod claim;
pub mod class;
pub mod clock;
pub mod events;
pub mod gaps;
mod graph;
pub mod invariants;
pub mod ledger;
pub mod letter;
pub mod lifecycle;
pub mod limits;
pub mod link;
mod placement;
pub mod planted;
pub mod port;
pub mod quality;
pub mod registry;
#[cfg(test)]
mod scenarios;
pub mod schedule;
pub mod secrets;
pub mod status;
pub mod supervisor;
pub mod tap;
pub mod task;
pub mod telemetry;
pub mod testing;
pub mod trace;
mod watchdog;

pub use actor::{Actor, ActorIdentity, Context, Factory};
pub use application::{Builder, Handle, OrderError, RuntimeApplication, Settings};
pub use archive::Archive;
pub use assemble::Catalog;
pub use batch::{Batch, Headers, Origin, PartitionKey, RawRecords};
pub use claim::{
    Claim, ClaimRequest, Claims, Holder, LogRange, Logs, Loss, OffsetStore, Owner, Position, SinkIdentity,
};
pub use class::{Class, Error};
pub use clock::Clock;
pub use ledger::{Ledger, SinkIndex, SinkSpec};
pub use letter::{Answer, DeadLetterPort, Extent, Letter, LetterRequest};
pub use lifecycle::reload::{Next, ReloadAnswer, ReloadError, ReloadRequest};
pub use lifecycle::tally::{ReloadOutcome, ReloadTally};
pub use lifecycle::{ManifestEntry, Outcome};
pub use link::Lease;
pub use placement::Placement;
pub use registry::Registry;
pub use secrets::{Keeper, SecretView, Secrets};
pub use status::{State, Status};
pub use supervisor::exit::Exit;
pub use telemetry::{Figures, LagBoard};
