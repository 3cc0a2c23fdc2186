//! What is kept in an embedded database, in one directory.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::lock::DirectoryLock;
use super::repairing;
use super::schema;
use super::writing::Writing;
use crate::model::Text;
use crate::storage::archive::Archive;
use crate::storage::error::StorageError;
use crate::storage::event_log::{EventLog, LogBounds, LoggedEvent, PageSize};
use crate::storage::repair::Repair;
use crate::storage::room_store::{Part, PartKind, RoomStore};
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
        std::fs::create_dir_all(directory).map_err(|why| unavailable(&why))?;
        let lock = DirectoryLock::take(directory)?;
        let file = directory.join(FILE);
        let mut repairs = Vec::new();
        repairs.extend(repairing::cut_off_tail(&file)?);
        let (connection, replaced) = repairing::open_or_replace(&file)?;
        repairs.extend(replaced);
        let reading = open_reader(&file)?;
        Ok((Self { writing: Mutex::new(Writing::new(connection)), reading: Mutex::new(reading), _lock: lock }, repairs))
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
    let (seq, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
    let text: Arc<str> = row.get_ref(2)?.as_str()?.into();
    Ok(LoggedEvent { seq: seq.unsigned_abs(), at_ms: at_ms.unsigned_abs(), text })
}

/// The events of what has this number, after one of them.
fn page(connection: &Connection, of: i64, after: u64, page: PageSize) -> rusqlite::Result<Vec<LoggedEvent>> {
    let mut statement = connection
        .prepare_cached("SELECT seq, at, text FROM events WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3")?;
    let limit = i64::try_from(page.events).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![of, after, limit])?;
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
            let mut statement =
                connection.prepare_cached("SELECT kind, key, value FROM parts WHERE room = ?1 ORDER BY kind, key")?;
            let parts = statement.query_map([number], |row| {
                let kind = PartKind::from_number(row.get(0)?);
                let (key, value) = (row.get_ref(1)?.as_str()?.into(), row.get_ref(2)?.as_str()?.into());
                // What a newer version has written is not for this one.
                Ok(kind.map(|kind| Part { kind, key, value }))
            })?;
            parts.filter_map(Result::transpose).collect()
        })
    }

    fn each_room(&self, kinds: &[PartKind], show: &mut dyn FnMut(Text, Vec<Part>)) -> Result<(), StorageError> {
        let mut after = 0;
        loop {
            // Nobody is shown anything while others wait for the connection.
            let rooms = self.read(|connection| some_rooms(connection, after, kinds))?;
            let Some((last, _, _)) = rooms.last() else { return Ok(()) };
            after = *last;
            rooms.into_iter().for_each(|(_, id, parts)| show(id, parts));
        }
    }
}

/// How many rooms are read at once.
const ROOMS: i64 = 1_000;

/// The next rooms after a place, each with its place and its parts of these kinds: none if they cannot be read.
fn some_rooms(
    connection: &Connection,
    after: i64,
    kinds: &[PartKind],
) -> rusqlite::Result<Vec<(i64, Text, Vec<Part>)>> {
    let mut next =
        connection.prepare_cached("SELECT place, number, id FROM rooms WHERE place > ?1 ORDER BY place LIMIT ?2")?;
    let mut of_kind = connection.prepare_cached("SELECT key, value FROM parts WHERE room = ?1 AND kind = ?2")?;
    let mut rows = next.query(params![after, ROOMS])?;
    let mut rooms = Vec::new();
    while let Some(row) = rows.next()? {
        let number: i64 = row.get(1)?;
        let mut parts = Vec::new();
        for kind in kinds {
            let read = of_kind.query_map(params![number, kind.number()], |row| {
                Ok(Part { kind: *kind, key: row.get_ref(0)?.as_str()?.into(), value: row.get_ref(1)?.as_str()?.into() })
            })?;
            if let Ok(read) = read.collect::<rusqlite::Result<Vec<_>>>() {
                parts.extend(read);
            }
        }
        rooms.push((row.get(0)?, row.get_ref(2)?.as_str()?.into(), parts));
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
                let query = format!("SELECT seq FROM events WHERE room = ?1 ORDER BY seq {order} LIMIT 1");
                let mut statement = connection.prepare_cached(&query)?;
                statement.query_row([number], |row| row.get::<_, i64>(0)).optional()
            };
            let bounds = |(first, last): (i64, i64)| LogBounds {
                first_seq: first.unsigned_abs(),
                last_seq: last.unsigned_abs(),
            };
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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::testing::check_store;

    /// A directory that is removed in the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            Self(std::env::temp_dir().join(format!("grove-{name}-{}", std::process::id())))
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_kept_in_a_database_is_what_the_traits_say() {
        for seed in [3, 17] {
            let directory = Directory::new(&format!("database-{seed}"));
            let open = || {
                let (database, repairs) = Database::open(&directory.0).unwrap();
                assert!(repairs.is_empty(), "{repairs:?}");
                Arc::new(database) as Arc<dyn Store>
            };
            check_store(open, seed);
        }
    }

    #[test]
    fn a_directory_is_for_one_engine() {
        let directory = Directory::new("lock");
        let open = || Database::open(&directory.0);
        let first = open().unwrap();
        assert!(matches!(open(), Err(StorageError::Unavailable(_))));
        drop(first);
        assert!(open().is_ok());
    }

    fn events(database: &Database) -> Vec<u64> {
        let whole = PageSize { events: usize::MAX, bytes: usize::MAX };
        EventLog::read(database, "m", 0, whole).unwrap().iter().map(|event| event.seq).collect()
    }

    fn append(seq: u64) -> Write {
        let event = LoggedEvent { seq, at_ms: seq, text: "x".repeat(3_000).into() };
        Write::Append { room: "m".into(), event }
    }

    /// What a directory has when the process is killed: the database is never closed.
    fn killed(name: &str, commits: u64) -> Directory {
        let directory = Directory::new(name);
        let (database, _) = Database::open(&directory.0).unwrap();
        (1..=commits).for_each(|seq| database.commit(&[append(seq)]).unwrap());
        let copy = Directory::new(&format!("{name}-copy"));
        std::fs::create_dir_all(&copy.0).unwrap();
        for file in ["rooms.db", "rooms.db-wal"] {
            std::fs::copy(directory.0.join(file), copy.0.join(file)).unwrap();
        }
        copy
    }

    #[test]
    fn whatever_is_missing_at_the_end_the_commits_before_it_are_there() {
        let whole = killed("cut", 12);
        let log = std::fs::read(whole.0.join("rooms.db-wal")).unwrap();
        let (database, repairs) = Database::open(&whole.0).unwrap();
        assert_eq!((events(&database), repairs.len()), ((1..=12).collect(), 0));
        let mut known = 0;
        for end in (0..log.len()).step_by(log.len() / 40) {
            let cut = killed("cut-here", 12);
            std::fs::write(cut.0.join("rooms.db-wal"), &log[..end]).unwrap();
            let (database, _) = Database::open(&cut.0).unwrap();
            let events = events(&database);
            assert!(events.iter().copied().eq(1..=events.len() as u64) && events.len() >= known, "{end}: {events:?}");
            known = events.len();
            database.commit(&[append(known as u64 + 1)]).unwrap();
        }
        assert!(known >= 10, "{known}");
    }

    #[test]
    fn a_tail_that_is_not_what_was_written_is_cut_off_and_told() {
        let damaged = killed("damaged", 12);
        let path = damaged.0.join("rooms.db-wal");
        let mut log = std::fs::read(&path).unwrap();
        let middle = log.len() / 2;
        log[middle] ^= 0xff;
        std::fs::write(&path, log).unwrap();
        let (database, repairs) = Database::open(&damaged.0).unwrap();
        assert!(repairs.len() == 1 && repairs[0].is_history_lost, "{repairs:?}");
        let events = events(&database);
        assert!((1..12).contains(&events.len()) && events.iter().copied().eq(1..=events.len() as u64), "{events:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_put_aside_and_what_can_be_read_is_taken_over() {
        let directory = Directory::new("page");
        let (database, _) = Database::open(&directory.0).unwrap();
        (1..=200).for_each(|seq| database.commit(&[append(seq)]).unwrap());
        drop(database);
        let path = directory.0.join("rooms.db");
        let mut file = std::fs::read(&path).unwrap();
        let middle = file.len() / 2;
        file[middle..].fill(0xab);
        std::fs::write(&path, file).unwrap();
        let (database, repairs) = Database::open(&directory.0).unwrap();
        assert!(repairs.len() == 1 && repairs[0].is_history_lost, "{repairs:?}");
        let read = events(&database);
        assert!(read.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{read:?}");
        drop(database);
        std::fs::write(&path, b"this is no database").unwrap();
        let (database, repairs) = Database::open(&directory.0).unwrap();
        assert_eq!((repairs.len(), events(&database).len()), (1, 0));
        assert!(directory.0.join("rooms.db.damaged-2").exists());
    }
}
