//! The tables, and how they are opened.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use crate::member::MembersError;

/// The version of the tables.
const VERSION: i64 = 2;

/// The rows of `gone` are numbered in each project, so that how many there are need not be counted.
const TABLES: &str = "
    CREATE TABLE members (
        project TEXT NOT NULL, id TEXT NOT NULL, key BLOB NOT NULL, rights TEXT NOT NULL, PRIMARY KEY (project, id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX members_by_key ON members (project, key);
    CREATE TABLE removed (
        number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, key BLOB NOT NULL, UNIQUE (project, key)
    ) STRICT;
    CREATE TABLE revoked (
        number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, key BLOB NOT NULL, UNIQUE (project, key)
    ) STRICT;
    CREATE TABLE gone (
        project TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, row TEXT NOT NULL,
        PRIMARY KEY (project, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX gone_by_time ON gone (at);
";

/// From version 1, in which a revocation had an end.
const FROM_1: &str = "
    ALTER TABLE revoked RENAME TO revoked_until;
    CREATE TABLE revoked (
        number INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, key BLOB NOT NULL, UNIQUE (project, key)
    ) STRICT;
    INSERT INTO revoked (project, key) SELECT project, key FROM revoked_until ORDER BY until;
    DROP TABLE revoked_until;
";

/// How long one process waits for another one that writes.
const BUSY: Duration = Duration::from_secs(1);

/// For what a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What is written is on the disk when a commit returns, so it survives the end of the machine.
    Durable,
    /// What is written survives the end of the process.
    Noting,
    Reading,
}

/// Opens the file; the first one looks through it, and makes the tables if there are none.
pub(super) fn open(file: &Path, purpose: Purpose) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = if purpose == Purpose::Durable { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    if purpose == Purpose::Durable {
        prepare(&mut connection)?;
    }
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let health: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if health != "ok" {
        return Err(foreign(health));
    }
    in_transaction(connection, |transaction| {
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => transaction.execute_batch(TABLES),
            1 => transaction.execute_batch(FROM_1),
            VERSION => Ok(()),
            _ => Err(rusqlite::Error::ToSqlConversionFailure("the tables are of another version of Grove".into())),
        }?;
        transaction.pragma_update(None, "user_version", VERSION)
    })
}

/// Nobody else writes meanwhile. What fails leaves nothing behind.
pub(super) fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Takes what was committed over into the file, as far as nobody reads or writes: what follows damage in the write-ahead log
/// would be lost without a word.
pub(super) fn empty_log(connection: &Connection) {
    // If that fails, the next one does it.
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
}

/// What stands there was not written by this program.
pub(super) fn foreign(why: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why.into())
}

/// Numbers are stored with a sign; no time is that late.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn error(file: &Path, why: &rusqlite::Error) -> MembersError {
    let is_foreign = matches!(
        why,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    );
    let code = why.sqlite_error_code();
    let text = format!("{}: {why}", file.display());
    if is_foreign || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
        MembersError::Damaged(text)
    } else {
        MembersError::Unavailable(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_version_1_had_revoked_for_a_while_is_revoked_for_good() {
        let mut connection = Connection::open_in_memory().unwrap();
        let before = "
            CREATE TABLE revoked (
                project TEXT NOT NULL, key BLOB NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (project, key)
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX revoked_by_end ON revoked (until);
            INSERT INTO revoked VALUES ('acme', x'01', 9), ('acme', x'02', 5);
            PRAGMA user_version = 1;
        ";
        connection.execute_batch(before).unwrap();
        prepare(&mut connection).unwrap();
        prepare(&mut connection).unwrap();
        let mut kept = connection.prepare("SELECT key FROM revoked WHERE project = 'acme' ORDER BY number").unwrap();
        let kept: Vec<Vec<u8>> = kept.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_eq!(kept, [[2], [1]]);
    }
}
