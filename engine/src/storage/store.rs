//! All that is kept of rooms, and how it is changed.

use std::fmt;
use std::sync::Arc;

use super::archive::Archive;
use super::error::StorageError;
use super::event_log::{EventLog, LoggedEvent};
use super::room_store::{Part, PartKind, RoomStore};
use crate::model::Text;

/// One change of what is kept. A batch that is committed twice is the same as one that is committed once, but for what is
/// purged, which may be more: who made a commit cannot always know whether it has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Write {
    /// A part of a room is this from now on. The first part of a room makes the room.
    Put {
        /// Which room.
        room: Text,
        /// The part.
        part: Part,
    },
    /// A part of a room is not kept any more.
    Delete {
        /// Which room.
        room: Text,
        /// What kind of part.
        kind: PartKind,
        /// Which one.
        key: Text,
    },
    /// The log of a room goes on with this event. If its number is not above that of the latest one, it was written before, and
    /// nothing happens.
    Append {
        /// Which room. It need not have a part.
        room: Text,
        /// The event.
        event: LoggedEvent,
    },
    /// The oldest events of a room go: those up to this number, and those before this time. The latest event stays.
    Purge {
        /// Which room.
        room: Text,
        /// Up to which number.
        to_seq: u64,
        /// Before which time, in ms since 1970.
        before_ms: u64,
    },
    /// Nothing of a room stays. Another room may have its id later.
    Remove {
        /// Which room.
        room: Text,
    },
    /// The log of a room becomes an archive, and nothing else of the room stays. If there is an archive with the id already,
    /// that was written before, and stays as it is.
    Archive {
        /// Which room.
        room: Text,
        /// The id of the archive.
        id: Text,
        /// When the room ended, in ms since 1970.
        at_ms: u64,
        /// What the engine has to say about it; opaque to the store.
        about: Arc<str>,
    },
    /// The archives of rooms that ended before this time go.
    PurgeArchives {
        /// In ms since 1970.
        before_ms: u64,
    },
    /// Every room has been told that history was lost, by the changes before this one. Written after a repair that the store
    /// itself has reported, so that it does not report it again; for another store there is nothing to do.
    LossTold,
}

/// All that is kept of rooms. Its methods may block. The engine commits from one thread at a time, in the order in which
/// things happened, and reads from any thread meanwhile.
pub trait Store: RoomStore + EventLog + Archive + fmt::Debug + Send + Sync + 'static {
    /// Makes changes, in this order: all of them or none.
    ///
    /// When this returns `Ok`, they are as durable as the store is: for a database, they survive the end of the process and
    /// of the machine. What the engine acknowledges to a client, it acknowledges after that. When this returns an error, the
    /// engine keeps the changes, says so to those who are in the rooms, and commits the same changes again later, with more
    /// behind them.
    ///
    /// # Errors
    /// If they could not be made.
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError>;

    /// Whether anything is still there when the process starts again. If not, only logs and archives are written.
    fn survives(&self) -> bool {
        true
    }
}
