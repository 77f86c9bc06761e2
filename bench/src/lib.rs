//! Benchmarks: the engine beside a program without one, beside others' programs, and beside what the machine allows.
//!
//! A figure alone says little about a program and much about its machine. So every figure here has a reference in the
//! same run: [`ceiling`] is what one would write by hand without an engine (consume, parse, COPY, SET, in one loop,
//! no offsets, no supervision), [`limits`] are what no program can pass, and [`programs`] has peers as their experts would
//! set them up. `cargo bench --profile dist -p aqueduct-bench --bench report` runs all of them on the same topics and
//! tables, [`parts`] by part, and leaves a [`report`].

pub mod ceiling;
pub mod clock;
pub mod limits;
pub mod parts;
pub mod profile;
pub mod programs;
pub mod progress;
pub mod report;
pub mod stage;
pub mod usage;
pub mod watcher;
pub mod workload;
