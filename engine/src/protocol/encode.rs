//! Writes messages. What is absent is left out, never null (contract 2.1).

use serde::Serialize;
use serde_json::Value;

use super::code::ErrorCode;
use super::message::{Refused, RequestId};
use super::{CAPABILITIES, SLOP_VERSION};
use crate::config::sizes::SMALLEST_FRAME;
use crate::error::{ActionError, FrameError};
use crate::model::bounded_json;
use crate::model::nesting::{DATA_LEVELS, is_shallow};
use crate::render::action::Outcome;

/// Everything that is written here serialises.
fn text(message: impl Serialize) -> String {
    serde_json::to_string(&message).expect("a message serialises")
}

/// A message with data of the application's, within the bounds of a frame.
fn bounded(message: &impl Serialize, data: Option<&Value>, max_bytes: usize) -> Result<String, FrameError> {
    if data.is_some_and(|data| !is_shallow(data, DATA_LEVELS)) {
        return Err(FrameError::TooDeep);
    }
    bounded_json::write(message, max_bytes).map_err(|_| FrameError::TooLarge(max_bytes))
}

/// What stands in place of a message that quotes too much.
const NO_REASON: &str = "what was sent cannot be used, and the reason is too long to be sent";

/// `hello`, with what the application discloses about the session (contract 1.1).
pub(crate) fn hello(id: &str, name: &str, epoch: &str, connection: &str, session: Option<&Value>) -> String {
    #[derive(Serialize)]
    struct Provider<'a> {
        id: &'a str,
        name: &'a str,
        slop_version: &'a str,
        capabilities: &'a [&'a str],
        epoch: &'a str,
        connection: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a Value>,
    }
    #[derive(Serialize)]
    struct Hello<'a> {
        r#type: &'a str,
        provider: Provider<'a>,
    }
    let provider =
        Provider { id, name, slop_version: SLOP_VERSION, capabilities: CAPABILITIES, epoch, connection, session };
    text(Hello { r#type: "hello", provider })
}

/// What a snapshot or a patch holds beside its tree or operations, in bytes, at most: ids of requests are bounded.
pub(crate) const ENVELOPE_BYTES: usize = 768;

/// A snapshot around the JSON text of a tree. A subscription's has `seq` 0, a query's has none (contract 1.5).
pub(crate) fn snapshot(id: &RequestId, version: u64, seq: Option<u64>, tree: &str) -> String {
    let seq = seq.map_or_else(String::new, |seq| format!(r#","seq":{seq}"#));
    let id = id.text();
    format!(r#"{{"type":"snapshot","id":{id},"version":{version}{seq},"tree":{tree}}}"#)
}

/// Tells a consumer that its copy at this version stands, and that patches follow from 1 on.
pub(crate) fn resumed(id: &RequestId, version: u64) -> String {
    let id = id.text();
    format!(r#"{{"type":"resumed","id":{id},"version":{version},"seq":0}}"#)
}

/// A patch around the JSON text of its operations, without the brackets.
pub(crate) fn patch(subscription: &RequestId, version: u64, seq: u64, ops: &str) -> String {
    let id = subscription.text();
    format!(r#"{{"type":"patch","subscription":{id},"version":{version},"seq":{seq},"ops":[{ops}]}}"#)
}

#[derive(Serialize)]
struct Fault<'a> {
    code: &'a str,
    message: &'a str,
}

/// How long the code of an error may be, in bytes.
const CODE_MAX: usize = 64;

/// `error`, for everything but an invoke. Fits every frame.
pub(crate) fn error(id: Option<&RequestId>, code: impl AsRef<str>, message: &str) -> String {
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
        error: Fault<'a>,
    }
    let error = |message| Error { r#type: "error", id, error: Fault { code: code.as_ref(), message } };
    bounded_json::write(&error(message), SMALLEST_FRAME).unwrap_or_else(|_| text(error(NO_REASON)))
}

/// The reply to a message that cannot be served.
pub(crate) fn refused(refused: &Refused) -> String {
    match &refused.id {
        Some(id) if refused.as_result => failed(id, &ActionError::new(refused.code, refused.message.as_str())),
        id => error(id.as_ref(), refused.code, &refused.message),
    }
}

#[derive(Serialize)]
struct CallResult<'a> {
    r#type: &'a str,
    id: &'a RequestId,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault<'a>>,
}

impl<'a> CallResult<'a> {
    const fn ok(id: &'a RequestId, status: &'a str, data: Option<&'a Value>) -> Self {
        Self { r#type: "result", id, status, data, error: None }
    }

    const fn error(id: &'a RequestId, code: &'a str, message: &'a str) -> Self {
        Self { r#type: "result", id, status: "error", data: None, error: Some(Fault { code, message }) }
    }
}

/// `result`, for an invoke.
///
/// # Errors
/// [`FrameError`] if it does not fit a frame.
pub(crate) fn result(
    id: &RequestId,
    outcome: &Result<Outcome, ActionError>,
    max_bytes: usize,
) -> Result<String, FrameError> {
    match outcome {
        Ok(outcome) => {
            let status = if outcome.accepted { "accepted" } else { "ok" };
            let data = outcome.data.as_ref();
            bounded(&CallResult::ok(id, status, data), data, max_bytes)
        }
        Err(error) => bounded(&CallResult::error(id, error.code(), error.message()), None, max_bytes),
    }
}

/// `result`, for an invoke that failed. Fits every frame: a reason that is too long is left out.
pub(crate) fn failed(id: &RequestId, error: &ActionError) -> String {
    let result = |code, message| CallResult::error(id, code, message);
    bounded_json::write(&result(error.code(), error.message()), SMALLEST_FRAME).unwrap_or_else(|_| {
        let code = if error.code().len() <= CODE_MAX { error.code() } else { ErrorCode::Internal.as_str() };
        text(result(code, NO_REASON))
    })
}

/// The first message to a tab, which sends nothing before it (contract 3.1).
pub(crate) const TAB_CONNECT: &str = r#"{"type":"connect"}"#;

/// Asks a tab for its whole tree.
pub(crate) fn tab_subscribe(id: &str) -> String {
    text(serde_json::json!({"type": "subscribe", "id": id, "path": "/", "depth": -1}))
}

/// Calls an action of a tab.
///
/// # Errors
/// [`FrameError`] if it does not fit a frame.
pub(crate) fn tab_invoke(
    id: &str,
    path: &str,
    action: &str,
    params: &Value,
    max_bytes: usize,
) -> Result<String, FrameError> {
    #[derive(Serialize)]
    struct Invoke<'a> {
        r#type: &'a str,
        id: &'a str,
        path: &'a str,
        action: &'a str,
        params: &'a Value,
    }
    bounded(&Invoke { r#type: "invoke", id, path, action, params }, Some(params), max_bytes)
}

/// `event`, which consumers hand to their listeners.
///
/// # Errors
/// [`FrameError`] if it does not fit a frame.
pub(crate) fn event(name: &str, data: Option<&Value>, max_bytes: usize) -> Result<String, FrameError> {
    #[derive(Serialize)]
    struct Event<'a> {
        r#type: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Value>,
    }
    bounded(&Event { r#type: "event", name, data }, data, max_bytes)
}
