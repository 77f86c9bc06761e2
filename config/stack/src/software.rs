//! Software of a caller's own, kept beside the servers' and by the same rules: fetched once, into a folder that is there
//! whole or not at all; one process fetches at a time.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dir::{StackDir, create};
use crate::error::Error;
use crate::lock::FileLock;
use crate::progress::Progress;
use crate::provision::{discard_partial, partial, publish, run, tool};

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// The folder: its name, version, and a number that counts changes of how it is made.
    pub folder: &'a str,
    /// Name and version, for messages.
    pub title: &'a str,
    /// What the reader is told before the first byte is downloaded: from where, how much.
    pub announcement: &'a str,
}

/// A folder that is being filled.
pub struct Fetching<'a> {
    /// Where to put everything. It is renamed once it is complete, so nothing in it may name its own place.
    pub folder: &'a Path,
    title: &'a str,
    progress: &'a dyn Progress,
}

impl Fetching<'_> {
    /// Runs a tool in the folder to its end; `prepare` gives it arguments and environment. It dies with this process.
    ///
    /// # Errors
    /// It cannot be started, or fails; its last lines are in the message.
    pub fn run(&self, name: &str, prepare: impl FnOnce(&mut Command)) -> Result<(), Error> {
        let mut command = tool(name);
        command.current_dir(self.folder);
        prepare(&mut command);
        run(self.title, command, |_| {}).map(|_| ())
    }

    /// Says how far it is.
    pub fn step(&self, done: u64, total: u64, step: &str) {
        self.progress.step(self.title, done, total, step);
    }
}

/// Where the software is, if it is there.
#[must_use]
pub fn present(dir: &StackDir, recipe: &Recipe<'_>) -> Option<PathBuf> {
    let folder = dir.parts().join(recipe.folder);
    folder.exists().then_some(folder)
}

/// The folder of the software, filled by `fill` unless it is there.
///
/// # Errors
/// What `fill` says; the folder is then not there.
pub fn fetch(
    dir: &StackDir,
    recipe: &Recipe<'_>,
    progress: &dyn Progress,
    fill: impl FnOnce(&Fetching<'_>) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    if let Some(folder) = present(dir, recipe) {
        return Ok(folder);
    }
    create(&dir.parts())?;
    let waiting = || progress.note("another process is fetching software of the stack; waiting for it");
    let _lock = FileLock::exclusive(&dir.parts().join(".lock"), waiting)?;
    if let Some(folder) = present(dir, recipe) {
        return Ok(folder);
    }
    discard_partial(&dir.parts())?;
    progress.note(recipe.announcement);
    let partial = partial(dir, recipe.folder)?;
    fill(&Fetching { folder: &partial, title: recipe.title, progress })?;
    let folder = dir.parts().join(recipe.folder);
    publish(&partial, &folder)?;
    progress.finish(recipe.title, "ready");
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    const RECIPE: Recipe<'_> = Recipe { folder: "thing-1", title: "Thing 1", announcement: "a thing" };

    #[test]
    fn what_could_not_be_fetched_is_not_there_and_what_was_is_fetched_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StackDir::new(folder.path()).unwrap();
        let failed = fetch(&dir, &RECIPE, &Silent, |fetching| {
            std::fs::write(fetching.folder.join("half"), "a").unwrap();
            fetching.run("false", |_| {})
        });
        assert!(failed.unwrap_err().to_string().contains("Thing 1"));
        assert_eq!(present(&dir, &RECIPE), None);

        let fill = |fetching: &Fetching<'_>| {
            assert!(!fetching.folder.join("half").exists(), "what was left behind is gone");
            fetching.run("touch", |touch| {
                touch.arg("whole");
            })
        };
        let place = fetch(&dir, &RECIPE, &Silent, fill).unwrap();
        assert!(place.join("whole").exists());
        let again = fetch(&dir, &RECIPE, &Silent, |_| panic!("it is there"));
        assert_eq!(again.unwrap(), place);
    }
}
