//! What is done about a file that is damaged.
//!
//! What can be read of it is copied into a new file, which takes its place when it is whole. The process may be killed at any
//! moment: whoever opens the directory then finds the damaged file as it was, or goes on where the repair had stopped.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::copying::copy_all;
use super::schema;
use super::write_ahead_log::{self, Tail};
use crate::storage::error::StorageError;
use crate::storage::repair::Repair;

/// Is called before each step that changes something on the disk. If it fails, the repair stops there, as if the process had
/// been killed.
pub(super) type EachStep<'s> = &'s mut dyn FnMut() -> Result<(), StorageError>;

fn unavailable(why: &impl ToString) -> StorageError {
    StorageError::Unavailable(why.to_string())
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file that is there from the moment at which history is about to be lost until all rooms know it.
pub(super) fn mark_of(file: &Path) -> PathBuf {
    beside(file, ".repaired")
}

fn mark(file: &Path) -> Result<(), StorageError> {
    let marked = File::create(mark_of(file)).and_then(|mark| mark.sync_all());
    marked.map_err(|why| unavailable(&why))?;
    sync_directory_of(file);
    Ok(())
}

/// What was renamed is so on the disk. Not every system can be asked for that.
fn sync_directory_of(file: &Path) {
    let directory = file.parent().map(File::open);
    let _ = directory.map(|directory| directory.and_then(|directory| directory.sync_all()));
}

fn rename(from: &Path, to: &Path) -> Result<(), StorageError> {
    fs::rename(from, to).map_err(|why| unavailable(&why))
}

/// What the process was about to do when it was killed in the middle of a repair.
pub(super) fn go_on(file: &Path, step: EachStep<'_>) -> Result<(), StorageError> {
    let new = beside(file, NEW);
    if !file.exists() && new.exists() {
        // It is whole, since the damaged one is out of the way already.
        return replace(file, &latest_aside(file), step);
    }
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let left = beside(&new, suffix);
        if left.exists() {
            fs::remove_file(left).map_err(|why| unavailable(&why))?;
        }
    }
    Ok(())
}

/// What an earlier process has repaired, and not all rooms may know.
pub(super) fn untold(file: &Path) -> Option<Repair> {
    let what = || "a repair was interrupted, or what followed from it".to_owned();
    mark_of(file).exists().then(|| Repair { what: what(), is_history_lost: true })
}

/// Cuts off what follows the last whole commit in the write-ahead log.
pub(super) fn cut_off_tail(file: &Path, step: EachStep<'_>) -> Result<Option<Repair>, StorageError> {
    let path = beside(file, "-wal");
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    let (whole, tail) = write_ahead_log::look_at(&bytes);
    if tail == Tail::Nothing {
        return Ok(None);
    }
    let is_history_lost = tail == Tail::Damaged;
    step()?;
    if is_history_lost {
        mark(file)?;
    }
    step()?;
    let log = OpenOptions::new().write(true).open(&path).map_err(|why| unavailable(&why))?;
    log.set_len(whole as u64).and_then(|()| log.sync_all()).map_err(|why| unavailable(&why))?;
    step()?;
    let what = format!("{} bytes behind the last whole commit were cut off {}", bytes.len() - whole, path.display());
    Ok(Some(Repair { what, is_history_lost }))
}

/// Opens the file, or a new one with what can be read of it.
pub(super) fn open_or_replace(file: &Path, step: EachStep<'_>) -> Result<(Connection, Option<Repair>), StorageError> {
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
    step()?;
    mark(file)?;
    step()?;
    let taken_over = fill_new(file, step)?;
    let aside = free_aside(file);
    step()?;
    rename(file, &aside)?;
    replace(file, &aside, step)?;
    let connection = open(file).map_err(schema::storage_error)?;
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
    let mut statement = connection.prepare(
        "SELECT (SELECT max(place) FROM events WHERE place BETWEEN number << 36 AND (number + 1 << 36) - 1) FROM rooms",
    )?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// What the new file is called until it takes the place of the damaged one.
const NEW: &str = ".new";

/// Copies what can be read into a new file, which is on the disk then. Returns how many rows that are.
fn fill_new(file: &Path, step: EachStep<'_>) -> Result<usize, StorageError> {
    let new = beside(file, NEW);
    let fill = || -> rusqlite::Result<usize> {
        let mut into = Connection::open(&new)?;
        // It counts only when it is whole.
        into.pragma_update(None, "journal_mode", "OFF")?;
        into.pragma_update(None, "synchronous", "OFF")?;
        schema::make(&mut into)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let Ok(from) = Connection::open_with_flags(file, flags) else { return Ok(0) };
        // The damaged file stays as it is.
        from.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        copy_all(&from, &mut into)
    };
    let count = fill().map_err(schema::storage_error)?;
    step()?;
    File::open(&new).and_then(|new| new.sync_all()).map_err(|why| unavailable(&why))?;
    sync_directory_of(file);
    Ok(count)
}

/// The damaged file has another name already; what belongs to it gets that as well, and then the new one takes its place.
fn replace(file: &Path, aside: &Path, step: EachStep<'_>) -> Result<(), StorageError> {
    for suffix in ["-wal", "-shm"] {
        let from = beside(file, suffix);
        if from.exists() {
            step()?;
            rename(&from, &beside(aside, suffix))?;
        }
    }
    step()?;
    sync_directory_of(file);
    rename(&beside(file, NEW), file)?;
    sync_directory_of(file);
    step()
}

fn aside(file: &Path, number: u32) -> PathBuf {
    beside(file, &format!(".damaged-{number}"))
}

/// A name that no damaged file has.
fn free_aside(file: &Path) -> PathBuf {
    let free = (1..u32::MAX).map(|number| aside(file, number)).find(|path| !path.exists());
    free.unwrap_or_else(|| aside(file, u32::MAX))
}

/// The name of the file that was put aside last.
fn latest_aside(file: &Path) -> PathBuf {
    let taken = (1..u32::MAX).map(|number| aside(file, number)).take_while(|path| path.exists());
    taken.last().unwrap_or_else(|| aside(file, 1))
}
