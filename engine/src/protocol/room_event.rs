//! The events of rooms, as text.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::encoded_event::{CHUNK_END, EncodedEvent};
use super::room_part::{Merge, RoomPart};
use crate::error::FrameError;
use crate::model::room::event::{EventKind, RoomEvent};
use crate::model::room::handle::Room;

/// Encodes an event once for all who receive it.
///
/// # Errors
/// [`FrameError`] if it does not fit a frame.
pub(crate) fn encode(
    room: &Room,
    event: &RoomEvent<'_>,
    merge: Merge,
    max_bytes: usize,
) -> Result<Arc<EncodedEvent>, FrameError> {
    let (text, data_at) = frame(event);
    if text.len() > max_bytes {
        return Err(FrameError::TooLarge(max_bytes));
    }
    // Within a string a quote has a backslash before it, so these are the names of fields.
    let end = |name: &str, from: usize| text[from..].find(name).map_or(text.len(), |at| from + at);
    let from_at = end(",\"kind\":", data_at);
    let body = ",\"body\":";
    let body_at = end(body, from_at) + body.len();
    let part = RoomPart {
        room: room.clone(),
        id: event.id.into(),
        at: event.at.as_str().into(),
        seq: event.seq,
        from_seq: None,
        chunk_at: event.body.as_object().and_then(chunk).map_or(body_at, |chunk| text.len() - chunk - CHUNK_END.len()),
        merge,
        max_bytes,
        data_at,
        from_at,
        from_end: from_at,
        body_at,
    };
    Ok(EncodedEvent::of_room(event.kind, text, part))
}

/// About how long the frame of an event is without its body.
const ENVELOPE_BYTES: usize = 512;

/// The frame of an event, and where the event begins in it.
fn frame(event: &RoomEvent<'_>) -> (String, usize) {
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES);
    bytes.extend_from_slice(br#"{"type":"event","name":""#);
    bytes.extend_from_slice(event.kind.as_bytes());
    bytes.extend_from_slice(br#"","data":"#);
    let data_at = bytes.len();
    // Events are strings, numbers, lists and maps of them, which can be written.
    let _ = serde_json::to_writer(&mut bytes, event);
    bytes.push(b'}');
    // It may wait for a slow reader.
    bytes.shrink_to_fit();
    (String::from_utf8(bytes).unwrap_or_default(), data_at)
}

/// How long the text of a chunk is in its frame, without quotes. It is the last field of the body.
fn chunk(body: &Map<String, Value>) -> Option<usize> {
    match body.iter().next_back() {
        Some((name, Value::String(text))) if name == "text" => Some(json(text).len() - 2),
        _ => None,
    }
}

/// The text of what consists of strings, numbers, lists and maps of them.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// An event that the engine sends about a room beside what happens in it. It has no `seq`, actor or trace id (rooms 10).
pub(crate) fn aside(of: &Room, id: &str, at: &str, kind: EventKind, body: Value) -> Arc<EncodedEvent> {
    let (room, project, epoch) = (of.id(), of.project(), of.epoch());
    let (seq, actor, trace_id, call_id) = (None, None, None, None);
    let (kind, at) = (kind.as_str(), at.to_owned());
    let event = RoomEvent { id, room, project, epoch, seq, kind, actor, trace_id, call_id, at, body };
    encode(of, &event, Merge::Never, usize::MAX).expect("nothing is longer than that")
}

/// In place of a room's events that a connection did not read fast enough, of which the last had this id and happened at
/// this time. Connections that missed the same events are told so under the same id, as of every other event.
pub(crate) fn gap(room: &Room, last: &str, at: &str, from_seq: u64, to_seq: u64) -> Arc<EncodedEvent> {
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (EventKind::RoomGap, last, from_seq, to_seq, half).hash(&mut hasher);
        hasher.finish()
    };
    let id = format!("e_{:016x}{:016x}", half(0), half(1));
    aside(room, &id, at, EventKind::RoomGap, json!({"from_seq": from_seq, "to_seq": to_seq}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::room::about::About;
    use crate::model::room::event::Actor;
    use crate::model::room::policy::Access;
    use crate::model::room::record::Record;

    fn room(id: &str) -> Room {
        let about = About { id: id.into(), project: "p".into(), epoch: "x".into(), ..About::default() };
        Room::new(about, Record::new("alice".into(), Access::Invited, None, 0))
    }

    fn event(id: &str, seq: Option<u64>, body: Value, max_bytes: usize) -> Result<EncodedEvent, FrameError> {
        let room = room("m_\"1");
        let actor = Actor { user: Some("alice".into()), name: "Alice".into(), participant: None, kind: "person" };
        let event = RoomEvent {
            id,
            room: room.id(),
            project: room.project(),
            epoch: room.epoch(),
            seq,
            kind: "run.chunk",
            actor: Some(&actor),
            trace_id: Some("tx-1"),
            call_id: None,
            at: "2026-04-06T14:00:10.123Z".to_owned(),
            body,
        };
        encode(&room, &event, Merge::Never, max_bytes).map(|event| (*event).clone())
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract_in_their_order() {
        let text = event("e_1", Some(41), json!({"text": "a \"b\""}), 1_000).unwrap().text;
        assert_eq!(
            text,
            concat!(
                r#"{"type":"event","name":"run.chunk","data":{"id":"e_1","room":"m_\"1","project":"p","epoch":"x","#,
                r#""seq":41,"kind":"run.chunk","actor":{"user":"alice","name":"Alice","kind":"person"},"#,
                r#""trace_id":"tx-1","at":"2026-04-06T14:00:10.123Z","body":{"text":"a \"b\""}}}"#,
            )
        );
        assert!(event("e_1", None, json!("x".repeat(1_000)), 1_000).is_err());
    }

    #[test]
    fn a_merged_chunk_has_the_head_of_the_newest_the_offset_of_the_first_and_the_text_of_both() {
        let chunk = |id, seq, offset: u64, text: &str| {
            event(id, Some(seq), json!({"run": "r_\"1", "offset": offset, "text": text}), 1_000).unwrap()
        };
        let mut merged = chunk("e_1", 8, 0, "a\n\"");
        merged.append(&chunk("e_22", 9, 3, "\\b"));
        merged.append(&chunk("e_333", 10, 5, "é"));
        let data = merged.data().unwrap();
        assert_eq!(data["body"], json!({"run": "r_\"1", "offset": 0, "text": "a\n\"\\bé"}));
        assert_eq!((&data["id"], &data["seq"], &data["from_seq"]), (&json!("e_333"), &json!(10), &json!(8)));
        merged.stand_for(7);
        assert_eq!(serde_json::from_str::<Value>(&merged.text).unwrap()["data"]["from_seq"], 7);
        assert_eq!(merged.data().unwrap()["body"], data["body"]);
    }

    #[test]
    fn a_chunk_that_was_merged_often_takes_little_more_than_its_length() {
        let chunk = |seq: u64| {
            let body = json!({"run": "r_1", "offset": seq * 100, "text": "x".repeat(100)});
            event("e_1", Some(seq), body, 1_000_000).unwrap()
        };
        let mut merged = chunk(0);
        for seq in 1..1_000 {
            merged.append(&chunk(seq));
            assert!(merged.text.capacity() - merged.text.len() < 5_000, "{seq}: {}", merged.text.capacity());
        }
        assert_eq!(merged.data().unwrap()["body"]["text"].as_str().map(str::len), Some(100_000));
    }

    #[test]
    fn a_gap_and_a_heartbeat_have_neither_seq_nor_actor_nor_trace_id() {
        let room = room("m_1");
        let gap_of = |from| gap(&room, "e_1", "now", from, 5).data().unwrap();
        assert_eq!(gap_of(2)["id"], gap_of(2)["id"]);
        assert_ne!(gap_of(2)["id"], gap_of(3)["id"]);
        assert_eq!(gap_of(2)["body"], json!({"from_seq": 2, "to_seq": 5}));
        let beat = aside(&room, "e_2", "now", EventKind::Heartbeat, json!({})).data().unwrap();
        let keys: Vec<_> = beat.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["id", "room", "project", "epoch", "kind", "at", "body"]);
    }
}
