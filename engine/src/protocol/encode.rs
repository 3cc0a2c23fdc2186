//! Writes messages. What is absent is left out, never null (contract 2.1).

use serde::Serialize;
use serde_json::Value;

use super::code::ErrorCode;
use super::message::{Refused, RequestId};
use super::{CAPABILITIES, SLOP_VERSION};
use crate::error::ActionError;
use crate::model::nesting::{DATA_LEVELS, is_shallow};
use crate::render::action::Outcome;

/// Everything that is written here serialises.
fn text(message: impl Serialize) -> String {
    serde_json::to_string(&message).expect("a message serialises")
}

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

/// `error`, for everything but an invoke.
pub(crate) fn error(id: Option<&RequestId>, code: impl AsRef<str>, message: &str) -> String {
    #[derive(Serialize)]
    struct Error<'a> {
        r#type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a RequestId>,
        error: Fault<'a>,
    }
    text(Error { r#type: "error", id, error: Fault { code: code.as_ref(), message } })
}

/// The reply to a message that cannot be served.
pub(crate) fn refused(refused: &Refused) -> String {
    match &refused.id {
        Some(id) if refused.as_result => result(id, &Err(ActionError::new(refused.code, refused.message.as_str()))),
        id => error(id.as_ref(), refused.code, &refused.message),
    }
}

/// `result`, for an invoke.
pub(crate) fn result(id: &RequestId, outcome: &Result<Outcome, ActionError>) -> String {
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
    let (status, data, error) = match outcome {
        Ok(Outcome { data: Some(data), .. }) if !is_shallow(data, DATA_LEVELS) => (
            "error",
            None,
            Some(Fault { code: ErrorCode::TooLarge.as_str(), message: "the result is nested too deeply" }),
        ),
        Ok(outcome) => (if outcome.accepted { "accepted" } else { "ok" }, outcome.data.as_ref(), None),
        Err(error) => ("error", None, Some(Fault { code: error.code(), message: error.message() })),
    };
    text(CallResult { r#type: "result", id, status, data, error })
}

/// The first message to a tab, which sends nothing before it (contract 3.1).
pub(crate) const TAB_CONNECT: &str = r#"{"type":"connect"}"#;

/// Asks a tab for its whole tree.
pub(crate) fn tab_subscribe(id: &str) -> String {
    text(serde_json::json!({"type": "subscribe", "id": id, "path": "/", "depth": -1}))
}

/// Calls an action of a tab.
pub(crate) fn tab_invoke(id: &str, path: &str, action: &str, params: &Value) -> String {
    text(serde_json::json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params}))
}

/// `event`, which consumers hand to their listeners.
pub(crate) fn event(name: &str, data: Option<&Value>) -> String {
    #[derive(Serialize)]
    struct Event<'a> {
        r#type: &'a str,
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Value>,
    }
    text(Event { r#type: "event", name, data })
}
