//! `aqueduct man DIR`.

use crate::exit::Exit;
use anyhow::{Context, Result};
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder, such as `/usr/local/share/man/man1`; made if it is not there.
    folder: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, command: &clap::Command) -> Result<Exit> {
    let folder = &arguments.folder;
    let doing = || format!("cannot write man pages into `{}`", folder.display());
    std::fs::create_dir_all(folder).with_context(doing)?;
    clap_mangen::generate_to(command.clone(), folder).with_context(doing)?;
    Ok(Exit::Ok)
}
