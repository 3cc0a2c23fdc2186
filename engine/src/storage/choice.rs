//! Where an application wants what happens in its rooms to be kept.

#[cfg(feature = "storage")]
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "storage")]
use super::error::StorageError;
use super::journal::Journal;
use super::repair::Repair;
#[cfg(feature = "storage")]
use super::sqlite::database::Database;
use super::store::Store;
use super::writer::HealthObserver;
use crate::sync::Runtime;

/// Where what happens in rooms is kept: the logs of rooms that are replayable or will be archived, what is needed to open
/// these rooms again, and archives. Nothing is kept of other rooms.
///
/// An engine that starts with what another one has kept has its rooms from the start: with their owners, those who were
/// admitted, and their events, whose numbers go on. Whoever was in them has left.
#[derive(Debug, Default)]
pub struct Storage {
    /// In memory if there is none.
    store: Option<Arc<dyn Store>>,
    pub(crate) repairs: Vec<Repair>,
}

impl Storage {
    /// In memory, which is the default: as long as the engine lives, and within `rooms.stored_bytes`.
    #[must_use]
    pub fn memory() -> Self {
        Self::default()
    }

    /// In a store of the application's, which no other engine uses meanwhile. The engine commits to it on a thread of its
    /// own.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store: Some(store), repairs: Vec::new() }
    }

    /// In an embedded database in a directory, which is made if there is none. Everything that was acknowledged is there again
    /// after the process or the machine has ended, however that happened. Blocks until it is open.
    ///
    /// What is damaged is no reason to fail: what is not whole at the end is cut off, and a file that cannot be read is put
    /// aside, and what can be read of it is taken over. [`Event::StorageRepaired`](crate::Event::StorageRepaired) tells
    /// what was done.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] if the directory cannot be used, or another engine uses it.
    #[cfg(feature = "storage")]
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StorageError> {
        let (database, repairs) = Database::open(directory.as_ref())?;
        Ok(Self { store: Some(Arc::new(database)), repairs })
    }

    pub(crate) fn into_journal(self, max_memory_bytes: usize, observer: HealthObserver, runtime: Runtime) -> Journal {
        match self.store {
            None => Journal::in_memory(max_memory_bytes, runtime),
            Some(store) => Journal::new(store, self.repairs.len(), observer, runtime),
        }
    }
}
