//! What is kept as long as the process lives.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;
use indexmap::IndexMap;

use super::archive::Archive;
use super::error::StorageError;
use super::event_log::{EventLog, LogBounds, LoggedEvent, PageSize};
use super::room_store::{Part, PartKind, RoomStore};
use super::store::{Store, Write};
use crate::model::Text;
use crate::sync::Mutex;

/// Keeps everything in memory, within a bound. Above it, the oldest archives go, and if there are none, the older halves of
/// logs.
#[derive(Debug)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    max_bytes: usize,
    survives: bool,
}

#[derive(Debug, Default)]
struct Inner {
    /// In order of the first part.
    rooms: IndexMap<Text, BTreeMap<(PartKind, Text), Arc<str>>>,
    logs: HashMap<Text, Log>,
    /// In order of their ends.
    archives: IndexMap<Text, Archived>,
    bytes: usize,
}

/// Events in order, without a gap.
#[derive(Debug, Default)]
struct Log(VecDeque<LoggedEvent>);

#[derive(Debug)]
struct Archived {
    at_ms: u64,
    about: Arc<str>,
    log: Log,
}

impl MemoryStore {
    /// Keeps at most so many bytes of events and parts.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), max_bytes, survives: false }
    }

    /// The same, written to as a database would be: for tests of what happens after a restart of the engine.
    #[must_use]
    pub const fn surviving(mut self) -> Self {
        self.survives = true;
        self
    }

    /// Makes one change. Returns whether older events had to go for it.
    pub(crate) fn write(&self, write: &Write) -> bool {
        let mut inner = self.inner.lock();
        inner.write(write);
        inner.shrink(self.max_bytes)
    }
}

impl RoomStore for MemoryStore {
    fn rooms(&self) -> Result<Vec<Text>, StorageError> {
        Ok(self.inner.lock().rooms.keys().cloned().collect())
    }

    fn parts(&self, room: &str) -> Result<Vec<Part>, StorageError> {
        let inner = self.inner.lock();
        let parts = inner.rooms.get(room).into_iter().flatten();
        let part = |((kind, key), value): (&(PartKind, Text), &Arc<str>)| Part {
            kind: *kind,
            key: key.clone(),
            value: Arc::clone(value),
        };
        Ok(parts.map(part).collect())
    }
}

impl EventLog for MemoryStore {
    fn read(&self, room: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        Ok(self.inner.lock().logs.get(room).map(|log| log.page(after, page)).unwrap_or_default())
    }

    fn bounds(&self, room: &str) -> Result<Option<LogBounds>, StorageError> {
        Ok(self.inner.lock().logs.get(room).and_then(Log::bounds))
    }
}

impl Archive for MemoryStore {
    fn about_archive(&self, id: &str) -> Result<Option<Arc<str>>, StorageError> {
        Ok(self.inner.lock().archives.get(id).map(|archived| Arc::clone(&archived.about)))
    }

    fn read_archive(&self, id: &str, after: u64, page: PageSize) -> Result<Vec<LoggedEvent>, StorageError> {
        Ok(self.inner.lock().archives.get(id).map(|archived| archived.log.page(after, page)).unwrap_or_default())
    }
}

impl Store for MemoryStore {
    fn commit(&self, writes: &[Write]) -> Result<(), StorageError> {
        writes.iter().for_each(|write| {
            self.write(write);
        });
        Ok(())
    }

    fn survives(&self) -> bool {
        self.survives
    }
}

impl Inner {
    fn write(&mut self, write: &Write) {
        match write {
            Write::Put { room, part } => self.put(room, part),
            Write::Delete { room, kind, key } => self.delete(room, &(*kind, key.clone())),
            Write::Append { room, event } => {
                let appended = self.logs.entry(room.clone()).or_default().append(event);
                self.bytes += if appended { size_of_event(event) } else { 0 };
            }
            Write::Purge { room, to_seq, before_ms } => {
                let purged = self.logs.get_mut(room).map_or(0, |log| log.purge(*to_seq, *before_ms));
                self.bytes -= purged;
            }
            Write::Remove { room } => {
                self.remove_parts(room);
                let removed = self.logs.remove(room);
                self.bytes -= removed.as_ref().map_or(0, Log::bytes);
            }
            Write::Archive { room, id, at_ms, about } => self.archive(room, id, *at_ms, about),
            Write::PurgeArchives { before_ms } => {
                let freed: usize =
                    self.archives.values().filter(|one| one.at_ms < *before_ms).map(|one| one.log.bytes()).sum();
                self.archives.retain(|_, archived| archived.at_ms >= *before_ms);
                self.bytes -= freed;
            }
            Write::LossTold => {}
        }
    }

    fn put(&mut self, room: &Text, part: &Part) {
        let parts = self.rooms.entry(room.clone()).or_default();
        let before = parts.insert((part.kind, part.key.clone()), Arc::clone(&part.value));
        self.bytes += part.value.len();
        self.bytes -= before.map_or(0, |value| value.len());
    }

    fn delete(&mut self, room: &Text, key: &(PartKind, Text)) {
        let Some(parts) = self.rooms.get_mut(room) else { return };
        self.bytes -= parts.remove(key).map_or(0, |value| value.len());
        if parts.is_empty() {
            self.rooms.shift_remove(room);
        }
    }

    fn remove_parts(&mut self, room: &Text) {
        let parts = self.rooms.shift_remove(room);
        self.bytes -= parts.iter().flat_map(BTreeMap::values).map(|value| value.len()).sum::<usize>();
    }

    fn archive(&mut self, room: &Text, id: &Text, at_ms: u64, about: &Arc<str>) {
        self.remove_parts(room);
        let log = self.logs.remove(room).unwrap_or_default();
        if self.archives.contains_key(id) {
            self.bytes -= log.bytes();
        } else {
            self.archives.insert(id.clone(), Archived { at_ms, about: Arc::clone(about), log });
        }
    }

    /// Drops the oldest until an eighth is free, if there is more than may be. Returns whether anything was dropped.
    fn shrink(&mut self, max_bytes: usize) -> bool {
        if self.bytes <= max_bytes {
            return false;
        }
        let enough = max_bytes - max_bytes / 8;
        while self.bytes > enough
            && let Some((_, archived)) = self.archives.shift_remove_index(0)
        {
            self.bytes -= archived.log.bytes();
        }
        for log in self.logs.values_mut() {
            if self.bytes <= enough {
                break;
            }
            self.bytes -= log.drop_half();
        }
        true
    }
}

impl Log {
    fn append(&mut self, event: &LoggedEvent) -> bool {
        let follows = self.0.back().is_none_or(|last| last.seq < event.seq);
        if follows {
            self.0.push_back(event.clone());
        }
        follows
    }

    /// Removes the oldest events, but not the latest. Returns how many bytes that frees.
    fn purge(&mut self, to_seq: u64, before_ms: u64) -> usize {
        let mut freed = 0;
        while self.0.len() > 1
            && let Some(event) = self.0.pop_front_if(|event| event.seq <= to_seq || event.at_ms < before_ms)
        {
            freed += size_of_event(&event);
        }
        freed
    }

    fn drop_half(&mut self) -> usize {
        let middle = self.0.get(self.0.len() / 2).map_or(0, |event| event.seq);
        self.purge(middle.saturating_sub(1), 0)
    }

    fn page(&self, after: u64, page: PageSize) -> Vec<LoggedEvent> {
        let from = self.0.partition_point(|event| event.seq <= after);
        let mut left = page.bytes;
        let mut events = Vec::new();
        for event in self.0.range(from..).take(page.events) {
            let Some(rest) = left.checked_sub(event.text.len()).or(events.is_empty().then_some(0)) else { break };
            left = rest;
            events.push(event.clone());
        }
        events
    }

    fn bounds(&self) -> Option<LogBounds> {
        Some(LogBounds { first_seq: self.0.front()?.seq, last_seq: self.0.back()?.seq })
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(size_of_event).sum()
    }
}

fn size_of_event(event: &LoggedEvent) -> usize {
    event.text.len() + size_of::<LoggedEvent>()
}
