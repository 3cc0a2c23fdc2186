//! What is done about a file that is damaged.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row};

use super::schema;
use super::write_ahead_log::{self, Tail};
use crate::storage::error::StorageError;
use crate::storage::repair::Repair;

fn unavailable(why: &impl ToString) -> StorageError {
    StorageError::Unavailable(why.to_string())
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Cuts off what follows the last whole commit in the write-ahead log.
pub(super) fn cut_off_tail(file: &Path) -> Result<Option<Repair>, StorageError> {
    let path = beside(file, "-wal");
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    let (whole, tail) = write_ahead_log::look_at(&bytes);
    if tail == Tail::Nothing {
        return Ok(None);
    }
    let log = OpenOptions::new().write(true).open(&path).map_err(|why| unavailable(&why))?;
    log.set_len(whole as u64).and_then(|()| log.sync_all()).map_err(|why| unavailable(&why))?;
    let what = format!("{} bytes behind the last whole commit were cut off {}", bytes.len() - whole, path.display());
    Ok(Some(Repair { what, is_history_lost: tail == Tail::Damaged }))
}

/// Opens the file, or a new one with what can be read of it.
pub(super) fn open_or_replace(file: &Path) -> Result<(Connection, Option<Repair>), StorageError> {
    let why = match open(file) {
        Ok(connection) => match look_at_all(&connection) {
            Ok(()) => return Ok((connection, None)),
            Err(why) => why,
        },
        Err(why) => why,
    };
    if !schema::is_damage(&why) {
        return Err(schema::storage_error(why));
    }
    let aside = put_aside(file)?;
    let mut connection = open(file).map_err(schema::storage_error)?;
    let taken_over = take_over(&aside, &mut connection).map_err(schema::storage_error)?;
    let what = format!("{why}; the file is {} now, and {taken_over} rows of it were taken over", aside.display());
    Ok((connection, Some(Repair { what, is_history_lost: true })))
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(file)?;
    schema::prepare(&mut connection)?;
    Ok(connection)
}

/// The pages that lead to everything else. The leaves are looked at when they are read.
fn look_at_all(connection: &Connection) -> rusqlite::Result<()> {
    for query in ["SELECT count(*) FROM rooms", "SELECT count(*) FROM parts", "SELECT count(*) FROM archives"] {
        connection.query_row(query, [], |_| Ok(()))?;
    }
    let last = "SELECT (SELECT max(seq) FROM events WHERE room = number) FROM rooms";
    let mut statement = connection.prepare(last)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The file and what belongs to it get names that no other damaged file has.
fn put_aside(file: &Path) -> Result<PathBuf, StorageError> {
    let free = (1_u32..).map(|number| beside(file, &format!(".damaged-{number}"))).find(|path| !path.exists());
    let aside = free.unwrap_or_else(|| beside(file, ".damaged"));
    for suffix in ["", "-wal", "-shm"] {
        let from = beside(file, suffix);
        if from.exists() {
            fs::rename(&from, beside(&aside, suffix)).map_err(|why| unavailable(&why))?;
        }
    }
    Ok(aside)
}

/// The rows of a table, in an order in which damage is met as late as possible.
struct Table {
    select: &'static str,
    insert: &'static str,
    columns: usize,
}

const TABLES: [Table; 4] = [
    Table { select: "SELECT number, id, place FROM rooms", insert: "rooms (number, id, place)", columns: 3 },
    Table { select: "SELECT room, kind, key, value FROM parts", insert: "parts", columns: 4 },
    Table { select: "SELECT id, room, at, about FROM archives", insert: "archives", columns: 4 },
    Table { select: "SELECT room, seq, at, text FROM events", insert: "events", columns: 4 },
];

/// Copies what can be read. Returns how many rows that are.
fn take_over(damaged: &Path, into: &mut Connection) -> rusqlite::Result<usize> {
    let Ok(from) = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE) else { return Ok(0) };
    let transaction = into.transaction()?;
    let mut count = 0;
    for table in TABLES {
        let Ok(mut statement) = from.prepare(table.select) else { continue };
        let Ok(mut rows) = statement.query([]) else { continue };
        let places = ["?1", "?1, ?2", "?1, ?2, ?3", "?1, ?2, ?3, ?4"][table.columns - 1];
        let insert = format!("INSERT OR IGNORE INTO {} VALUES ({places})", table.insert);
        let mut insert = transaction.prepare(&insert)?;
        // At the first page that cannot be read, the rest of the table is given up.
        while let Ok(Some(row)) = rows.next() {
            count += copy(row, &mut insert, table.columns)?;
        }
    }
    // A log is a contiguous piece: what stands before a hole goes.
    transaction.execute(
        "DELETE FROM events WHERE seq < (SELECT max(later.seq) FROM events AS later WHERE later.room = events.room
         AND NOT EXISTS (SELECT 1 FROM events AS before WHERE before.room = later.room AND before.seq = later.seq - 1))",
        [],
    )?;
    transaction.commit()?;
    Ok(count)
}

fn copy(row: &Row<'_>, insert: &mut rusqlite::Statement<'_>, columns: usize) -> rusqlite::Result<usize> {
    let values: Vec<rusqlite::types::Value> = (0..columns).filter_map(|at| row.get(at).ok()).collect();
    if values.len() < columns { Ok(0) } else { insert.execute(rusqlite::params_from_iter(values)) }
}
