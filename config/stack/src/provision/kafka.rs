//! Apache Kafka's jars, resolved by Maven and checked one by one.

use std::fs;
use std::path::PathBuf;

use super::{checksums, partial, publish, run, tool};
use crate::dir::{StackDir, create};
use crate::error::Error;
use crate::progress::Progress;

/// The pinned version.
pub(crate) const VERSION: &str = "4.1.0";
pub(super) const ANNOUNCEMENT: &str =
    "  - Apache Kafka 4.1.0, 46 jars, about 43 MB, from Maven Central (or the mirror in your Maven settings)";

const POM: &str = include_str!("kafka-pom.xml");
const CHECKSUMS: &str = include_str!("../../checksums/kafka-4.1.0.sha256");
const TASK: &str = "Kafka 4.1.0";

/// Where the jars are kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("kafka-4.1.0-1")
}

/// Downloads and verifies the jars.
pub(super) fn fetch(dir: &StackDir, progress: &dyn Progress) -> Result<(), Error> {
    let partial = partial(dir, "kafka")?;
    let pom = partial.join("pom.xml");
    fs::write(&pom, POM).map_err(Error::io("write", &pom))?;
    create(&partial.join("libs"))?;
    progress.step(TASK, 0, 2, "download");
    let mut maven = tool("mvn");
    maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]).current_dir(&partial);
    run(TASK, maven, |_| {})?;
    progress.step(TASK, 1, 2, "verify checksums");
    checksums::verify(TASK, CHECKSUMS, &partial.join("libs"))?;
    publish(&partial, &folder(dir))?;
    progress.finish(TASK, "ready, all checksums match");
    Ok(())
}
