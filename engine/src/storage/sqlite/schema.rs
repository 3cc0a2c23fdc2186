//! The tables.

use rusqlite::{Connection, ErrorCode, Transaction};

use crate::storage::error::StorageError;

/// The version of the tables.
const VERSION: i64 = 2;

/// A room has a number, so that its id stands in no row of an event, and its log becomes an archive by one row.
/// `place` is the order of the first parts; a room without one is a log alone, or an archive, or what could not be removed.
///
/// What may be long stands in tables whose keys are numbers. What does not fit its page is then read by nobody but who wants
/// that row, so if it is damaged, it is in nobody else's way.
const TABLES: &str = "
    CREATE TABLE rooms (number INTEGER PRIMARY KEY, id TEXT UNIQUE, place INTEGER) STRICT;
    CREATE TABLE parts (
        number INTEGER PRIMARY KEY, room INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE events (place INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
    CREATE TABLE archives (
        room INTEGER PRIMARY KEY, id TEXT NOT NULL, at INTEGER NOT NULL, about TEXT NOT NULL
    ) STRICT;
    CREATE INDEX rooms_by_place ON rooms (place);
    CREATE UNIQUE INDEX parts_by_key ON parts (room, kind, key);
    CREATE UNIQUE INDEX archives_by_id ON archives (id);
    CREATE INDEX archives_by_end ON archives (at);
";

/// The tables of the first version get other names, so that their rows can be taken over.
const ASIDE: &str = "
    DROP INDEX rooms_by_place;
    DROP INDEX archives_by_end;
    ALTER TABLE rooms RENAME TO first_rooms;
    ALTER TABLE parts RENAME TO first_parts;
    ALTER TABLE events RENAME TO first_events;
    ALTER TABLE archives RENAME TO first_archives;
";

/// A table, and how its rows are taken over.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static str,
    /// What these columns are in the tables of the first version.
    first: &'static str,
}

/// In an order in which damage is met as late as possible.
pub(super) const ALL: [Table; 4] = [
    Table { name: "rooms", columns: "number, id, place", first: "number, id, place" },
    Table { name: "parts", columns: "room, kind, key, value", first: "room, kind, key, value" },
    Table { name: "archives", columns: "room, id, at, about", first: "room, id, at, about" },
    Table { name: "events", columns: "place, at, text", first: "(room << 36) + seq, at, text" },
];

impl Table {
    /// The columns, in a file whose tables are of this version.
    pub(super) const fn columns_of(&self, version: i64) -> &'static str {
        if version == 1 { self.first } else { self.columns }
    }

    /// In which orders its rows are read until a page cannot be.
    pub(super) const fn orders(&self, version: i64) -> &'static [&'static str] {
        // In the first version, a table could be read in the order of its own key alone.
        if version == 1 { &[""] } else { &["ORDER BY rowid", "ORDER BY rowid DESC"] }
    }
}

/// How many numbers a log has for its events: more than come in a lifetime.
const SEQS: i64 = 1 << 36;

/// The highest number of a room whose events have places.
pub(super) const MOST_ROOMS: i64 = i64::MAX / SEQS - 1;

/// Where an event stands, among those of all rooms: a log is a contiguous piece.
pub(super) fn place(room: i64, seq: i64) -> i64 {
    room * SEQS + seq.clamp(0, SEQS - 1)
}

/// Between which places the events of a room stand.
pub(super) fn places(room: i64) -> [i64; 2] {
    [place(room, 0), place(room, i64::MAX)]
}

/// Where the latest event stands between two places.
pub(super) const LAST_PLACE: &str =
    "SELECT place FROM events WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1";

/// The number of the event that stands at a place.
pub(super) const fn seq_at(place: i64) -> u64 {
    place.rem_euclid(SEQS).unsigned_abs()
}

/// Makes the tables if there are none, or from those of the first version.
///
/// # Errors
/// If they cannot be made or read, or are of a newer version.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit returns when the write-ahead log is on the disk, so it survives the end of the machine.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(32);
    make(connection)
}

/// The version of the tables that are there; 0 without any.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Makes the tables if there are none, or from those of the first version.
pub(super) fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    match version(connection)? {
        VERSION => Ok(()),
        version @ 0..VERSION => {
            let transaction = connection.transaction()?;
            if version == 1 {
                transaction.execute_batch(ASIDE)?;
            }
            transaction.execute_batch(TABLES)?;
            if version == 1 {
                from_first(&transaction)?;
            }
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()
        }
        _ => Err(rusqlite::Error::ToSqlConversionFailure(
            "a newer version of Grove has written it: use that one, or another directory".into(),
        )),
    }
}

/// Takes all rows over, in the order of their new keys.
fn from_first(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for Table { name, columns, first } in ALL {
        transaction.execute_batch(&format!(
            "INSERT INTO {name} ({columns}) SELECT {first} FROM first_{name};
             DROP TABLE first_{name};"
        ))?;
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
