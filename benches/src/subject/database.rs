//! The embedded database alone, without an engine.

use std::path::Path;

use rusqlite::{Connection, params};

use crate::failure::Failure;

/// An event of a log: the number of its room, its own number, and its text.
pub(crate) type LogRow<'t> = (u32, u64, &'t str);

/// SQLite with a table of events like that of the engine.
pub(crate) struct Database(Connection);

/// As in the engine.
const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS events (
        room INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (room, seq)
    ) STRICT, WITHOUT ROWID;
";

impl Database {
    /// Opens it in a directory, with the settings of the engine.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(directory.join("alone.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLE)?;
        Ok(Self(connection))
    }

    /// Appends events; they are durable then.
    pub(crate) fn append(&mut self, batch: &[LogRow<'_>]) -> Result<(), Failure> {
        let transaction = self.0.transaction()?;
        let mut statement =
            transaction.prepare_cached("INSERT INTO events (room, seq, at, text) VALUES (?1, ?2, 0, ?3)")?;
        for (room, seq, text) in batch {
            statement.execute(params![room, seq.cast_signed(), text])?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }

    /// Reads the events of a room, so many at once. Returns how many there are, and how long their texts are.
    pub(crate) fn replay(&self, room: u32, at_once: u64) -> Result<(u64, u64), Failure> {
        let sql = "SELECT seq, at, text FROM events WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        let mut statement = self.0.prepare_cached(sql)?;
        let (mut count, mut bytes, mut after) = (0, 0, 0_i64);
        loop {
            let mut rows = statement.query(params![room, after, at_once.cast_signed()])?;
            let mut read = 0;
            while let Some(row) = rows.next()? {
                after = row.get(0)?;
                let text: String = row.get(2)?;
                bytes += text.len() as u64;
                read += 1;
            }
            count += read;
            if read < at_once {
                return Ok((count, bytes));
            }
        }
    }
}
