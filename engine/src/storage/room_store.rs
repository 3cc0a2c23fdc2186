//! The records of rooms.

use std::sync::Arc;

use super::error::StorageError;
use crate::model::Text;

/// What kind of thing a part of a room is. The order is that in which parts are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PartKind {
    /// What is fixed about the room, and what its owner has decided. Its key is empty; every room has it.
    Record,
    /// When somebody said something for the last time. Its key is empty.
    Activity,
    /// A participant, by its id.
    Participant,
    /// A user who has taken part, by name.
    Reader,
    /// A run that has not ended, by its id.
    Run,
    /// An entry of the history, by its number.
    History,
    /// An entry of the memory, by its key.
    Memory,
    /// A run that has ended, by its id.
    EndedRun,
    /// A call by which something was said, by its number.
    Call,
}

impl PartKind {
    /// All kinds, in their order.
    pub const ALL: [Self; 9] = [
        Self::Record,
        Self::Activity,
        Self::Participant,
        Self::Reader,
        Self::Run,
        Self::History,
        Self::Memory,
        Self::EndedRun,
        Self::Call,
    ];

    /// The number under which an implementation may keep it. It never changes.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Record => 0,
            Self::Activity => 1,
            Self::Participant => 2,
            Self::Reader => 3,
            Self::Run => 4,
            Self::History => 5,
            Self::Memory => 6,
            Self::EndedRun => 7,
            Self::Call => 8,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// One part of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "implementations of `RoomStore` make it")]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Which one of its kind.
    pub key: Text,
    /// What the engine has written; opaque to the store.
    pub value: Arc<str>,
}

/// Takes a room, the parts of it that were asked for, and of which kinds they cannot be read: whether it has parts of these is
/// not known.
pub type ShowRoom<'s> = &'s mut dyn FnMut(Text, Vec<Part>, &[PartKind]);

/// Reads the records of rooms, whose parts [`Write::Put`](super::store::Write::Put) keeps.
///
/// What is read is what was committed: never a part of a batch, and never something that a commit has not confirmed, unless
/// that commit was interrupted and is repeated.
pub trait RoomStore {
    /// The ids of all rooms that have a part, in the order in which each got its first one.
    ///
    /// # Errors
    /// If they cannot be read.
    fn rooms(&self) -> Result<Vec<Text>, StorageError>;

    /// All parts of a room, in order of their kinds and then of the bytes of their keys; none if there is no such room.
    ///
    /// # Errors
    /// If they cannot be read.
    fn parts(&self, room: &str) -> Result<Vec<Part>, StorageError>;

    /// Shows each room in the order of [`rooms`](Self::rooms), with its parts of these kinds. The engine asks for that when it
    /// starts, so it should not take long for many rooms.
    ///
    /// # Errors
    /// If they cannot be read. A single room of which something cannot be read is shown with the rest.
    fn each_room(&self, kinds: &[PartKind], show: ShowRoom<'_>) -> Result<(), StorageError> {
        for room in self.rooms()? {
            match self.parts(&room) {
                Ok(parts) => show(room, parts.into_iter().filter(|part| kinds.contains(&part.kind)).collect(), &[]),
                Err(_) => show(room, Vec::new(), kinds),
            }
        }
        Ok(())
    }
}
