//! A disk that is full when a test says so.

use std::path::Path;
use std::sync::Arc;

use crate::storage::choice::Storage;
use crate::storage::error::StorageError;
use crate::storage::sqlite::database::Database;
use crate::storage::store::Store;

/// How much more an embedded database may take on the disk.
#[derive(Debug)]
pub struct DiskSpace {
    database: Arc<Database>,
}

impl DiskSpace {
    /// Opens what [`Storage::open`] opens, on a disk that has space until [`fill`](Self::fill) says otherwise.
    ///
    /// # Errors
    /// As those of [`Storage::open`].
    pub fn open(directory: impl AsRef<Path>) -> Result<(Storage, Self), StorageError> {
        let (database, repairs) = Database::open(directory.as_ref())?;
        let database = Arc::new(database);
        let store = Arc::clone(&database) as Arc<dyn Store>;
        let mut storage = Storage::new(store);
        storage.repairs = repairs;
        Ok((storage, Self { database }))
    }

    /// From now on there is space for so many pages more than are used.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn fill(&self, pages_left: u32) -> Result<(), StorageError> {
        self.database.limit_pages(Some(pages_left))
    }

    /// There is space again.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn free(&self) -> Result<(), StorageError> {
        self.database.limit_pages(None)
    }
}
