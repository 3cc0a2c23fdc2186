//! Why something could not be read or kept.

use std::fmt;

/// Why something could not be read or kept, in a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// It cannot be now, such as with a full disk; later it may.
    Unavailable(String),
    /// What was kept cannot be read any more.
    Corrupt(String),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the storage cannot be used now: {why}"),
            Self::Corrupt(why) => write!(f, "the storage is damaged: {why}"),
        }
    }
}

impl std::error::Error for StorageError {}
