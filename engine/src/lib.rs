//! The actor runtime: links, supervisors, lifecycle, ledger, clock, telemetry, administration.

pub mod actor;
pub mod backoff;
pub mod batch;
pub mod claim;
pub mod class;
pub mod clock;
pub mod invariants;
pub mod ledger;
pub mod letter;
pub mod limits;
pub mod link;
pub mod port;
pub mod status;
pub mod task;
pub mod telemetry;
pub mod testing;

pub use actor::{Actor, ActorIdentity, Context, Factory};
pub use batch::{Batch, Headers, Origin, PartitionKey, RawRecords};
pub use claim::{Claim, ClaimRequest, Claims, LogRange, Loss, OffsetStore, Owner, Position, SinkIdentity};
pub use class::{Class, Error};
pub use clock::Clock;
pub use ledger::{Ledger, SinkIndex, SinkSpec};
pub use letter::{DeadLetterPort, Letter, LetterRequest};
pub use link::Lease;
pub use status::{State, Status};
pub use telemetry::LagBoard;
