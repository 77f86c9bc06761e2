//! What every kind that speaks to TimescaleDB shares: connections, identifiers, error classes, offsets, letters,
//! migrations.
//!
//! One [`Timescale`] per runtime. Writers take a connection each ([`Timescale::connect`]), everything else borrows one
//! from the pool ([`Timescale::checkout`]). Every await on a socket has a limit; passing it marks the connection broken,
//! so that it is dropped, never reused.
//!
//! Invariant: values reach SQL only as bound parameters or COPY data, identifiers only through [`identifier`].

pub mod class;
pub mod connect;
pub mod draft;
pub mod exclusive;
pub mod fence;
mod hosts;
pub mod identifier;
pub mod letters;
pub mod limits;
mod measure;
pub mod migrate;
pub mod offsets;
mod pool;
pub mod retention;
pub mod rollups;
pub mod schedules;
pub mod slots;
pub mod sql;
mod sslmode;
mod succession;
pub mod tending;
pub mod types;

pub use connect::{Connection, Connector};
pub use fence::{Advance, Stored, advance, read_stored};
pub use identifier::{Identifier, TableName};
pub use letters::{LetterStore, TimescaleLetters};
pub use migrate::Migrator;
pub use offsets::TimescaleOffsets;
pub use pool::{Checkout, Timescale};
pub use slots::AdvisorySlots;
