//! SQLite alone, without an engine.

use std::path::Path;

use rusqlite::{Connection, params};

use super::event_log::{EventLog, LogRow, ReadLog};
use crate::failure::Failure;

/// SQLite with a table of events like that of the engine.
pub(crate) struct SqliteLog(Connection);

/// As in the engine.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS events (place INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
";

/// How many places each room has.
const PLACES: i64 = 1 << 36;

/// How many events are read at once.
const PAGE: i64 = 1_000;

impl SqliteLog {
    /// Opens it in a directory, with the settings of the engine.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(directory.join("alone.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLE)?;
        Ok(Self(connection))
    }
}

impl EventLog for SqliteLog {
    fn append(&mut self, batch: &[LogRow<'_>]) -> Result<(), Failure> {
        let transaction = self.0.transaction()?;
        let sql = "INSERT INTO events (place, at, text) VALUES (?1, 0, ?2)";
        let mut statement = transaction.prepare_cached(sql)?;
        for (room, seq, text) in batch {
            statement.execute(params![i64::from(*room) * PLACES + seq.cast_signed(), text])?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }

    fn read(&self, room: u32) -> Result<ReadLog, Failure> {
        let sql = "SELECT place, at, text FROM events WHERE place > ?1 AND place < ?2 ORDER BY place LIMIT ?3";
        let mut statement = self.0.prepare_cached(sql)?;
        let first = i64::from(room) * PLACES;
        let (mut log, mut after) = (ReadLog::new(), first);
        loop {
            let before = log.events;
            let mut rows = statement.query(params![after, first + PLACES, PAGE])?;
            while let Some(row) = rows.next()? {
                after = row.get(0)?;
                log.add((after - first).cast_unsigned(), row.get_ref(2)?.as_str()?);
            }
            if log.events < before + PAGE.cast_unsigned() {
                return Ok(log);
            }
        }
    }
}
