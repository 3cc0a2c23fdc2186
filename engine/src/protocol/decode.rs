//! Parses each frame once, into messages that need no further checks; what is wrong is named (contract 1.2 and 1.9).

use serde_json::{Map, Value};

use super::code::ErrorCode;
use super::json::{self, Parsed, Step, Unreadable};
use super::message::{Position, Refused, Request, RequestId};
use crate::model::Text;
use crate::model::{id, path};
use crate::render::view::{Filter, TypeSet, ViewOptions};

type Keys = Map<String, Value>;

/// How many messages one batch may hold.
const BATCH_MAX: usize = 256;

/// How long the id of a request may be, in bytes.
const ID_MAX: usize = 512;

/// How many different types a filter may name.
const TYPES_MAX: usize = 64;

/// Reads one frame: a message, or a batch of them.
pub(crate) fn decode(text: &str) -> Vec<Result<Request, Refused>> {
    match json::parse(text) {
        Ok(Parsed { value: Value::Object(keys), unreadable }) => match keys.get("type").and_then(Value::as_str) {
            Some("batch") => batch(&keys, &unreadable),
            _ => vec![message(keys, unreadable.first())],
        },
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

fn batch(keys: &Keys, unreadable: &[Unreadable]) -> Vec<Result<Request, Refused>> {
    let Some(Value::Array(messages)) = keys.get("messages") else {
        return vec![Err(bad(None, "a batch needs `messages`, an array"))];
    };
    if messages.len() > BATCH_MAX {
        return vec![Err(bad(None, format!("a batch must not hold more than {BATCH_MAX} messages")))];
    }
    let one = |(index, value): (usize, &Value)| match value {
        Value::Object(keys) => {
            let inside = [Step::Key("messages".to_owned()), Step::Index(index)];
            message(keys.clone(), unreadable.iter().find_map(|value| value.below(&inside)).as_ref())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(bad(None, "a batch must hold JSON objects"))
        }
    };
    messages.iter().enumerate().map(one).collect()
}

/// Reads one message. One with an unreadable value is refused, whatever it is about.
fn message(mut keys: Keys, unreadable: Option<&Unreadable>) -> Result<Request, Refused> {
    let id = keys.get("id").and_then(RequestId::from_value);
    if id.as_ref().is_some_and(|id| id.text().len() > ID_MAX) {
        return Err(bad(None, format!("`id` must not be longer than {ID_MAX} bytes")));
    }
    let kind = match keys.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(_) => return Err(bad(id, "`type` must be a string")),
        None => return Err(bad(id, "`type` is missing")),
    };
    match (kind.as_str(), unreadable) {
        ("invoke", Some(value)) => Err(refused_call(required(&keys, id)?, value)),
        (_, Some(value)) => Err(bad(id, format!("`{}` {}", value.place(), value.why()))),
        ("connect", None) => Ok(Request::Connect),
        ("subscribe", None) => subscribe(required(&keys, id)?, &keys),
        ("unsubscribe", None) => Ok(Request::Unsubscribe { id: required(&keys, id)? }),
        ("query", None) => query(required(&keys, id)?, &keys),
        ("invoke", None) => invoke(required(&keys, id)?, &mut keys),
        (kind, None) => Err(unserved(id, kind)),
    }
}

/// Why a kind of message is not served.
fn unserved(id: Option<RequestId>, kind: &str) -> Refused {
    match kind {
        "pause" | "resume" => Refused {
            id,
            code: ErrorCode::NotSupported,
            message: format!("`{kind}` is not supported"),
            as_result: false,
        },
        "batch" => bad(id, "a batch must not hold a batch"),
        "hello" | "snapshot" | "patch" | "result" | "event" | "error" => {
            bad(id, format!("`{kind}` is sent by providers, not by consumers"))
        }
        _ => bad(id, "the message has an unknown `type`"),
    }
}

/// The refusal of a call of which a value could not be read.
fn refused_call(id: RequestId, value: &Unreadable) -> Refused {
    let (place, why) = (value.place(), value.why());
    let (code, message) = match value.place.first() {
        Some(Step::Key(key)) if key == "params" => (ErrorCode::InvalidParams, format!("{place} {why}")),
        _ => (ErrorCode::BadRequest, format!("`{place}` {why}")),
    };
    Refused { id: Some(id), code, message, as_result: true }
}

fn subscribe(id: RequestId, keys: &Keys) -> Result<Request, Refused> {
    let named = |why| bad(Some(id.clone()), why);
    let (view, position) = (view(keys).map_err(named)?, position(keys).map_err(named)?);
    Ok(Request::Subscribe { id, view, position })
}

fn query(id: RequestId, keys: &Keys) -> Result<Request, Refused> {
    let view = view(keys).map_err(|why| bad(Some(id.clone()), why))?;
    Ok(Request::Query { id, view })
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
    // Of whatever form: one that is not usable counts as none.
    let trace_id = keys.get("trace_id").and_then(Value::as_str).filter(|id| id.len() <= id::MAX_BYTES);
    Ok(Request::Invoke { trace_id: trace_id.map(Text::from), id, path, action, params })
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
    let keys = match keys.get("filter") {
        None | Some(Value::Null) => return Ok(Filter::default()),
        Some(Value::Object(keys)) => keys,
        Some(_) => return Err("`filter` must be an object".to_owned()),
    };
    let types = match keys.get("types") {
        None | Some(Value::Null) => None,
        Some(types) => Some(filter_types(types)?),
    };
    Ok(Filter { types, min_salience: given(keys, "filter.min_salience", "a number", Value::as_f64)? })
}

/// The different types of a filter, within bounds: each node of a view is looked up in them.
fn filter_types(types: &Value) -> Result<TypeSet, String> {
    let names = strings(types).ok_or("`filter.types` must be an array of strings")?;
    if names.iter().any(|name| name.len() > id::MAX_BYTES) {
        return Err(format!("`filter.types` must not hold a type longer than {} bytes", id::MAX_BYTES));
    }
    let types: TypeSet = names.into_iter().collect();
    if types.len() > TYPES_MAX {
        return Err(format!("`filter.types` must not hold more than {TYPES_MAX} different types"));
    }
    Ok(types)
}

/// A field that may be absent or null, but not of another type. `name` may have the object in front that it is in.
fn given<T>(keys: &Keys, name: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, String> {
    match keys.get(name.rsplit('.').next().unwrap_or(name)) {
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
            (r#"{"type":"query","id":"s","filter":{"types":"x"}}"#, "`filter.types` must be an array of strings"),
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
