//! An event, encoded once for all who receive it.

use std::sync::Arc;

use serde_json::Value;

use super::encode;
use super::room_part::RoomPart;
use crate::config::sizes::SMALLEST_FRAME;
use crate::error::FrameError;
use crate::model::Text;

/// An event with its text on the wire. Receivers in this process take the parts.
#[derive(Debug, Clone)]
pub(crate) struct EncodedEvent {
    pub(crate) name: Text,
    /// A room's event has it in its text alone.
    data: Option<Value>,
    pub(crate) text: String,
    /// Present if it is a room's.
    pub(crate) room: Option<Box<RoomPart>>,
}

/// What follows the text of a chunk in its frame: the ends of the text, the body, the event and the frame.
pub(super) const CHUNK_END: &str = "\"}}}";

impl EncodedEvent {
    /// An event of the application's.
    ///
    /// # Errors
    /// [`FrameError`] if it does not fit a frame.
    pub(crate) fn new(name: &str, data: Option<&Value>, max_bytes: usize) -> Result<Arc<Self>, FrameError> {
        // Copied only when it is known to be shallow: the copy of a value is made level by level.
        let text = encode::event(name, data, max_bytes)?;
        Ok(Arc::new(Self { name: name.into(), data: data.cloned(), text, room: None }))
    }

    /// An event of the engine's own, which fits every frame.
    pub(crate) fn own(name: &str, data: Option<&Value>) -> Arc<Self> {
        Self::new(name, data, SMALLEST_FRAME).expect("the engine's events are short")
    }

    /// In place of events that a consumer did not read fast enough.
    pub(crate) fn dropped(count: u64) -> Arc<Self> {
        Self::own("events.dropped", Some(&serde_json::json!({ "count": count })))
    }

    /// An event with this text, whatever it is.
    #[cfg(test)]
    pub(crate) fn plain(text: &str) -> Arc<Self> {
        Arc::new(Self { name: "e".into(), data: None, text: text.to_owned(), room: None })
    }

    /// A room's event.
    pub(super) fn of_room(name: &str, text: String, part: RoomPart) -> Arc<Self> {
        Arc::new(Self { name: name.into(), data: None, text, room: Some(Box::new(part)) })
    }

    /// What comes with it.
    pub(crate) fn data(&self) -> Option<Value> {
        match self.room_data() {
            Some(text) => serde_json::from_str(text).ok(),
            None => self.data.clone(),
        }
    }

    /// A room's event without the frame around it.
    pub(crate) fn room_data(&self) -> Option<&str> {
        self.room.as_ref().map(|part| &self.text[part.data_at..self.text.len() - 1])
    }

    /// How long it would be with the text of a later chunk.
    pub(crate) fn len_with(&self, later: &Self) -> usize {
        let chunk = later.room.as_ref().map_or(0, |part| later.text.len() - part.chunk_at);
        self.text.len() + chunk + FROM_SEQ_BYTES
    }

    /// How long it may become by merging, in bytes.
    pub(crate) fn max_merged_bytes(&self) -> usize {
        self.room.as_ref().map_or(0, |part| part.max_bytes)
    }

    /// Stands for the next chunk as well: it has the id, the time and the `seq` of that one, and the text of both
    /// (rooms 10).
    pub(crate) fn append(&mut self, later: &Self) {
        let (Some(part), Some(new)) = (&mut self.room, &later.room) else { return };
        let Some((from_seq, _)) = part.covers() else { return };
        self.text.truncate(self.text.len() - CHUNK_END.len());
        let chunk = &later.text[new.chunk_at..];
        if self.text.capacity() - self.text.len() < chunk.len() + HEAD_GROWTH_BYTES {
            // What waits for a slow reader takes little more than its length.
            self.text.reserve_exact((chunk.len() + HEAD_GROWTH_BYTES).max(GROWTH_BYTES));
        }
        self.text.push_str(chunk);
        let chunk_in_body = part.chunk_at - part.body_at;
        self.text.replace_range(..part.body_at, &later.text[..new.body_at]);
        **part = RoomPart { chunk_at: new.body_at + chunk_in_body, ..(**new).clone() };
        self.stand_for(from_seq);
    }

    /// Stands for everything from a `seq` on.
    pub(crate) fn stand_for(&mut self, from_seq: u64) {
        let Some(part) = &mut self.room else { return };
        let field = format!(r#","from_seq":{from_seq}"#);
        self.text.replace_range(part.from_at..part.from_end, &field);
        let end = part.from_at + field.len();
        part.body_at = part.body_at + end - part.from_end;
        part.chunk_at = part.chunk_at + end - part.from_end;
        (part.from_end, part.from_seq) = (end, Some(from_seq));
    }
}

/// By how much a text that is merged grows at least.
const GROWTH_BYTES: usize = 4_096;

/// By how much what stands before the body may grow when another event stands for it.
const HEAD_GROWTH_BYTES: usize = 256;

/// The longest field that says for what an event stands.
const FROM_SEQ_BYTES: usize = r#","from_seq":18446744073709551615"#.len();
