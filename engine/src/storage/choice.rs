//! Where an application wants what happens in its rooms to be kept.

use std::sync::Arc;

use super::journal::Journal;
use super::store::Store;
use super::writer::HealthObserver;
use crate::sync::Runtime;

/// Where what happens in rooms is kept: the logs of rooms that are replayable or will be archived, what is needed to open
/// these rooms again, and archives. Nothing is kept of other rooms.
#[derive(Debug, Clone, Default)]
pub struct Storage(Choice);

#[derive(Debug, Clone, Default)]
enum Choice {
    #[default]
    Memory,
    Store(Arc<dyn Store>),
}

impl Storage {
    /// In memory, which is the default: as long as the engine lives, and within `rooms.memory_bytes`.
    #[must_use]
    pub fn memory() -> Self {
        Self::default()
    }

    /// In a store of the application's, which no other engine uses meanwhile. The engine commits to it on a thread of its
    /// own.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Choice::Store(store))
    }

    pub(crate) fn into_journal(self, max_memory_bytes: usize, observer: HealthObserver, runtime: Runtime) -> Journal {
        match self.0 {
            Choice::Memory => Journal::in_memory(max_memory_bytes, runtime),
            Choice::Store(store) => Journal::new(store, observer, runtime),
        }
    }
}
