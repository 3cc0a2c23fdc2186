//! The boards of rooms.

use std::collections::HashMap;
use std::sync::Arc;

use grove_engine::{Room, RoomState};
use parking_lot::Mutex;

/// How many notes the board of one room may have.
const MOST_NOTES: usize = 1_000;

/// What somebody wrote on the board of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
    /// Whose it is.
    pub(crate) by: String,
}

/// Why a note was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Full,
    Ended,
}

/// The notes of all rooms that go on, by the id of the room.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    boards: Mutex<HashMap<String, Arc<Vec<Note>>>>,
}

impl Notes {
    /// The notes of a room, the oldest first.
    pub(crate) fn of(&self, room: &str) -> Arc<Vec<Note>> {
        self.boards.lock().get(room).cloned().unwrap_or_default()
    }

    /// Adds a note to a room.
    pub(crate) fn add(&self, room: &Room, note: Note) -> Result<(), NotTaken> {
        let mut boards = self.boards.lock();
        // Asked with the boards locked: the end of a room is reported afterwards, and then its board is taken away.
        if room.state() == RoomState::Ended {
            return Err(NotTaken::Ended);
        }
        let notes = Arc::make_mut(boards.entry(room.id().to_string()).or_default());
        if notes.len() >= MOST_NOTES {
            return Err(NotTaken::Full);
        }
        notes.push(note);
        Ok(())
    }

    /// A room has ended.
    pub(crate) fn forget(&self, room: &str) {
        self.boards.lock().remove(room);
    }
}
