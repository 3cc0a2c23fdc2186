//! What is known of a room's event beside its text.

use crate::model::Text;
use crate::model::room::handle::Room;

/// What may happen to an event while it waits for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Merge {
    Never,
    /// A chunk of this run: the text of the next one is appended to it.
    Append(Text),
    /// Progress of this run: the next one replaces it.
    Replace(Text),
}

/// What is known of a room's event beside its text. All positions are in bytes of the text.
#[derive(Debug, Clone)]
pub(crate) struct RoomPart {
    pub(crate) room: Room,
    pub(crate) id: Text,
    /// When it happened (RFC 3339).
    pub(crate) at: Text,
    /// Direct messages, gaps and heartbeats have none.
    pub(crate) seq: Option<u64>,
    /// The first that it stands for, if it stands for others.
    pub(crate) from_seq: Option<u64>,
    pub(crate) merge: Merge,
    /// How long it may become by merging.
    pub(super) max_bytes: usize,
    /// Where the event begins within its frame.
    pub(super) data_at: usize,
    /// Where `from_seq` stands, or would, and where it ends.
    pub(super) from_at: usize,
    pub(super) from_end: usize,
    pub(super) body_at: usize,
    /// Where the text of a chunk begins.
    pub(super) chunk_at: usize,
}

impl RoomPart {
    /// The first `seq` for which it stands, and the last.
    pub(crate) fn covers(&self) -> Option<(u64, u64)> {
        self.seq.map(|seq| (self.from_seq.unwrap_or(seq), seq))
    }

    pub(crate) fn is_of(&self, room: &Room) -> bool {
        self.room.is(room)
    }
}
