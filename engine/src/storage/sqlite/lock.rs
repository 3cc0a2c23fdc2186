//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::storage::error::StorageError;

/// Keeps other processes, and other engines of this one, out of a directory until it is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<Self, StorageError> {
        let path = directory.join("lock");
        let unavailable =
            |why: &dyn ToString| StorageError::Unavailable(format!("{}: {}", path.display(), why.to_string()));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|why| unavailable(&why))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(unavailable(&"another engine uses the directory")),
            Err(TryLockError::Error(why)) => Err(unavailable(&why)),
        }
    }
}
