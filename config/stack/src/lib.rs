//! The real Kafka, TimescaleDB and Redis as private processes on loopback.
//!
//! [`Stack::up`] is the whole of it: it checks what the machine lacks, fetches the servers' software on first use,
//! starts what does not run yet, waits until every part has answered, and returns their addresses. The same stack stands
//! behind `aqueduct stack`, the demo, the tests, the drills and the benches; none of them meets a mock.
//!
//! # One folder
//! ```text
//! <AQUEDUCT_STACK_DIR>/parts/kafka-4.1.0-1/          jars, each checked against checksums/
//!                            debian-trixie-1/root/   PostgreSQL, TimescaleDB and Redis, signed by Debian
//!                      instances/<name>/             state.json, logs/, and a folder of data for each part
//! ```
//! Software is shared, data are not: any number of instances run side by side. Nothing outside of the folder is
//! written, except that Maven keeps its downloads where it always does.
//!
//! # Processes
//! Kafka is a plain Java process. PostgreSQL and Redis run inside the Debian root, in a mount and a process namespace of
//! their own (`launch.sh`): their mounts are seen by nobody else and end with their last process, so that a `kill -9`
//! leaves neither, and deleting the folder cannot reach a device of the machine.
//!
//! Two locks, both released by the kernel however their holders end, replace pid files:
//! - every process of a part holds the *part's lock* on descriptor 9: that is how processes are found, and how it is
//!   known that none is left (`process`);
//! - every program that uses an instance holds its *users' lock*; `watch.sh` ends the part once nobody does, unless the
//!   instance is [kept](Lifetime::Kept).
//!
//! Deliberately absent: containers, a daemon of our own, several brokers (a second `node.id` and folder is all that the
//! layout would need), and any retry that would hide a part which does not start.

pub mod commands;
mod dir;
mod environment;
mod error;
pub mod feed;
mod fresh;
mod instance;
mod launch;
mod lock;
pub mod market;
mod options;
mod part;
mod port;
mod preflight;
mod process;
pub mod progress;
mod provision;
mod sql;
mod stack;
mod state;
mod time;
mod up;

pub use dir::StackDir;
pub use error::{Error, Missing};
pub use fresh::Database;
pub use options::{DEFAULT_NAME, Lifetime, Options, Own};
pub use part::Part;
pub use part::timescale::SMALL_DISK;
pub use progress::Progress;
pub use stack::{PartStatus, Stack};

#[cfg(test)]
mod tests;
