//! Compares a folder of downloaded files with a committed list of SHA-256 sums, in the format of `sha256sum`.
//!
//! Invariant: the folder passes only if it holds exactly the listed files, each with its listed content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Error;

/// Checks every file of `folder` against `list`; the error names the first file that is wrong, missing or unknown.
pub(crate) fn verify(what: &str, list: &str, folder: &Path) -> Result<(), Error> {
    let refuse = |problem: String| Error::Checksum { what: what.to_owned(), problem };
    let mut wanted: BTreeMap<&str, &str> = list
        .lines()
        .map(|line| line.split_once("  ").map(|(sum, name)| (name, sum)))
        .collect::<Option<_>>()
        .expect("invariant: the committed list has a sum, two spaces and a name on each line");
    for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(expected) = wanted.remove(name) else {
            return Err(refuse(format!("`{name}` is not in the list of checksums")));
        };
        let found = sum(&fs::read(&path).map_err(Error::io("read", &path))?);
        if found != expected {
            return Err(refuse(format!("`{name}` has the SHA-256 {found}, expected {expected}")));
        }
    }
    match wanted.keys().next() {
        Some(name) => Err(refuse(format!("`{name}` was not downloaded"))),
        None => Ok(()),
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of the five bytes `hello`.
    const LIST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  a.jar\n";

    fn verdict(files: &[(&str, &str)]) -> Result<(), String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
        }
        verify("parts", LIST, dir.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn exactly_the_listed_files_pass() {
        assert_eq!(verdict(&[("a.jar", "hello")]), Ok(()));
    }

    #[test]
    fn a_tampered_a_missing_and_an_unknown_file_are_refused_by_name() {
        assert!(verdict(&[("a.jar", "hellO")]).unwrap_err().contains("`a.jar` has the SHA-256"));
        assert!(verdict(&[]).unwrap_err().contains("`a.jar` was not downloaded"));
        assert!(
            verdict(&[("a.jar", "hello"), ("b.jar", "")]).unwrap_err().contains("`b.jar` is not in the list")
        );
    }
}
