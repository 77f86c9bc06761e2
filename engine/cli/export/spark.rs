//! Which Spark: the one of `SPARK_HOME`, else the stack's, which is fetched on first use.

use crate::environment::variable;
use crate::exit::RefusedConfiguration;
use anyhow::{Context, Result, anyhow};
use aqueduct_stack::StackDir;
use aqueduct_stack::progress::Progress;
use aqueduct_stack::spark::{Spark, check_machine, provision};
use std::path::{Path, PathBuf};

/// Names the JDBC driver where the installation of `SPARK_HOME` has none.
const DRIVER_VARIABLE: &str = "AQUEDUCT_JDBC_DRIVER";

/// See the module; says what this machine lacks before anything is begun.
pub(crate) fn find(progress: &dyn Progress) -> Result<Spark> {
    let Some(home) = variable("SPARK_HOME").map(PathBuf::from) else {
        return provision(&StackDir::from_env()?, progress).context(RefusedConfiguration);
    };
    check_machine().context(RefusedConfiguration)?;
    if !home.join("bin/spark-submit").is_file() {
        let message = format!("SPARK_HOME is {}, and no bin/spark-submit is there", home.display());
        return Err(anyhow!(message).context(RefusedConfiguration));
    }
    let driver = match variable(DRIVER_VARIABLE) {
        Some(driver) => PathBuf::from(driver),
        None => among_jars(&home).ok_or_else(|| {
            anyhow!(
                "{} has no jars/postgresql-*.jar: put PostgreSQL's JDBC driver there, name it in {DRIVER_VARIABLE}, or \
                 unset SPARK_HOME for a Spark that has it",
                home.display()
            )
            .context(RefusedConfiguration)
        })?,
    };
    Ok(Spark { home, python: None, driver })
}

fn among_jars(home: &Path) -> Option<PathBuf> {
    let jars = std::fs::read_dir(home.join("jars")).ok()?;
    let ours = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with("postgresql-") && name.ends_with(".jar")
    };
    jars.flatten().map(|entry| entry.path()).find(ours)
}
