//! The canonical form of a topology, with the digests of the files it names.

use anyhow::Result;
use aqueduct_topology::model::Topology;
use aqueduct_topology::plan::Form;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// A file up to this size is digested whole; of a larger one its ends, size and time of change.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// How much of each end.
const END_BYTES: u64 = 1 << 20;

/// The form, as what a node serves.
pub(crate) fn form(topology: &Topology) -> Result<Value> {
    Ok(serde_json::to_value(of(topology))?)
}

/// The form.
pub(crate) fn of(topology: &Topology) -> Form {
    Form::of(topology, &|path| digest(path).ok())
}

/// The files that the topology names.
pub(crate) fn files(topology: &Topology) -> Vec<PathBuf> {
    let named = std::cell::RefCell::new(Vec::new());
    let _ = Form::of(topology, &|path| {
        named.borrow_mut().push(path.to_owned());
        None
    });
    named.into_inner()
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    let mut sha = Sha256::new();
    if about.len() <= WHOLE_BYTES_MAX {
        feed(&mut sha, &mut file)?;
    } else {
        let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        sha.update(about.len().to_le_bytes());
        sha.update(changed.as_nanos().to_le_bytes());
        feed(&mut sha, &mut (&mut file).take(END_BYTES))?;
        file.seek(SeekFrom::End(-i64::try_from(END_BYTES).unwrap_or(0)))?;
        feed(&mut sha, &mut file)?;
    }
    let mut text = String::from("sha256:");
    for byte in sha.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

fn feed(sha: &mut Sha256, from: &mut impl Read) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            read => sha.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_follows_the_content_of_small_and_large_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "one").expect("written");
        let one = digest(&path).expect("readable");
        assert_eq!(one, "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        std::fs::write(&path, "two").expect("written");
        assert_ne!(digest(&path).expect("readable"), one);
        let large = File::create(&path).expect("created");
        large.set_len(WHOLE_BYTES_MAX + 1).expect("sparse");
        let before = digest(&path).expect("readable");
        large.set_len(WHOLE_BYTES_MAX + 2).expect("sparse");
        assert_ne!(digest(&path).expect("readable"), before);
        assert!(digest(&folder.path().join("none")).is_err());
    }
}
