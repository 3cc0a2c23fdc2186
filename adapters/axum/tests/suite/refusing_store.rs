//! A store that refuses to commit when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grove_engine::{
    Archive, EventLog, LogBounds, LoggedEvent, MemoryStore, PageSize, Part, RoomStore, StorageError, Store, Text, Write,
};

#[derive(Debug)]
pub(crate) struct RefusingStore {
    memory: MemoryStore,
    refuses: AtomicBool,
}

impl RefusingStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { memory: MemoryStore::new(usize::MAX).surviving(), refuses: AtomicBool::new(false) })
    }

    pub(crate) fn refuse(&self) {
        self.refuses.store(true, Ordering::SeqCst);
    }

    /// It commits again.
    pub(crate) fn accept(&self) {
        self.refuses.store(false, Ordering::SeqCst);
    }
}

impl RoomStore for RefusingStore {
    fn rooms(&self) -> Result<Vec<Text>, StorageError> {
        self.memory.rooms()
    }

    fn parts(&self, room: &str) -> Result<Vec<Part>, StorageError> {
        self.memory.parts(room)
    }
}

impl EventLog for RefusingStore {
    fn read(&self, room: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.memory.read(room, after, page)
    }

    fn bounds(&self, room: &str) -> Result<Option<LogBounds>, StorageError> {
        self.memory.bounds(room)
    }
}

impl Archive for RefusingStore {
    fn about_archive(&self, id: &str) -> Result<Option<Arc<str>>, StorageError> {
        self.memory.about_archive(id)
    }

    fn read_archive(&self, id: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        self.memory.read_archive(id, after, page)
    }
}

impl Store for RefusingStore {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        match self.refuses.load(Ordering::SeqCst) {
            true => Err(StorageError::Unavailable("the disk is full".into())),
            false => self.memory.commit(writes),
        }
    }
}
