//! Runs again whenever a file has changed, until interrupted.
//!
//! Files are compared by what they hold, not by what the system tells of them: so an editor may write in place, put
//! another file in its stead, or remove and create it. A change counts once it has stood still for a moment.

use crate::exit::{Exit, RefusedConfiguration};
use crate::output;
use crate::settled::Settled;
use anyhow::Result;
use aqueduct_topology::model::{Test, TestRecord};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a file holds; `None` = it cannot be read.
type Held = Vec<Option<Vec<u8>>>;

/// `file`, and the files that its tests read.
pub(super) fn files_of(file: &Path, tests: &[Test]) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let records = tests.iter().flat_map(|test| &test.sends).flat_map(|send| &send.records);
    let of_record = |record: &TestRecord| match record {
        TestRecord::File(path) => Some(folder.join(&path.value)),
        TestRecord::Record(_) => None,
    };
    let mut files: Vec<PathBuf> =
        std::iter::once(file.to_owned()).chain(records.filter_map(of_record)).collect();
    files.sort();
    files.dedup();
    files
}

/// Runs `once`, and again after each change of what `named` names; an interrupt ends the process.
pub(super) fn run(named: impl Fn() -> Vec<PathBuf>, once: impl Fn() -> Result<Exit>) -> Result<Exit> {
    loop {
        let files = named();
        // What changes while the tests run is a change too.
        let before = read(&files);
        if let Err(error) = once() {
            // What was found in the file has been said.
            if !error.is::<RefusedConfiguration>() || error.chain().len() > 1 {
                output::say!("error: {error:#}");
            }
        }
        output::say!("watching {}; Ctrl-C ends it", output::counted(files.len(), "file"));
        wait(&files, before);
        output::say!("");
    }
}

/// Returns once `files` hold something else than `before`, and have for two looks.
fn wait(files: &[PathBuf], before: Held) {
    let mut held = Settled::new(before);
    loop {
        std::thread::sleep(LOOK_EVERY);
        if held.has_changed(read(files)) {
            return;
        }
    }
}

fn read(files: &[PathBuf]) -> Held {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}
