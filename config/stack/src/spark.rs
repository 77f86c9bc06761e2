//! Apache Spark for batch work: software only. What runs of it belongs to whoever starts it.

use std::path::PathBuf;

use crate::dir::StackDir;
use crate::error::Error;
use crate::preflight;
use crate::progress::Progress;
use crate::provision;

/// An installation of Spark, with the driver that reads PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spark {
    /// `SPARK_HOME`.
    pub home: PathBuf,
    /// `PYTHONPATH`; none where the installation knows its own.
    pub python: Option<PathBuf>,
    /// PostgreSQL's JDBC driver.
    pub driver: PathBuf,
}

/// Fetches Spark into `dir` unless it is there.
///
/// # Errors
/// What this machine lacks; a download that fails or is not what its hash says.
pub fn provision(dir: &StackDir, progress: &dyn Progress) -> Result<Spark, Error> {
    preflight::spark(dir)?;
    provision::spark(dir, progress)
}

/// What this machine lacks to run Spark, however that came here.
///
/// # Errors
/// Java, or Python.
pub fn check_machine() -> Result<(), Error> {
    preflight::spark_runs()
}
