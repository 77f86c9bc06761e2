//! Single packages of the machine's own distribution: fetched with apt's own signature checks, but with all of apt's state in
//! a folder of ours, and unpacked without being installed.

use std::fs;
use std::path::Path;

use super::{run, tool};
use crate::dir::create;
use crate::error::Error;

/// Fetches `packages` for `what` and unpacks them into `target`; apt keeps what it knows in `state`.
pub(super) fn unpack(what: &str, packages: &[&str], state: &Path, target: &Path) -> Result<(), Error> {
    create(&state.join("lists/partial"))?;
    create(&state.join("cache/archives/partial"))?;
    let apt = |arguments: &[&str]| {
        let mut command = tool("apt-get");
        for (option, below) in [("Dir::State", ""), ("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")] {
            command.arg("-o").arg(format!("{option}={}", state.join(below).display()));
        }
        command.args([
            "-o",
            "Dir::State::status=/var/lib/dpkg/status",
            "-o",
            "APT::Sandbox::User=root",
            "-q",
        ]);
        command.args(arguments).current_dir(state);
        command
    };
    run(what, apt(&["update"]), |_| {})?;
    run(what, apt(&[&["download"], packages].concat()), |_| {})?;
    let files =
        fs::read_dir(state).map_err(Error::io("read", state))?.filter_map(|entry| Some(entry.ok()?.path()));
    let files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect();
    if files.len() != packages.len() {
        return Err(Error::Provision {
            what: what.into(),
            why: format!(
                "apt-get downloaded {} of {} packages: {}",
                files.len(),
                packages.len(),
                packages.join(", ")
            ),
        });
    }
    for file in files {
        let mut unpack = tool("dpkg-deb");
        unpack.arg("-x").arg(&file).arg(target);
        run(what, unpack, |_| {})?;
    }
    Ok(())
}
