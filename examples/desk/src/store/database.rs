//! The open file, and how its tables are migrated.

use std::fs::{File, TryLockError};
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use crate::error::{DeskError, Result};

/// One step each; `user_version` in the file counts the steps taken. Append, never edit.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("agent_tokens.sql")];

/// The open file.
///
/// One connection, so reads and writes take turns; a query takes well under a millisecond. The lock is never held across
/// an `.await`, and never while anything but SQLite runs.
pub(crate) struct Store {
    connection: Mutex<Connection>,
    /// Locked against other processes for as long as the store is open. `None` in memory.
    _lock: Option<File>,
}

impl Store {
    /// Opens the file, creating it if it does not exist, and migrates its tables.
    ///
    /// # Errors
    ///
    /// When another desk has it open: neither would see what the other writes.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let lock = lock(path)?;
        Self::prepare(Connection::open(path)?, Some(lock))
    }

    /// A store in memory, which is gone when it is dropped.
    pub(crate) fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?, None)
    }

    fn prepare(mut connection: Connection, lock: Option<File>) -> Result<Self> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection), _lock: lock })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// Performs several writes as one transaction.
    pub(crate) fn in_transaction<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Locks the file beside the database; the database's own locks are held only while it is read or written.
fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(name).map_err(DeskError::Lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DeskError::InUse),
        Err(TryLockError::Error(error)) => Err(DeskError::Lock(error)),
    }
}

fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction()?;
    let taken: usize = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in MIGRATIONS.iter().skip(taken) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", MIGRATIONS.len())?;
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_is_migrating_once() {
        let mut connection = Connection::open_in_memory().expect("a store");
        migrate(&mut connection).expect("the first time");
        migrate(&mut connection).expect("the second time");
    }
}
