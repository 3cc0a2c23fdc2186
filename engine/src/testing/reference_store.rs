//! What a store is said to do, as lists in which everything is looked up from the start.

use std::sync::Arc;

use crate::model::Text;
use crate::storage::event_log::{LogBounds, LoggedEvent, PageSize};
use crate::storage::room_store::Part;
use crate::storage::store::Write;

/// What should be kept, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct ReferenceStore {
    rooms: Vec<Text>,
    parts: Vec<(Text, Part)>,
    events: Vec<(Text, LoggedEvent)>,
    archives: Vec<Archived>,
}

#[derive(Debug)]
struct Archived {
    id: Text,
    at_ms: u64,
    about: Arc<str>,
    events: Vec<LoggedEvent>,
}

impl ReferenceStore {
    pub(super) fn write(&mut self, write: Write) {
        match write {
            Write::Put { room, part } => {
                let same =
                    |(of, known): &&mut (Text, Part)| *of == room && (known.kind, &known.key) == (part.kind, &part.key);
                match self.parts.iter_mut().find(same) {
                    Some((_, known)) => *known = part,
                    None => self.parts.push((room, part)),
                }
            }
            Write::Delete { room, kind, key } => {
                self.parts.retain(|(of, part)| *of != room || (part.kind, &part.key) != (kind, &key));
            }
            Write::Append { room, event } => {
                if self.log(&room).iter().all(|known| known.seq < event.seq) {
                    self.events.push((room, event));
                }
            }
            Write::Purge { room, to_seq, before_ms } => {
                let latest = self.bounds(&room).map_or(0, |bounds| bounds.last_seq);
                self.events.retain(|(of, event)| {
                    *of != room || event.seq == latest || (event.seq > to_seq && event.at_ms >= before_ms)
                });
            }
            Write::Remove { room } => self.remove(&room),
            Write::Archive { room, id, at_ms, about } => {
                let events = self.log(&room);
                self.remove(&room);
                if self.archives.iter().all(|known| known.id != id) {
                    self.archives.push(Archived { id, at_ms, about, events });
                }
            }
            Write::PurgeArchives { before_ms } => self.archives.retain(|known| known.at_ms >= before_ms),
            Write::LossTold => {}
        }
        self.rooms.retain(|room| self.parts.iter().any(|(of, _)| of == room));
        let new = self.parts.iter().find(|(of, _)| !self.rooms.contains(of)).map(|(room, _)| room.clone());
        self.rooms.extend(new);
    }

    fn remove(&mut self, room: &Text) {
        self.parts.retain(|(of, _)| of != room);
        self.events.retain(|(of, _)| of != room);
    }

    fn log(&self, room: &str) -> Vec<LoggedEvent> {
        let mut events: Vec<_> = self.events.iter().filter(|(of, _)| of == room).map(|(_, one)| one.clone()).collect();
        events.sort_by_key(|event| event.seq);
        events
    }

    pub(super) fn rooms(&self) -> Vec<Text> {
        self.rooms.clone()
    }

    pub(super) fn parts(&self, room: &str) -> Vec<Part> {
        let mut parts: Vec<_> = self.parts.iter().filter(|(of, _)| of == room).map(|(_, part)| part.clone()).collect();
        parts.sort_by(|one, other| (one.kind, &one.key).cmp(&(other.kind, &other.key)));
        parts
    }

    pub(super) fn bounds(&self, room: &str) -> Option<LogBounds> {
        let log = self.log(room);
        Some(LogBounds { first_seq: log.first()?.seq, last_seq: log.last()?.seq })
    }

    pub(super) fn read(&self, room: &str, after: u64, page: PageSize) -> Vec<LoggedEvent> {
        cut(self.log(room), after, page)
    }

    pub(super) fn about_archive(&self, id: &str) -> Option<Arc<str>> {
        self.archives.iter().find(|known| known.id == id).map(|known| Arc::clone(&known.about))
    }

    pub(super) fn read_archive(&self, id: &str, after: u64, page: PageSize) -> Vec<LoggedEvent> {
        let events = self.archives.iter().find(|known| known.id == id).map(|known| known.events.clone());
        cut(events.unwrap_or_default(), after, page)
    }
}

fn cut(events: Vec<LoggedEvent>, after: u64, page: PageSize) -> Vec<LoggedEvent> {
    let mut bytes = 0;
    let mut kept = Vec::new();
    for event in events.into_iter().filter(|event| event.seq > after).take(page.events) {
        bytes += event.text.len();
        if bytes > page.bytes && !kept.is_empty() {
            break;
        }
        kept.push(event);
    }
    kept
}
