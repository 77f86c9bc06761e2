//! Runs again whenever a file has changed, until interrupted.
//!
//! Files are compared by what they hold, not by what the system tells of them: so an editor may write in place, put
//! another file in its stead, or remove and create it. A change counts once it has stood still for a moment.

use super::Round;
use crate::exit::Exit;
use crate::output;
use anyhow::Result;
use aqueduct_topology::model::{Test, TestRecord};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a file holds; `None` = it cannot be read.
type Held = Vec<Option<Vec<u8>>>;

/// The files that `tests` read.
pub(super) fn files_of(tests: &[Test], folder: &Path) -> Vec<PathBuf> {
    let records = tests.iter().flat_map(|test| &test.sends).flat_map(|send| &send.records);
    let file = |record: &TestRecord| match record {
        TestRecord::File(path) => Some(folder.join(&path.value)),
        TestRecord::Record(_) => None,
    };
    records.filter_map(file).collect()
}

/// Runs `once`, and again after each change; an interrupt ends the process.
pub(super) fn run(file: &Path, once: impl Fn() -> Result<Round>) -> Result<Exit> {
    let mut files = vec![file.to_owned()];
    loop {
        // What changes while the tests run is a change too.
        let before = read(&files);
        match once() {
            Ok(round) => {
                let known: Vec<PathBuf> = std::iter::once(file.to_owned()).chain(round.files).collect();
                let same = known == files;
                files = known;
                output::say!("watching {}; Ctrl-C ends it", output::counted(files.len(), "file"));
                let seen = if same { before } else { read(&files) };
                wait(&files, seen);
            }
            Err(error) => {
                // What was refused has been said; the next attempt may be better.
                if !error.is::<crate::exit::RefusedConfiguration>() || error.chain().len() > 1 {
                    output::say!("error: {error:#}");
                }
                output::say!("watching {}; Ctrl-C ends it", output::counted(files.len(), "file"));
                wait(&files, before);
            }
        }
        output::say!("");
    }
}

/// Returns once `files` hold something else than `before`, and have for two looks.
fn wait(files: &[PathBuf], before: Held) {
    let mut last = before.clone();
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = read(files);
        if now == last && now != before {
            return;
        }
        last = now;
    }
}

fn read(files: &[PathBuf]) -> Held {
    files.iter().map(|file| std::fs::read(file).ok()).collect()
}
