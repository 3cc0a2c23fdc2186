//! An event of a room, for a reader in this process.

use serde_json::Value;

use crate::model::Text;
use crate::protocol::encoded_event::EncodedEvent;
use crate::storage::event_log::LoggedEvent;

/// An event of a room (rooms 4).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// Its kind, such as `message`.
    pub kind: Text,
    /// Its id.
    pub id: Text,
    /// Its number, if it has one.
    pub seq: Option<u64>,
    /// The whole event.
    pub data: Value,
}

impl ReceivedEvent {
    /// An event of this room; `None` if it is another room's, or the application's.
    pub(super) fn of_room(event: &EncodedEvent, room: &str) -> Option<Self> {
        let part = event.room.as_ref().filter(|part| part.room.id() == room)?;
        Some(Self { kind: event.name.clone(), id: part.id.clone(), seq: part.seq, data: event.data()? })
    }

    /// An event that the engine has made for this reader alone.
    pub(super) fn of_reader(data: Value) -> Option<Self> {
        let (kind, id) = (data["kind"].as_str()?.into(), data["id"].as_str()?.into());
        Some(Self { kind, id, seq: None, data })
    }

    /// An event from the log.
    pub(super) fn logged(event: &LoggedEvent) -> Option<Self> {
        let read = Self::of_reader(serde_json::from_str(&event.text).ok()?)?;
        Some(Self { seq: Some(event.seq), ..read })
    }

    /// The first number for which it stands, and the last.
    pub(super) fn covers(&self) -> Option<(u64, u64)> {
        match self.seq {
            Some(seq) => Some((self.data["from_seq"].as_u64().unwrap_or(seq), seq)),
            None => Some((self.data["body"]["from_seq"].as_u64()?, self.data["body"]["to_seq"].as_u64()?)),
        }
    }
}
