//! Reads what browser tabs send, as tolerantly as real tabs need it (contract 3.1).

use serde_json::{Map, Value};

use super::code::ErrorCode;
use super::json;
use crate::error::ActionError;
use crate::render::action::Outcome;

type Keys = Map<String, Value>;

/// What a tab sends.
#[derive(Debug)]
pub(crate) enum TabMessage {
    Hello {
        id: Option<String>,
    },
    Snapshot {
        id: String,
        tree: Value,
    },
    Patch {
        subscription: String,
        seq: Option<u64>,
        ops: Vec<Value>,
    },
    Result {
        id: String,
        answer: Result<Outcome, ActionError>,
    },
    /// A kind that the engine has no use for.
    Other,
    Malformed(&'static str),
}

/// Reads one frame of a tab. A value in it that cannot be read is null.
pub(crate) fn decode_tab(text: &str) -> TabMessage {
    let Some(Value::Object(mut keys)) = json::parse(text).ok().map(|parsed| parsed.value) else {
        return TabMessage::Malformed("a frame must hold one JSON object");
    };
    let name = |keys: &Keys, field: &str| keys.get(field).and_then(Value::as_str).map(str::to_owned);
    match keys.get("type").and_then(Value::as_str) {
        Some("hello") => TabMessage::Hello { id: hello_id(&keys) },
        Some("snapshot") => match (name(&keys, "id"), keys.remove("tree")) {
            (Some(id), Some(tree)) => TabMessage::Snapshot { id, tree },
            _ => TabMessage::Malformed("a snapshot needs `id` and `tree`"),
        },
        Some("patch") => match (name(&keys, "subscription"), keys.remove("ops")) {
            (Some(subscription), Some(Value::Array(ops))) => {
                TabMessage::Patch { subscription, seq: keys.get("seq").and_then(Value::as_u64), ops }
            }
            _ => TabMessage::Malformed("a patch needs `subscription` and `ops`"),
        },
        Some("result") => match name(&keys, "id") {
            Some(id) => TabMessage::Result { id, answer: tab_answer(&mut keys) },
            None => TabMessage::Malformed("a result needs `id`"),
        },
        Some(_) => TabMessage::Other,
        None => TabMessage::Malformed("`type` must be a string"),
    }
}

fn hello_id(keys: &Keys) -> Option<String> {
    keys.get("provider")?.get("id")?.as_str().map(str::to_owned)
}

/// The result of a call, with the tab's own code and message (contract 3.2).
fn tab_answer(keys: &mut Keys) -> Result<Outcome, ActionError> {
    let data = keys.remove("data").filter(|data| !data.is_null());
    match keys.get("status").and_then(Value::as_str) {
        Some("ok") => Ok(Outcome { accepted: false, data }),
        Some("accepted") => Ok(Outcome { accepted: true, data }),
        _ => {
            let fault = keys.remove("error").unwrap_or_default();
            let code = fault["code"].as_str().unwrap_or(ErrorCode::Internal.as_str());
            Err(ActionError::new(code, fault["message"].as_str().unwrap_or("the browser tab failed")))
        }
    }
}
