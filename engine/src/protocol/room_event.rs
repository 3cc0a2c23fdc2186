//! The events of rooms, as text.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::Serialize;

use super::encoded_event::EncodedEvent;
use super::room_part::{Merge, RoomEpoch, RoomPart};
use crate::error::FrameError;
use crate::model::Text;

/// What an event of a room has beside its body (rooms 4).
#[derive(Debug)]
pub(crate) struct RoomEvent<'a, A> {
    pub(crate) source: &'a Arc<RoomEpoch>,
    pub(crate) id: &'a str,
    pub(crate) seq: Option<u64>,
    pub(crate) kind: &'a str,
    pub(crate) actor: Option<A>,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) call_id: Option<&'a str>,
    /// When it happened (RFC 3339).
    pub(crate) at: &'a str,
    pub(crate) merge: Merge,
}

impl<A: Serialize> RoomEvent<'_, A> {
    /// Encodes it once for all who receive it.
    ///
    /// # Errors
    /// [`FrameError`] if it does not fit a frame.
    pub(crate) fn encode(self, body: &impl Serialize, max_bytes: usize) -> Result<Arc<EncodedEvent>, FrameError> {
        let body = json(body);
        self.with_body(&body, body.len(), max_bytes)
    }

    /// Encodes a chunk of a run's output, which may be merged with the next one.
    ///
    /// # Errors
    /// [`FrameError`] if it does not fit a frame.
    #[cfg_attr(not(test), expect(dead_code, reason = "runs come with the agents"))]
    pub(crate) fn chunk(
        self,
        run: &str,
        offset: u64,
        text: &str,
        max_bytes: usize,
    ) -> Result<Arc<EncodedEvent>, FrameError> {
        let head = format!(r#"{{"run":{},"offset":{offset},"text":""#, json(&run));
        let body = format!("{head}{}}}", &json(&text)[1..]);
        Self { merge: Merge::Append(run.into()), ..self }.with_body(&body, head.len(), max_bytes)
    }

    fn with_body(self, body: &str, chunk_at: usize, max_bytes: usize) -> Result<Arc<EncodedEvent>, FrameError> {
        let Self { source, id, seq, kind, actor, trace_id, call_id, at, merge } = self;
        let mut text = format!(r#"{{"type":"event","name":{},"data":"#, json(&kind));
        let data_at = text.len();
        text.push('{');
        field(&mut text, "id", Some(&id));
        field(&mut text, "room", Some(&source.room));
        field(&mut text, "project", Some(&source.project));
        field(&mut text, "epoch", Some(&source.epoch));
        field(&mut text, "seq", seq.as_ref());
        let from_at = text.len();
        field(&mut text, "kind", Some(&kind));
        field(&mut text, "actor", actor.as_ref());
        field(&mut text, "trace_id", trace_id.as_ref());
        field(&mut text, "call_id", call_id.as_ref());
        field(&mut text, "at", Some(&at));
        text.push_str(r#","body":"#);
        let body_at = text.len();
        text.push_str(body);
        text.push_str("}}");
        if text.len() > max_bytes {
            return Err(FrameError::TooLarge(max_bytes));
        }
        let (id, at, source, from_end, chunk_at) =
            (id.into(), at.into(), Arc::clone(source), from_at, body_at + chunk_at);
        let part = RoomPart {
            source,
            id,
            at,
            seq,
            from_seq: None,
            merge,
            max_bytes,
            data_at,
            from_at,
            from_end,
            body_at,
            chunk_at,
        };
        Ok(EncodedEvent::of_room(kind, text, part))
    }
}

fn field(text: &mut String, name: &str, value: Option<&impl Serialize>) {
    if let Some(value) = value {
        if !text.ends_with('{') {
            text.push(',');
        }
        text.push('"');
        text.push_str(name);
        text.push_str("\":");
        text.push_str(&json(value));
    }
}

/// The text of what consists of strings, numbers and maps of them.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// An event that the engine sends about a room to one connection alone. It has no `seq`, actor or trace id (rooms 10).
fn aside(source: &Arc<RoomEpoch>, id: &str, at: &str, kind: &str, body: &impl Serialize) -> Arc<EncodedEvent> {
    let (seq, actor, trace_id, call_id, merge) = (None, None::<()>, None, None, Merge::Never);
    let event = RoomEvent { source, id, seq, kind, actor, trace_id, call_id, at, merge };
    event.encode(body, usize::MAX).expect("nothing is longer than that")
}

/// The name of what says that a connection did not read fast enough.
const GAP: &str = "room.gap";

/// The name of what shows that a connection lives.
pub(crate) const HEARTBEAT: &str = "heartbeat";

/// In place of a room's events that a connection did not read fast enough, of which the last had this id and happened at
/// this time. Connections that missed the same events are told so under the same id, as of every other event.
pub(crate) fn gap(source: &Arc<RoomEpoch>, last: &str, at: &str, from_seq: u64, to_seq: u64) -> Arc<EncodedEvent> {
    #[derive(Serialize)]
    struct Gap {
        from_seq: u64,
        to_seq: u64,
    }
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (GAP, last, from_seq, to_seq, half).hash(&mut hasher);
        hasher.finish()
    };
    let id = format!("e_{:016x}{:016x}", half(0), half(1));
    aside(source, &id, at, GAP, &Gap { from_seq, to_seq })
}

/// On a connection that has received nothing else from a joined room for a while.
pub(crate) fn heartbeat(source: &Arc<RoomEpoch>, id: &Text, at: &str) -> Arc<EncodedEvent> {
    #[derive(Serialize)]
    struct Nothing {}
    aside(source, id, at, HEARTBEAT, &Nothing {})
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn source() -> Arc<RoomEpoch> {
        Arc::new(RoomEpoch { room: "m_1".into(), project: "p".into(), epoch: "x".into() })
    }

    fn event(source: &Arc<RoomEpoch>, seq: Option<u64>) -> RoomEvent<'_, Value> {
        let (actor, trace_id, call_id) = (Some(json!({"user": "alice"})), Some("tx-1"), None);
        let at = "2026-04-06T14:00:10.123Z";
        RoomEvent { source, id: "e_1", seq, kind: "run.chunk", actor, trace_id, call_id, at, merge: Merge::Never }
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract_in_their_order() {
        let text = event(&source(), Some(41)).encode(&json!({"text": "a \"b\""}), 1_000).unwrap().text.clone();
        assert_eq!(
            text,
            concat!(
                r#"{"type":"event","name":"run.chunk","data":{"id":"e_1","room":"m_1","project":"p","epoch":"x","seq":41,"#,
                r#""kind":"run.chunk","actor":{"user":"alice"},"trace_id":"tx-1","at":"2026-04-06T14:00:10.123Z","#,
                r#""body":{"text":"a \"b\""}}}"#,
            )
        );
        assert!(event(&source(), None).encode(&json!("x".repeat(1_000)), 1_000).is_err());
    }

    #[test]
    fn a_merged_chunk_has_the_head_of_the_newest_the_offset_of_the_first_and_the_text_of_both() {
        let source = source();
        let chunk = |id, seq, offset, text: &str| {
            RoomEvent { id, ..event(&source, Some(seq)) }.chunk("r_\"1", offset, text, 1_000).unwrap()
        };
        let mut merged = (*chunk("e_1", 8, 0, "a\n\"")).clone();
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
    fn a_gap_and_a_heartbeat_have_neither_seq_nor_actor_nor_trace_id() {
        let source = source();
        let gap_of = |from| gap(&source, "e_1", "now", from, 5).data().unwrap();
        assert_eq!(gap_of(2)["id"], gap_of(2)["id"]);
        assert_ne!(gap_of(2)["id"], gap_of(3)["id"]);
        assert_eq!(gap_of(2)["body"], json!({"from_seq": 2, "to_seq": 5}));
        let beat = heartbeat(&source, &"e_2".into(), "now").data().unwrap();
        let keys: Vec<_> = beat.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["id", "room", "project", "epoch", "kind", "at", "body"]);
    }
}
