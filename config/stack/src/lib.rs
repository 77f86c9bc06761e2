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
//!                            toxiproxy-2.12.0-1/     built by Go, each module checked against go.sum
//!                            prometheus-1/           unpacked from two packages, signed by Debian
//!                            spark-4.1.4-1/          unpacked from PyPI, each file checked by its hash; see [`spark`]
//!                            ..                      what callers keep there; see [`software`]
//!                      instances/<name>/             state.json, logs/, and a folder of data for each part
//! ```
//! Software is shared, data are not: any number of instances run side by side. Nothing outside of the folder is
//! written, except that Maven and Go keep their downloads where they always do.
//!
//! # Processes
//! Kafka, Toxiproxy and Prometheus are plain processes. PostgreSQL and Redis run inside the Debian root, in a mount and a process namespace of
//! their own (`launch.sh`): their mounts are seen by nobody else and end with their last process, so that a `kill -9`
//! leaves neither, and deleting the folder cannot reach a device of the machine.
//!
//! Two locks, both released by the kernel however their holders end, replace pid files:
//! - every process of a part holds the *part's lock* on descriptor 9: that is how processes are found, and how it is
//!   known that none is left (`process`);
//! - every program that uses an instance holds its *users' lock*; `watch.sh` ends the part once nobody does, unless the
//!   instance is [kept](Lifetime::Kept).
//!
//! # Parts
//! [`Part::DEFAULT`] is what the product needs; further ones run only where [`Options::parts`] names them, and ask nothing
//! of a machine that does not want them. A new part is a variant of [`Part`], the arms that the compiler then asks for, and
//! a file in `part/` with its `prepare`, `command` and `check`. It has folder, log, lock and signals like any other.
//! - Its software is a `provision::Piece`, shared or new; what that asks of the machine is said by `preflight`.
//! - Ports beside its first are named by `Part::further_ports`. All ports of an instance are chosen before anything starts,
//!   and `Instance::server` is given those of every part: a configuration can name its peers.
//! - [`Part::BROKERS`] together are one cluster: every topic is on all of them, and any one may go.
//! - [`Part::Sentinel`] watches Redis and its replica; what it changes of who follows whom outlives restarts.
//! - [`Part::NODES`] are a program of the caller's ([`Options::nodes`]), kept, found and ended like the servers, and before them.
//! - A part that copies another, as a standby does, names it in `Part::follows`, and is started once that has answered.
//!
//! # Who is let in
//! [`Access`] says it of a whole instance: everybody in clear on loopback, encrypted addresses beside those, or nothing but
//! those, with users and rights as a managed service has them. See [`secured`].
//!
//! Deliberately absent: containers, a daemon of our own, and any retry that would hide a part which does not start.

mod backup;
pub mod commands;
mod dir;
mod environment;
mod error;
mod failover;
pub mod feed;
mod fresh;
mod http;
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
pub mod prometheus;
mod provision;
pub mod secured;
pub mod software;
pub mod spark;
mod sql;
mod stack;
mod state;
mod time;
mod tls;
pub mod toxiproxy;
mod up;

pub use dir::StackDir;
pub use error::{Error, Missing};
pub use failover::{Reader, with_hosts};
pub use fresh::Database;
pub use options::{Access, DEFAULT_NAME, Lifetime, Nodes, Options, Own};
pub use part::Part;
pub use part::timescale::SMALL_DISK;
pub use progress::Progress;
pub use stack::{PartStatus, Stack};

#[cfg(test)]
mod tests;
