//! The database's side of an export to Parquet: what the table is, who may read it, which of its rows can come no more,
//! and the record of every run.
//!
//! Invariant: everything here is done under the role [`ROLE`], whoever logged in. It can read what it was granted and
//! write nothing but the record of its runs.
//!
//! Deliberately absent: rows, files and Spark. They are the business of `config/spark`, which gets an order made of this.

pub mod address;
pub mod limits;
pub mod role;
pub mod run;
pub mod spans;
pub mod table;
pub mod watermark;

/// Everything of an export happens under this role.
pub const ROLE: &str = "aqueduct_export";
