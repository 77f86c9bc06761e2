//! Whether a topology file, or a file it names, is another one than before. Looked at, not notified: editors replace
//! files, and mounted secrets and configuration maps are swapped by renaming a folder.

use crate::settled::Settled;
use crate::{file, identity};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What changes when a file does: its inode, length and time of change. `None` = it is not there.
type Print = Option<(u64, u64, i64, i64)>;

/// A topology file and those it names.
pub(super) struct Watched {
    file: PathBuf,
    prints: Settled<BTreeMap<PathBuf, Print>>,
}

impl Watched {
    /// As they are now.
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), prints: Settled::new(prints(file)) }
    }

    /// Whether they are others than at the beginning, or than when this was last true, and have been the same for two
    /// looks.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = self.prints.seen().keys().map(|path| (path.clone(), print(path))).collect();
        let changed = self.prints.has_changed(now);
        if changed {
            // It may name other files now.
            *self = Self::new(&self.file);
        }
        changed
    }
}

fn prints(topology: &Path) -> BTreeMap<PathBuf, Print> {
    let mut paths = vec![topology.to_owned()];
    // A file that cannot be understood names none; it is watched until it can.
    if let Some(read) = file::read(topology).ok().and_then(|loaded| loaded.topology) {
        paths.extend(identity::files(&read));
    }
    paths.into_iter().map(|path| (path.clone(), print(&path))).collect()
}

fn print(path: &Path) -> Print {
    let about = std::fs::metadata(path).ok()?;
    Some((about.ino(), about.len(), about.mtime(), about.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_and_only_when_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("topology.yaml");
        std::fs::write(&path, "one").expect("written");
        let mut watched = Watched::new(&path);
        assert!(!watched.has_changed() && !watched.has_changed());
        std::fs::write(&path, "twenty").expect("written");
        assert!(!watched.has_changed(), "it may still be written");
        assert!(watched.has_changed());
        assert!(!watched.has_changed(), "told once");
        let other = folder.path().join("other");
        std::fs::write(&other, "others").expect("written");
        std::fs::rename(&other, &path).expect("replaced, as editors do");
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
    }
}
