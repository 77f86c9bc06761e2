//! Benchmarks: the engine beside a program without one.
//!
//! A figure alone says little about a program and much about its machine. So every figure here has a reference in the
//! same run: [`ceiling`] is what one would write by hand without an engine (consume, parse, COPY, SET, in one loop,
//! no offsets, no supervision); `cargo bench --profile dist -p aqueduct-bench --bench compare` runs both in turn on
//! the same topic and prints rows per second, CPU per row, peak memory, and the ratios.

pub mod ceiling;
pub mod engine;
pub mod report;
pub mod usage;
pub mod watcher;
pub mod workload;
