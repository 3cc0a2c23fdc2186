//! What stays of rooms that have ended.

use std::sync::Arc;

use super::error::StorageError;
use super::event_log::{LoggedEvent, PageSize};

/// Reads the archives into which [`Write::Archive`](super::store::Write::Archive) moves the logs of rooms.
pub trait Archive {
    /// What the engine has written about an archive; `None` if there is none with this id.
    ///
    /// # Errors
    /// If it cannot be read.
    fn about_archive(&self, id: &str) -> Result<Option<Arc<str>>, StorageError>;

    /// The events in an archive after this number, in order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read_archive(&self, id: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError>;
}
