//! A folder of this machine is held by a lock of its own too: another database's record knows nothing of it.
//!
//! The kernel frees the lock however its holder ends; the file stays, and says who held it last.

use crate::environment::host_name;
use anyhow::{Context, Result};
use aqueduct_engine::{Class, Error};
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

const NAME: &str = "_lock";
/// Of what a holder says about itself.
const TEXT_BYTES_MAX: u64 = 500;

/// Held until dropped; nothing for a place that is no folder of this machine.
pub(super) struct Held {
    _file: Option<File>,
}

/// Holds the place, or says who does.
pub(super) fn hold(place: &str, what: &str) -> Result<Held> {
    if place.contains("://") {
        return Ok(Held { _file: None });
    }
    let doing = || format!("cannot use the folder `{place}`");
    std::fs::create_dir_all(place).with_context(doing)?;
    let path = Path::new(place).join(NAME);
    let mut file = File::options().create(true).read(true).append(true).open(&path).with_context(doing)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(TEXT_BYTES_MAX).read_to_string(&mut holder);
            let message = format!("{place} is held by {}; wait for it, or end it there", holder.trim());
            return Err(Error::new(Class::Config, message).into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(doing),
    }
    file.set_len(0).with_context(doing)?;
    writeln!(file, "{what}, process {} on {}", std::process::id(), host_name()).with_context(doing)?;
    Ok(Held { _file: Some(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_folder_names_its_holder_and_is_free_again_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        let first = hold(place, "the export of m.t").unwrap();
        let refused = hold(place, "another").err().unwrap().to_string();
        assert!(refused.contains("held by the export of m.t, process"), "{refused}");
        drop(first);
        assert!(hold(place, "another").is_ok());
        assert!(hold("hdfs://h/x", "one").is_ok());
    }
}
