//! The tables.

use rusqlite::{Connection, ErrorCode};

use crate::storage::error::StorageError;

/// The version of the tables.
const VERSION: i64 = 1;

/// A room has a number, so that its id stands in no row of an event, and its log becomes an archive by one row.
/// `place` is the order of the first parts; a room without one is a log alone, or an archive.
const TABLES: &str = "
    CREATE TABLE rooms (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, place INTEGER) STRICT;
    CREATE TABLE parts (
        room INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (room, kind, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        room INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE archives (
        id TEXT PRIMARY KEY, room INTEGER NOT NULL, at INTEGER NOT NULL, about TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rooms_by_place ON rooms (place);
    CREATE INDEX archives_by_end ON archives (at);
";

/// Makes the tables if there are none.
///
/// # Errors
/// If they cannot be made or read, or are of a newer version.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit returns when the write-ahead log is on the disk, so it survives the end of the machine.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(32);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    } else if version != VERSION {
        return Err(rusqlite::Error::ToSqlConversionFailure("the tables are of another version of Grove".into()));
    }
    Ok(())
}

/// Whether the file is not what it was any more.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

#[expect(clippy::needless_pass_by_value, reason = "used where errors are mapped")]
pub(super) fn storage_error(error: rusqlite::Error) -> StorageError {
    // What was written is text, and in the columns that it is read from.
    let is_foreign = matches!(
        error,
        rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
    );
    if is_foreign || is_damage(&error) {
        StorageError::Corrupt(error.to_string())
    } else {
        StorageError::Unavailable(error.to_string())
    }
}
