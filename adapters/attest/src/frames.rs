//! What a peer that was welcomed and its server say to each other (peers 3).

use grove_engine::PresenceRow;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::card::Card;
use crate::mailbox::Mail;
use crate::public_key::PublicKey;
use crate::refused::Refused;
use crate::rfc3339;

/// What a peer asks for. Fields that are not known are ignored, so that a newer peer can speak to an older server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request {
    Ping,
    List {
        id: Value,
    },
    Send {
        id: Value,
        to: String,
        body: Value,
    },
    Ack {
        message: String,
    },
    Card {
        #[serde(flatten)]
        card: Card,
    },
    Bye,
}

/// A frame that is refused as it is looked at for its id only if it is not longer.
const PEEK_BYTES: usize = 4 << 10;

const KNOWN: [&str; 6] = ["ping", "list", "send", "ack", "card", "bye"];

impl Request {
    /// # Errors
    /// `malformed` or `unknown_message_type`, with the id of the request if it has one.
    pub(crate) fn parse(text: &str) -> Result<Self, (Option<Value>, Refused)> {
        let frame: Value = serde_json::from_str(text).map_err(|_| (None, malformed("it is not JSON")))?;
        let id = frame.get("id").filter(|id| is_id(id)).cloned();
        let Some(kind) = frame.get("type").and_then(Value::as_str) else {
            return Err((id, malformed("it has no `type`")));
        };
        if !KNOWN.contains(&kind) {
            return Err((id, Refused::UnknownMessageType));
        }
        // A card may also stand in a field of its own, as in a hello.
        let frame = match frame.get("card") {
            Some(card) if kind == "card" && card.is_object() => with_type(card.clone()),
            _ => frame,
        };
        let request: Self = serde_json::from_value(frame)
            .map_err(|_| (id.clone(), malformed("a field is missing or has another form")))?;
        match &request {
            Self::List { id: given } | Self::Send { id: given, .. } if !is_id(given) => {
                Err((None, malformed("`id` must be a string or a number")))
            }
            Self::Card { card } => card.check().map(|()| request).map_err(|refused| (id, refused)),
            _ => Ok(request),
        }
    }
}

fn malformed(why: &str) -> Refused {
    Refused::Malformed(why.to_owned())
}

/// The id of a request that is not looked at otherwise, if it is short.
pub(crate) fn id_of(text: &str) -> Option<Value> {
    #[derive(Deserialize)]
    struct WithId {
        id: Option<Value>,
    }
    let is_short = text.len() <= PEEK_BYTES;
    is_short.then(|| serde_json::from_str::<WithId>(text).ok()?.id.filter(is_id)).flatten()
}

fn with_type(mut card: Value) -> Value {
    card["type"] = "card".into();
    card
}

fn is_id(id: &Value) -> bool {
    id.is_number() || id.as_str().is_some_and(|id| id.len() <= 256)
}

/// A row as a peer sees it that is of the same member, or of another one.
pub(crate) fn row(row: &PresenceRow, session_key: Option<&PublicKey>, is_own: bool) -> Value {
    let mut shown = json!({
        "participant": row.participant, "kind": row.kind.as_str(), "name": row.name, "role": row.role,
        "groups": row.groups, "status": row.status.as_str(), "connected_at": row.connected_at,
    });
    if is_own {
        shown["cwd"] = json!(row.cwd);
        shown["pid"] = json!(row.pid);
        shown["host"] = json!(row.host);
        shown["session_public_key"] = json!(session_key);
    }
    shown
}

pub(crate) fn welcome(participant: Option<&str>, member: &str, access_token: &str, lease_ms: u64) -> String {
    let mut frame = json!({"type": "welcome"});
    if let Some(participant) = participant {
        frame["participant"] = participant.into();
    }
    frame["member"] = member.into();
    frame["access_token"] = access_token.into();
    frame["lease_ms"] = lease_ms.into();
    frame.to_string()
}

pub(crate) fn error(id: Option<&Value>, code: &str, message: &str) -> String {
    let mut frame = json!({"type": "error"});
    if let Some(id) = id {
        frame["id"] = id.clone();
    }
    frame["code"] = code.into();
    frame["message"] = message.into();
    frame.to_string()
}

pub(crate) fn pong() -> String {
    json!({"type": "pong"}).to_string()
}

pub(crate) fn replaced() -> String {
    json!({"type": "replaced"}).to_string()
}

pub(crate) fn peers(id: &Value, rows: &[Value]) -> String {
    json!({"type": "peers", "id": id, "peers": rows}).to_string()
}

pub(crate) fn sent(id: &Value, message: &str) -> String {
    json!({"type": "sent", "id": id, "message": message, "status": "queued"}).to_string()
}

pub(crate) fn message(mail: &Mail) -> String {
    let at = rfc3339::format(mail.at_ms);
    json!({"type": "message", "message": mail.id, "from": mail.from, "body": mail.body, "at": at}).to_string()
}

pub(crate) fn acked(message: &str) -> String {
    json!({"type": "acked", "message": message}).to_string()
}

/// `joined`, `left` or `changed`.
pub(crate) fn changed(kind: &str, row: &Value) -> String {
    json!({"type": kind, "row": row}).to_string()
}
