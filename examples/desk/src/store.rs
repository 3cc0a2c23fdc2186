//! The SQLite file: typed questions and typed writes, and nothing about who may ask.
//!
//! Nothing outside [`crate::desk`] writes here after the start: a write that went round it would reach nobody's screen.

pub(crate) mod board;
pub(crate) mod inbox;
pub(crate) mod login;
pub(crate) mod people;
pub(crate) mod tasks;

use std::path::Path;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

pub(crate) use board::{Card, Column};
pub(crate) use inbox::{Message, NewMessage};
pub(crate) use login::Login;
pub(crate) use people::Settings;
pub(crate) use tasks::{Priority, Task, TaskCounts};

use crate::error::Result;

/// One step each; a file remembers in `user_version` how many it has taken. Append, never edit.
const MIGRATIONS: [&str; 2] = [include_str!("store/schema.sql"), include_str!("store/agent_tokens.sql")];

/// The open file.
///
/// One connection, so reads and writes take turns; a question takes well under a millisecond. Never held across an
/// `.await`, and never while anything but SQLite runs.
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens the file, creating it when it is not there, and brings its tables up to date.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::prepare(Connection::open(path)?)
    }

    /// A store that is gone when it is dropped.
    pub(crate) fn in_memory() -> Result<Self> {
        Self::prepare(Connection::open_in_memory()?)
    }

    fn prepare(mut connection: Connection) -> Result<Self> {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }

    /// Does several writes as one: all of them are kept, or none.
    pub(crate) fn together<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let answer = work(&transaction)?;
        transaction.commit()?;
        Ok(answer)
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
