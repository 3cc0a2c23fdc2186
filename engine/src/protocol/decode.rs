//! Parses each frame once, into messages that need no further checks; what is wrong is named (contract 1.2 and 1.9).

use serde_json::{Map, Value};

use super::code::ErrorCode;
use super::message::{Position, Refused, Request, RequestId};
use crate::error::ActionError;
use crate::model::Text;
use crate::model::path;
use crate::render::action::Outcome;
use crate::render::view::{Filter, ViewOptions};

type Keys = Map<String, Value>;

/// How many messages one batch may hold.
const BATCH_MAX: usize = 256;

/// Reads one frame: a message, or a batch of them.
pub(crate) fn decode(text: &str) -> Vec<Result<Request, Refused>> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(keys)) if keys.get("type").and_then(Value::as_str) == Some("batch") => batch(&keys),
        Ok(Value::Object(keys)) => vec![message(keys)],
        Ok(_) => vec![Err(bad(None, "a frame must hold one JSON object"))],
        Err(error) => vec![Err(bad(None, format!("the frame is not JSON: {}", syntax(&error))))],
    }
}

/// Where the JSON breaks, without quoting what was sent.
fn syntax(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

fn bad(id: Option<RequestId>, message: impl Into<String>) -> Refused {
    Refused { id, code: ErrorCode::BadRequest, message: message.into(), as_result: false }
}

fn batch(keys: &Keys) -> Vec<Result<Request, Refused>> {
    let Some(Value::Array(messages)) = keys.get("messages") else {
        return vec![Err(bad(None, "a batch needs `messages`, an array"))];
    };
    if messages.len() > BATCH_MAX {
        return vec![Err(bad(None, format!("a batch may hold at most {BATCH_MAX} messages")))];
    }
    let one = |value: &Value| match value {
        Value::Object(keys) => message(keys.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(bad(None, "a batch must hold JSON objects"))
        }
    };
    messages.iter().map(one).collect()
}

fn message(mut keys: Keys) -> Result<Request, Refused> {
    let id = keys.get("id").and_then(RequestId::from_value);
    let kind = match keys.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(_) => return Err(bad(id, "`type` must be a string")),
        None => return Err(bad(id, "`type` is missing")),
    };
    match kind.as_str() {
        "connect" => Ok(Request::Connect),
        "subscribe" => {
            let id = required(&keys, id)?;
            let named = |why| bad(Some(id.clone()), why);
            let (view, position) = (view(&keys).map_err(named)?, position(&keys).map_err(named)?);
            Ok(Request::Subscribe { id, view, position })
        }
        "unsubscribe" => Ok(Request::Unsubscribe { id: required(&keys, id)? }),
        "query" => {
            let id = required(&keys, id)?;
            let view = view(&keys).map_err(|why| bad(Some(id.clone()), why))?;
            Ok(Request::Query { id, view })
        }
        "invoke" => invoke(required(&keys, id)?, &mut keys),
        "pause" | "resume" => Err(Refused {
            id,
            code: ErrorCode::NotSupported,
            message: format!("`{kind}` is not supported"),
            as_result: false,
        }),
        "batch" => Err(bad(id, "a batch must not hold a batch")),
        "hello" | "snapshot" | "patch" | "result" | "event" | "error" => {
            Err(bad(id, format!("`{kind}` is sent by providers, not by consumers")))
        }
        _ => Err(bad(id, "the message has an unknown `type`")),
    }
}

fn required(keys: &Keys, id: Option<RequestId>) -> Result<RequestId, Refused> {
    id.ok_or_else(|| {
        let why = if keys.contains_key("id") { "`id` must be a string or a number" } else { "`id` is missing" };
        bad(None, why)
    })
}

fn invoke(id: RequestId, keys: &mut Keys) -> Result<Request, Refused> {
    let refused =
        |code, message: &str| Refused { id: Some(id.clone()), code, message: message.to_owned(), as_result: true };
    let path = match keys.get("path") {
        Some(Value::String(path)) => path.clone(),
        _ => return Err(refused(ErrorCode::BadRequest, "`path` must be a string")),
    };
    let action = match keys.get("action") {
        Some(Value::String(action)) => action.clone(),
        _ => return Err(refused(ErrorCode::BadRequest, "`action` must be a string")),
    };
    let params = match keys.remove("params") {
        None | Some(Value::Null) => Value::Object(Keys::new()),
        Some(params @ Value::Object(_)) => params,
        Some(_) => return Err(refused(ErrorCode::InvalidParams, "params must be an object")),
    };
    Ok(Request::Invoke { id, path, action, params })
}

fn view(keys: &Keys) -> Result<ViewOptions, String> {
    Ok(ViewOptions {
        path: given(keys, "path", "a string", |value| value.as_str().map(path::normal))?.unwrap_or_default(),
        depth: given(keys, "depth", "an integer", Value::as_i64)?.and_then(|depth| match depth {
            ..0 => None,
            depth => Some(u32::try_from(depth).unwrap_or(u32::MAX)),
        }),
        max_nodes: given(keys, "max_nodes", "an integer", Value::as_i64)?
            .map(|nodes| usize::try_from(nodes).unwrap_or(0)),
        filter: filter(keys)?,
        window: given(keys, "window", "[offset, count]", pair)?,
    })
}

fn position(keys: &Keys) -> Result<Option<Position>, String> {
    given(keys, "resume", "an object with `epoch`, `version` and optionally `connection`, a string", |value| {
        let string = |value: &Value| value.as_str().map(str::to_owned);
        let connection = match value.get("connection") {
            None | Some(Value::Null) => None,
            Some(name) => Some(string(name)?),
        };
        Some(Position { epoch: string(value.get("epoch")?)?, version: value.get("version")?.as_u64()?, connection })
    })
}

fn filter(keys: &Keys) -> Result<Filter, String> {
    let none = Keys::new();
    let keys = match keys.get("filter") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(keys)) => keys,
        Some(_) => return Err("`filter` must be an object".to_owned()),
    };
    Ok(Filter {
        types: given(keys, "types", "an array of strings", strings)?,
        min_salience: given(keys, "min_salience", "a number", Value::as_f64)?,
    })
}

/// A field that may be absent or null, but not of another type.
fn given<T>(keys: &Keys, name: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, String> {
    match keys.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| format!("`{name}` must be {what}")),
    }
}

fn pair(value: &Value) -> Option<[u64; 2]> {
    match value.as_array()?.as_slice() {
        [offset, count] => Some([offset.as_u64()?, count.as_u64()?]),
        _ => None,
    }
}

fn strings(value: &Value) -> Option<Vec<Text>> {
    value.as_array()?.iter().map(|text| text.as_str().map(Text::from)).collect()
}

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

/// Reads one frame of a tab, as tolerantly as real tabs need it (contract 3.1).
pub(crate) fn decode_tab(text: &str) -> TabMessage {
    let Ok(Value::Object(mut keys)) = serde_json::from_str::<Value>(text) else {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Refused {
        decode(text).remove(0).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (frame, message) in [
            ("nonsense", "the frame is not JSON: line 1, column 2"),
            ("[]", "a frame must hold one JSON object"),
            ("{}", "`type` is missing"),
            (r#"{"type":7}"#, "`type` must be a string"),
            (r#"{"type":"subscribe"}"#, "`id` is missing"),
            (r#"{"type":"subscribe","id":"s","depth":"2"}"#, "`depth` must be an integer"),
            (r#"{"type":"query","id":"s","window":[1]}"#, "`window` must be [offset, count]"),
            (r#"{"type":"query","id":"s","filter":{"types":"x"}}"#, "`types` must be an array of strings"),
            (r#"{"type":"invoke","id":"s","path":"/"}"#, "`action` must be a string"),
            (r#"{"type":"hello","id":"s"}"#, "`hello` is sent by providers, not by consumers"),
        ] {
            let refused = refusal(frame);
            assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::BadRequest, message), "{frame}");
        }
    }

    #[test]
    fn a_numeric_id_is_echoed_as_it_came() {
        assert_eq!(refusal(r#"{"type":"subscribe","id":7,"depth":[]}"#).id.unwrap().text(), "7");
    }

    #[test]
    fn null_params_are_none_and_other_types_are_refused() {
        let Ok(Request::Invoke { params, .. }) =
            decode(r#"{"type":"invoke","id":"i","path":"/","action":"a","params":null}"#).remove(0)
        else {
            panic!("an invoke")
        };
        assert_eq!(params, Value::Object(Keys::new()));
        let refused = refusal(r#"{"type":"invoke","id":"i","path":"/","action":"a","params":[]}"#);
        assert_eq!((refused.code, refused.as_result), (ErrorCode::InvalidParams, true));
    }
}
