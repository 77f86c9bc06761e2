//! Prometheus and Alertmanager with their tools, from two packages of the machine's own distribution, unpacked and not
//! installed. Apt checks the archive's signature, which covers both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{package, partial, publish, run};
use crate::dir::{StackDir, create, write_whole};
use crate::error::Error;
use crate::progress::Progress;

pub(super) const ANNOUNCEMENT: &str =
    "  - Prometheus and Alertmanager with their tools, 2 packages, about 30 MB, from your Debian mirror";

const TASK: &str = "Prometheus";
const PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];
/// The programs that are kept of the packages.
const PROGRAMS: [&str; 3] = ["prometheus", "promtool", "amtool"];
const VERSION_FILE: &str = "version";

/// Where they are kept; the last number counts changes of this recipe.
pub(crate) fn folder(dir: &StackDir) -> PathBuf {
    dir.parts().join("prometheus-1")
}

/// The version that was found when it was unpacked.
pub(crate) fn version(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(VERSION_FILE)).ok()
}

/// Downloads, verifies and unpacks.
pub(super) fn fetch(dir: &StackDir, progress: &dyn Progress) -> Result<(), Error> {
    let partial = partial(dir, "prometheus")?;
    let (state, unpacked, kept) = (partial.join("apt"), partial.join("unpacked"), partial.join("kept"));
    progress.step(TASK, 0, 2, "download, verify signatures");
    package::unpack(TASK, &PACKAGES, &state, &unpacked)?;
    progress.step(TASK, 1, 2, "unpack");
    create(&kept)?;
    for program in PROGRAMS {
        let from = unpacked.join("usr/bin").join(program);
        fs::rename(&from, kept.join(program)).map_err(Error::io("keep", &from))?;
    }
    let mut ask = Command::new(kept.join("prometheus"));
    ask.arg("--version");
    let said = run(TASK, ask, |_| {})?;
    // `prometheus, version 2.42.0+ds (branch: ..`
    let version = said.split_whitespace().nth(2).unwrap_or_default().to_owned();
    write_whole(&kept.join(VERSION_FILE), &version)?;
    publish(&kept, &folder(dir))?;
    crate::dir::remove_tree(&partial)?;
    progress.finish(TASK, &format!("ready (Prometheus {version})"));
    Ok(())
}
