//! File locks between processes (`flock`): released by the kernel however their holder ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::dir;
use crate::error::Error;

/// A held lock; dropping it releases it.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits until this process alone holds the lock. `waiting` is called once if somebody else has it.
    pub(crate) fn exclusive(path: &Path, waiting: impl FnOnce()) -> Result<Self, Error> {
        if let Some(lock) = FileLock::try_exclusive(path)? {
            return Ok(lock);
        }
        waiting();
        let file = open(path)?;
        file.lock().map_err(Error::io("lock", path))?;
        Ok(FileLock { _file: file })
    }

    /// The lock, or `None` if somebody else holds it in any mode.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>, Error> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
        }
    }

    /// Whether somebody holds the lock exclusively. Any number of processes may ask at once.
    pub(crate) fn is_held(path: &Path) -> bool {
        !matches!(open(path).map(|file| file.try_lock_shared()), Ok(Ok(())))
    }

    /// Waits until nobody holds the lock exclusively, then holds it together with others.
    pub(crate) fn shared(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        file.lock_shared().map_err(Error::io("lock", path))?;
        Ok(FileLock { _file: file })
    }
}

fn open(path: &Path) -> Result<File, Error> {
    if let Some(parent) = path.parent() {
        dir::create(parent)?;
    }
    File::options().create(true).append(true).open(path).map_err(Error::io("open", path))
}
