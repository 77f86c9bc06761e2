//! What tests stand on: one actor between real links, without a supervisor, a broker or a database.
//!
//! ```
//! # use aqueduct_engine::testing::{Harness, raw_batch};
//! # use aqueduct_engine::{Actor, Context, Error};
//! # use futures::future::LocalBoxFuture;
//! # struct Forward;
//! # impl Actor for Forward {
//! #     fn run<'a>(&'a mut self, cx: &'a mut Context) -> LocalBoxFuture<'a, Result<(), Error>> {
//! #         Box::pin(async move {
//! #             while let Some(lease) = cx.lease().await {
//! #                 let batch = (*lease).clone();
//! #                 cx.push(batch).await?;
//! #                 lease.settle();
//! #             }
//! #             Ok(())
//! #         })
//! #     }
//! # }
//! # futures::executor::block_on(async {
//! let mut harness = Harness::new("trades");
//! harness.send(raw_batch(0, 100, &["a", "b"]));
//! harness.close_inputs();
//! harness.run(Forward).await?;
//! assert_eq!(harness.received()[0].raw.len(), 2);
//! assert!(harness.letters().is_empty());
//! # Ok::<(), Error>(())
//! # }).unwrap();
//! ```
//!
//! It is part of the library, not of its tests: `try`, the YAML tests and the simulation run actors the same way.
//! Deliberately absent: threads, sockets and sleeps, so a paused clock holds everything here still.

mod batches;
mod harness;
mod offsets;
mod probe;

pub use batches::{RecordsBuilder, partition, raw_batch};
pub use harness::{Harness, HarnessBuilder};
pub use offsets::{Commit, Committed, MemoryOffsets, MemorySnapshot};
pub use probe::Probe;
