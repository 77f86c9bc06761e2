//! `aqueduct export` and `export verify`, on the real database, with a real Spark: one copy of each row, whatever happens.
//!
//! A submission costs seconds, so a story has few. `AQUEDUCT_TEST_SPARK=long` adds those that need a cluster of their own.

mod back;
mod cluster;
mod place;
mod refusals;
mod rows;
mod stories;
mod watermark;

pub use place::spark;
