//! The logs of rooms.

use std::sync::Arc;

use super::error::StorageError;

/// An event as a log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "implementations of `EventLog` make it")]
pub struct LoggedEvent {
    /// Its number.
    pub seq: u64,
    /// When it happened, in ms since 1970.
    pub at_ms: u64,
    /// The event as JSON.
    pub text: Arc<str>,
}

/// How much of a log is read at once: whichever is reached first ends it, but never before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "every value is valid")]
pub struct PageSize {
    /// At most so many events.
    pub events: usize,
    /// And at most so many bytes of their texts.
    pub bytes: usize,
}

/// The first and the last number of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "implementations of `EventLog` make it")]
pub struct LogBounds {
    /// The number of the oldest event that is kept.
    pub first_seq: u64,
    /// The number of the latest event.
    pub last_seq: u64,
}

/// Reads the logs of rooms, which [`Write::Append`](super::store::Write::Append) extends.
///
/// The engine appends the events of a room in the order of their numbers and leaves none out, so a log is a contiguous piece
/// of a room's events: purging removes the oldest, and never the latest.
pub trait EventLog {
    /// The events of a room after this number, in order.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read(&self, room: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError>;

    /// From which number to which there are events of a room; `None` if there are none.
    ///
    /// # Errors
    /// If they cannot be read.
    fn bounds(&self, room: &str) -> Result<Option<LogBounds>, StorageError>;
}
