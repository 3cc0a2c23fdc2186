//! What is kept in an embedded database, in one directory.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Statement};

use super::lock::DirectoryLock;
use super::repairing::{self, EachStep};
use super::schema::{self, place, seq_at};
use super::writing::{Writing, int};
use crate::model::Text;
use crate::storage::archive::Archive;
use crate::storage::error::StorageError;
use crate::storage::event_log::{EventLog, LogBounds, LoggedEvent, PageSize};
use crate::storage::repair::Repair;
use crate::storage::room_store::{Part, PartKind, RoomStore, ShowRoom};
use crate::storage::store::{Store, Write};
use crate::sync::Mutex;

/// What is kept in SQLite: one file with a write-ahead log. A commit returns when the log is on the disk.
#[derive(Debug)]
pub(crate) struct Database {
    // Closed before the other, which then tidies up the log.
    reading: Mutex<Connection>,
    writing: Mutex<Writing>,
    /// Held as long as this exists.
    _lock: DirectoryLock,
}

/// The file in the directory.
const FILE: &str = "rooms.db";

impl Database {
    /// Opens what is kept in a directory, which is made if there is none. What cannot be read any more is put aside or cut
    /// off, and told.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Vec<Repair>), StorageError> {
        Self::open_in_steps(directory, &mut || Ok(()))
    }

    fn open_in_steps(directory: &Path, step: EachStep<'_>) -> Result<(Self, Vec<Repair>), StorageError> {
        std::fs::create_dir_all(directory).map_err(|why| unavailable(&why))?;
        let lock = DirectoryLock::take(directory)?;
        let file = directory.join(FILE);
        repairing::go_on(&file, step)?;
        let mut repairs = Vec::from_iter(repairing::cut_off_tail(&file, step)?);
        let (connection, replaced) = repairing::open_or_replace(&file, step)?;
        repairs.extend(replaced);
        let untold = repairing::untold(&file);
        let writing = Writing::new(connection, untold.is_some().then(|| repairing::mark_of(&file)));
        if !repairs.iter().any(|repair| repair.is_history_lost) {
            repairs.extend(untold);
        }
        let reading = open_reader(&file)?;
        Ok((Self { writing: Mutex::new(writing), reading: Mutex::new(reading), _lock: lock }, repairs))
    }

    /// How many pages the file may have beyond those that it has.
    #[cfg(feature = "testing")]
    pub(crate) fn limit_pages(&self, more: Option<u32>) -> Result<(), StorageError> {
        self.writing.lock().limit_pages(more).map_err(schema::storage_error)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StorageError> {
        read(&self.reading.lock()).map_err(schema::storage_error)
    }
}

fn unavailable(why: &impl ToString) -> StorageError {
    StorageError::Unavailable(why.to_string())
}

fn open_reader(file: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reading = Connection::open_with_flags(file, flags).map_err(schema::storage_error)?;
    reading.set_prepared_statement_cache_capacity(16);
    Ok(reading)
}

fn event(row: &Row<'_>) -> rusqlite::Result<LoggedEvent> {
    let (place, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
    let text: Arc<str> = row.get_ref(2)?.as_str()?.into();
    Ok(LoggedEvent { seq: seq_at(place), at_ms: at_ms.unsigned_abs(), text })
}

/// The events of what has this number, after one of them.
fn page(connection: &Connection, of: i64, after: u64, page: PageSize) -> rusqlite::Result<Vec<LoggedEvent>> {
    let mut statement = connection.prepare_cached(
        "SELECT place, at, text FROM events WHERE place > ?1 AND place <= ?2 ORDER BY place LIMIT ?3",
    )?;
    let limit = i64::try_from(page.events).unwrap_or(i64::MAX);
    let mut rows = statement.query([place(of, int(after)), place(of, i64::MAX), limit])?;
    let (mut events, mut left) = (Vec::new(), page.bytes);
    while let Some(row) = rows.next()? {
        let event = event(row)?;
        let Some(rest) = left.checked_sub(event.text.len()).or(events.is_empty().then_some(0)) else { break };
        left = rest;
        events.push(event);
    }
    Ok(events)
}

/// The number of a room.
fn number(connection: &Connection, room: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT number FROM rooms WHERE id = ?1")?;
    statement.query_row([room], |row| row.get(0)).optional()
}

impl RoomStore for Database {
    fn rooms(&self) -> Result<Vec<Text>, StorageError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT id FROM rooms WHERE place IS NOT NULL ORDER BY place")?;
            let ids = statement.query_map([], |row| Ok(Text::from(row.get_ref(0)?.as_str()?)))?;
            ids.collect()
        })
    }

    fn parts(&self, room: &str) -> Result<Vec<Part>, StorageError> {
        self.read(|connection| {
            let Some(number) = number(connection, room)? else { return Ok(Vec::new()) };
            let parts = "SELECT kind, key, value FROM parts WHERE room = ?1 ORDER BY kind, key";
            all_parts(&mut *connection.prepare_cached(parts)?, number)
        })
    }

    fn each_room(&self, kinds: &[PartKind], show: ShowRoom<'_>) -> Result<(), StorageError> {
        let mut after = 0;
        loop {
            // Nobody is shown anything while others wait for the connection.
            let rooms = self.read(|connection| {
                some_rooms(connection, after, kinds).or_else(|_| one_by_one(connection, after, kinds))
            })?;
            let Some(last) = rooms.last() else { return Ok(()) };
            after = last.place;
            rooms.into_iter().for_each(|found| show(found.id, found.parts, &found.unread));
        }
    }
}

/// The parts of a room that a statement selects.
fn all_parts(statement: &mut Statement<'_>, room: i64) -> rusqlite::Result<Vec<Part>> {
    let parts = statement.query_map([room], |row| {
        let kind = PartKind::from_number(row.get(0)?);
        let (key, value) = (row.get_ref(1)?.as_str()?.into(), row.get_ref(2)?.as_str()?.into());
        // What a newer version has written is not for this one.
        Ok(kind.map(|kind| Part { kind, key, value }))
    })?;
    parts.filter_map(Result::transpose).collect()
}

/// The parts of these kinds of a room, and the kinds of which they cannot be read.
fn those_that_can_be_read(connection: &Connection, room: i64, kinds: &[PartKind]) -> (Vec<Part>, Vec<PartKind>) {
    let (mut parts, mut unread) = (Vec::new(), Vec::new());
    for kind in kinds {
        let of_kind =
            format!("SELECT kind, key, value FROM parts WHERE room = ?1 AND kind = {} ORDER BY key", kind.number());
        match connection.prepare(&of_kind).and_then(|mut statement| all_parts(&mut statement, room)) {
            Ok(read) => parts.extend(read),
            Err(_) => unread.push(*kind),
        }
    }
    (parts, unread)
}

/// How many rooms are read at once.
const ROOMS: i64 = 1_000;

/// A room with some of its parts.
#[derive(Debug)]
struct Found {
    place: i64,
    id: Text,
    parts: Vec<Part>,
    /// The kinds of which its parts cannot be read.
    unread: Vec<PartKind>,
}

/// The next rooms after a place, each with its parts of these kinds. In one query, since there may be very many.
fn some_rooms(connection: &Connection, after: i64, kinds: &[PartKind]) -> rusqlite::Result<Vec<Found>> {
    let last = "SELECT max(place) FROM (SELECT place FROM rooms WHERE place > ?1 ORDER BY place LIMIT ?2)";
    let last: Option<i64> = connection.prepare_cached(last)?.query_row([after, ROOMS], |row| row.get(0))?;
    let Some(last) = last else { return Ok(Vec::new()) };
    let numbers: Vec<_> = kinds.iter().map(|kind| kind.number().to_string()).collect();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT rooms.place, id, kind, key, value
         FROM rooms LEFT JOIN parts ON parts.room = rooms.number AND kind IN ({})
         WHERE rooms.place > ?1 AND rooms.place <= ?2 ORDER BY rooms.place",
        numbers.join(", ")
    ))?;
    let mut rows = statement.query([after, last])?;
    let mut rooms: Vec<Found> = Vec::new();
    while let Some(row) = rows.next()? {
        let place = row.get(0)?;
        if rooms.last().is_none_or(|known| known.place != place) {
            rooms.push(Found { place, id: row.get_ref(1)?.as_str()?.into(), parts: Vec::new(), unread: Vec::new() });
        }
        let kind = row.get::<_, Option<u8>>(2)?.and_then(PartKind::from_number);
        if let Some((kind, found)) = kind.zip(rooms.last_mut()) {
            let (key, value) = (row.get_ref(3)?.as_str()?.into(), row.get_ref(4)?.as_str()?.into());
            found.parts.push(Part { kind, key, value });
        }
    }
    rooms.iter_mut().for_each(|found| found.parts.sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key))));
    Ok(rooms)
}

/// The same if something of them cannot be read: without that.
fn one_by_one(connection: &Connection, after: i64, kinds: &[PartKind]) -> rusqlite::Result<Vec<Found>> {
    let mut next =
        connection.prepare_cached("SELECT place, number, id FROM rooms WHERE place > ?1 ORDER BY place LIMIT ?2")?;
    let mut rows = next.query([after, ROOMS])?;
    let mut rooms = Vec::new();
    while let Some(row) = rows.next()? {
        let (parts, unread) = those_that_can_be_read(connection, row.get(1)?, kinds);
        rooms.push(Found { place: row.get(0)?, id: row.get_ref(2)?.as_str()?.into(), parts, unread });
    }
    Ok(rooms)
}

impl EventLog for Database {
    fn read(&self, room: &str, after: u64, size: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.read(|connection| match number(connection, room)? {
            Some(number) => page(connection, number, after, size),
            None => Ok(Vec::new()),
        })
    }

    fn bounds(&self, room: &str) -> Result<Option<LogBounds>, StorageError> {
        self.read(|connection| {
            let Some(number) = number(connection, room)? else { return Ok(None) };
            let end = |order: &str| {
                let query =
                    format!("SELECT place FROM events WHERE place BETWEEN ?1 AND ?2 ORDER BY place {order} LIMIT 1");
                let mut statement = connection.prepare_cached(&query)?;
                statement.query_row(schema::places(number), |row| Ok(seq_at(row.get(0)?))).optional()
            };
            let bounds = |(first_seq, last_seq)| LogBounds { first_seq, last_seq };
            Ok(end("ASC")?.zip(end("DESC")?).map(bounds))
        })
    }
}

/// The number of what became an archive.
fn archived(connection: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT room FROM archives WHERE id = ?1")?;
    statement.query_row([id], |row| row.get(0)).optional()
}

impl Archive for Database {
    fn about_archive(&self, id: &str) -> Result<Option<Arc<str>>, StorageError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT about FROM archives WHERE id = ?1")?;
            statement.query_row([id], |row| Ok(row.get_ref(0)?.as_str()?.into())).optional()
        })
    }

    fn read_archive(&self, id: &str, after: u64, size: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.read(|connection| match archived(connection, id)? {
            Some(number) => page(connection, number, after, size),
            None => Ok(Vec::new()),
        })
    }
}

impl Store for Database {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.writing.lock().commit(writes).map_err(schema::storage_error)
    }
}

#[cfg(test)]
mod tests;

#[cfg(all(test, feature = "testing"))]
mod law {
    use super::*;
    use crate::testing::check_store;

    #[test]
    fn what_is_kept_in_a_database_is_what_the_traits_say() {
        for seed in [3, 17] {
            let directory = std::env::temp_dir().join(format!("grove-database-{seed}-{}", std::process::id()));
            let open = || {
                let (database, repairs) = Database::open(&directory).unwrap();
                assert!(repairs.is_empty(), "{repairs:?}");
                Arc::new(database) as Arc<dyn Store>
            };
            check_store(open, seed);
            std::fs::remove_dir_all(&directory).unwrap();
        }
    }
}
