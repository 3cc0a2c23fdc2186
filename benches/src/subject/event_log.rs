//! What a database does with the logs of rooms, without an engine.

use crate::failure::Failure;

/// An event of a log: the number of its room, its own number, and its text.
pub(crate) type LogRow<'t> = (u32, u64, &'t str);

/// What was read of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReadLog {
    pub(crate) events: u64,
    pub(crate) text_bytes: u64,
    /// Whether the events have the numbers from 1 on.
    pub(crate) is_contiguous: bool,
}

impl ReadLog {
    /// Nothing was read yet.
    pub(crate) const fn new() -> Self {
        Self { events: 0, text_bytes: 0, is_contiguous: true }
    }

    pub(crate) const fn add(&mut self, seq: u64, text: &str) {
        self.events += 1;
        self.text_bytes += text.len() as u64;
        self.is_contiguous &= seq == self.events;
    }
}

/// A database with the logs of rooms.
pub(crate) trait EventLog {
    /// Appends events; they are durable then.
    fn append(&mut self, batch: &[LogRow<'_>]) -> Result<(), Failure>;

    /// Reads the log of a room.
    fn read(&self, room: u32) -> Result<ReadLog, Failure>;
}
