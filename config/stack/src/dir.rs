//! The cache folder: `parts/` holds provisioned software, `instances/<name>/` one instance each.
//!
//! Invariant: [`remove_tree`] is the only place that deletes a tree, and it refuses while anything is mounted below it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::environment::variable;
use crate::error::{Error, Missing};
use crate::state::word;

/// Where software and instances are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackDir(PathBuf);

impl StackDir {
    /// The given folder; it is created when first used.
    ///
    /// # Errors
    /// A path that is not absolute, or holds a character that Java's class path or Kafka's lists cannot carry.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let text = path.to_str().unwrap_or(":");
        if !path.is_absolute() || text.contains([':', ',', '\n', '"']) {
            return Err(Error::Unusable(format!(
                "stack folder `{}`: give an absolute path without colon, comma, quote or line break",
                path.display()
            )));
        }
        Ok(StackDir(path))
    }

    /// `AQUEDUCT_STACK_DIR`, else `$XDG_CACHE_HOME/aqueduct/stack`, else `$HOME/.cache/aqueduct/stack`.
    ///
    /// # Errors
    /// None of the three variables is set, or the path cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        if let Some(dir) = variable("AQUEDUCT_STACK_DIR") {
            return StackDir::new(std::path::absolute(&dir).map_err(Error::io("resolve", Path::new(&dir)))?);
        }
        if let Some(cache) = variable("XDG_CACHE_HOME") {
            return StackDir::new(Path::new(&cache).join("aqueduct/stack"));
        }
        match variable("HOME") {
            Some(home) => StackDir::new(Path::new(&home).join(".cache/aqueduct/stack")),
            None => Err(Error::Missing(vec![Missing {
                what: "a folder for the stack's software and data".into(),
                remedy: "export AQUEDUCT_STACK_DIR=<folder>, or set HOME".into(),
            }])),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn parts(&self) -> PathBuf {
        self.0.join("parts")
    }

    pub(crate) fn instances(&self) -> PathBuf {
        self.0.join("instances")
    }
}

/// Creates the folder and its parents.
pub(crate) fn create(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::io("create", path))
}

/// Writes a file so that a reader sees the old text or the new one, never half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), Error> {
    let partial = path.with_extension(format!("partial-{}", word(8)));
    fs::write(&partial, text).map_err(Error::io("write", &partial))?;
    fs::rename(&partial, path).map_err(Error::io("write", path))
}

/// The same for what only its owner may read, at no moment anybody else.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let partial = path.with_extension(format!("partial-{}", word(8)));
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io("write", &partial))?;
    fs::rename(&partial, path).map_err(Error::io("write", path))
}

/// Deletes `path` and everything below it, unless something is mounted there.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(entry) if entry.is_symlink() => {
            let what =
                format!("`{}` is a link; it is not followed to delete what it leads to", path.display());
            return Err(Error::Unusable(what));
        }
        Ok(_) => {}
    }
    let real = fs::canonicalize(path).map_err(Error::io("resolve", path))?;
    refuse_mounts(&real)?;
    fs::remove_dir_all(&real).map_err(Error::io("delete", &real))
}

/// An error if anything is mounted at or below `folder`, an absolute path without links.
fn refuse_mounts(folder: &Path) -> Result<(), Error> {
    #[cfg(test)]
    if tests::DELETES_THROUGH_MOUNTS.get() {
        return Ok(());
    }
    let table = fs::read_to_string("/proc/self/mountinfo")
        .map_err(Error::io("read", Path::new("/proc/self/mountinfo")))?;
    if let Some(mount) = mounts_below(&table, folder).first() {
        return Err(Error::Unusable(format!(
            "`{}` is not deleted: `{}` is mounted below it; `umount` it first",
            folder.display(),
            mount.display()
        )));
    }
    Ok(())
}

/// The mount points of a `mountinfo` table at or below `folder`.
fn mounts_below(table: &str, folder: &Path) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescape(point)))
        .filter(|point| point.starts_with(folder))
        .collect()
}

/// Undoes the kernel's octal escapes of space, tab, line break and backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        90 22 0:5 / /cache/my\\040root/proc rw - proc proc rw\n";

    #[test]
    fn a_mount_below_the_folder_is_seen_even_with_a_space_in_its_name() {
        assert_eq!(mounts_below(TABLE, Path::new("/cache/my root")), [PathBuf::from("/cache/my root/proc")]);
        assert_eq!(mounts_below(TABLE, Path::new("/cache")).len(), 1);
        assert!(
            mounts_below(TABLE, Path::new("/cache/my")).is_empty(),
            "a prefix of a name is not its parent"
        );
    }

    #[test]
    fn a_tree_with_a_mount_is_refused() {
        let refused = refuse_mounts(Path::new("/proc")).expect_err("/proc is mounted");
        assert!(refused.to_string().contains("is mounted below it"), "{refused}");
    }

    thread_local! {
        /// A bug that a test plants, to see that somebody notices.
        pub(super) static DELETES_THROUGH_MOUNTS: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }

    #[test]
    fn who_deletes_through_mounts_is_caught() {
        a_tree_with_a_mount_is_refused();
        DELETES_THROUGH_MOUNTS.set(true);
        assert!(std::panic::catch_unwind(a_tree_with_a_mount_is_refused).is_err(), "nobody noticed");
        DELETES_THROUGH_MOUNTS.set(false);
    }

    #[test]
    fn a_link_is_refused_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(remove_tree(&link).is_err());
        assert!(target.exists());
        remove_tree(&target).unwrap();
        assert!(!target.exists());
        remove_tree(&target).unwrap();
    }

    #[test]
    fn a_folder_that_java_could_not_name_is_refused() {
        assert!(StackDir::new("relative").is_err());
        assert!(StackDir::new("/a:b").is_err());
        assert!(StackDir::new("/a b/c").is_ok());
    }
}
