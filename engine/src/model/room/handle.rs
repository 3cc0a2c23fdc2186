//! A handle on a room, for the application and for the engine.

use std::fmt;
use std::sync::Arc;

use super::record::Record;
use crate::model::Text;
use crate::sync::Mutex;

/// A room: a cheap handle, all clones of which are the same room.
#[derive(Clone)]
pub struct Room(Arc<RoomCell>);

struct RoomCell {
    id: Text,
    project: Text,
    /// The order of creation.
    rank: u64,
    record: Mutex<Record>,
}

impl Room {
    pub(crate) fn new(id: Text, project: Text, rank: u64, record: Record) -> Self {
        Self(Arc::new(RoomCell { id, project, rank, record: Mutex::new(record) }))
    }

    /// The room's id.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.0.id
    }

    pub(crate) fn project(&self) -> &Text {
        &self.0.project
    }

    /// The order of creation.
    pub(crate) fn rank(&self) -> u64 {
        self.0.rank
    }

    /// One look or one step with the room locked.
    pub(crate) fn with<T>(&self, step: impl FnOnce(&mut Record) -> T) -> T {
        step(&mut self.0.record.lock())
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("id", &self.0.id).finish_non_exhaustive()
    }
}
