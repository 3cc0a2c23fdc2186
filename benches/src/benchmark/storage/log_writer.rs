//! Events for a database alone, and the process that appends them until it is killed.

use std::io::Write as _;
use std::path::Path;

use crate::failure::Failure;
use crate::plan::database_kind::DatabaseKind;
use crate::subject::databases::open;
use crate::subject::event_log::{EventLog, LogRow};

/// How many events each commit of the process has.
const BATCH: u64 = 64;

/// The text of an event, as long as a message is.
pub(super) fn text() -> String {
    format!(r#"{{"id":"e_0123456789abcdefghijkl","kind":"message","body":{{"text":"{}"}}}}"#, "word ".repeat(58))
}

/// So many events from the `first` one of all on, in the rooms in turns.
pub(super) fn events(first: u64, count: u64, rooms: u32, text: &str) -> Vec<LogRow<'_>> {
    let rooms = u64::from(rooms);
    (first..first + count).map(|at| ((at % rooms) as u32, at / rooms + 1, text)).collect()
}

/// How many events there are, if they are the first ones of all.
///
/// # Errors
/// A sentence about what is missing.
pub(super) fn count(log: &dyn EventLog, rooms: u32) -> Result<u64, Failure> {
    let read = (0..rooms).map(|room| log.read(room)).collect::<Result<Vec<_>, _>>()?;
    let all: u64 = read.iter().map(|read| read.events).sum();
    for (room, read) in (0..).zip(&read) {
        let expected = all.saturating_sub(room).div_ceil(u64::from(rooms));
        if !read.is_contiguous || read.events != expected {
            return Err(format!("the log of room {room} is {read:?}, of {expected} events").into());
        }
    }
    Ok(all)
}

/// Appends until the process is killed. Prints how many events there are, whenever more are durable.
pub(crate) fn run(kind: DatabaseKind, directory: &Path, rooms: u32) -> Result<(), Failure> {
    let (mut log, text) = (open(kind, directory)?, text());
    let mut all = count(&*log, rooms)?;
    let mut out = std::io::stdout().lock();
    loop {
        log.append(&events(all, BATCH, rooms, &text))?;
        all += BATCH;
        writeln!(out, "{all}")?;
        out.flush()?;
    }
}
