//! Apache Spark with its Python side from PyPI, and the driver for PostgreSQL from Maven Central: each file by its hash.
//!
//! The source distribution holds what an installation would hold, so it is unpacked and not built. Of what it brings, pip
//! runs what tells its metadata, after it has checked the hash.

use std::fs;
use std::path::{Path, PathBuf};

use super::{checksums, partial, publish, run, tool};
use crate::dir::{StackDir, create, remove_tree};
use crate::error::Error;
use crate::progress::Progress;

/// The pinned version; also in the requirements.
pub(crate) const VERSION: &str = "4.1.4";
pub(super) const ANNOUNCEMENT: &str =
    "  - Apache Spark 4.1.4, about 456 MB, from PyPI, and PostgreSQL's JDBC driver from Maven Central";

const REQUIREMENTS: &str = include_str!("spark-requirements.txt");
const POM: &str = include_str!("spark-pom.xml");
const DRIVER_CHECKSUMS: &str = include_str!("../../checksums/spark-4.1.4.sha256");
const PY4J_WHEEL: &str = "py4j-0.10.9.9-py2.py3-none-any.whl";
const DRIVER: &str = "postgresql-42.7.8.jar";
const TASK: &str = "Spark 4.1.4";

/// Where it is kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("spark-4.1.4-1")
}

/// What `SPARK_HOME` is set to.
pub(crate) fn home(dir: &StackDir) -> PathBuf {
    folder(dir).join("home")
}

/// What `PYTHONPATH` is set to.
pub(crate) fn python(dir: &StackDir) -> PathBuf {
    folder(dir).join("python")
}

/// The JDBC driver.
pub(crate) fn driver(dir: &StackDir) -> PathBuf {
    folder(dir).join("driver").join(DRIVER)
}

/// Downloads, verifies and unpacks it.
pub(super) fn fetch(dir: &StackDir, progress: &dyn Progress) -> Result<(), Error> {
    let partial = partial(dir, "spark")?;
    for (name, text) in [("requirements.txt", REQUIREMENTS), ("pom.xml", POM)] {
        let path = partial.join(name);
        fs::write(&path, text).map_err(Error::io("write", &path))?;
    }
    let [downloads, python, jars] = ["downloads", "python", "driver"].map(|name| partial.join(name));
    for folder in [&downloads, &python, &jars] {
        create(folder)?;
    }
    progress.step(TASK, 0, 3, "download, verify checksums");
    let mut pip = tool("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--disable-pip-version-check",
    ]);
    pip.args(["-r", "requirements.txt", "-d", "downloads"]).current_dir(&partial);
    run(TASK, pip, |_| {})?;
    let mut maven = tool("mvn");
    maven
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=driver"])
        .current_dir(&partial);
    run(TASK, maven, |_| {})?;
    checksums::verify(TASK, DRIVER_CHECKSUMS, &jars)?;
    progress.step(TASK, 1, 3, "unpack");
    unpack(&partial, &downloads, &python)?;
    remove_tree(&downloads)?;
    progress.step(TASK, 2, 3, "write");
    publish(&partial, &folder(dir))?;
    progress.finish(TASK, "ready, all checksums match");
    Ok(())
}

fn unpack(partial: &Path, downloads: &Path, python: &Path) -> Result<(), Error> {
    let name = format!("pyspark-{VERSION}");
    let mut tar = tool("tar");
    tar.args(["--extract", "--gzip", "--no-same-owner", "--file"])
        .arg(downloads.join(format!("{name}.tar.gz")));
    tar.arg("--directory").arg(downloads);
    run(TASK, tar, |_| {})?;
    let mut unzip = tool("python3");
    unzip.args(["-m", "zipfile", "-e"]).arg(downloads.join(PY4J_WHEEL)).arg(python);
    run(TASK, unzip, |_| {})?;
    let unpacked = downloads.join(&name);
    for (from, to) in
        [(unpacked.join("deps"), partial.join("home")), (unpacked.join("pyspark"), python.join("pyspark"))]
    {
        fs::rename(&from, &to).map_err(Error::io("create", &to))?;
    }
    Ok(())
}
