//! What a remote agent says (rooms 6).

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Text;
use crate::model::room::run::failure::ErrorClass;

/// A message of a remote agent. Fields that are not known are ignored, so that a newer agent can speak to an older server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromAgent {
    /// The first one: which agent it is.
    Ready(Ready),
    /// A dispatch has arrived.
    Ack(About),
    /// The run goes on.
    Working(About),
    Chunk {
        #[serde(flatten)]
        about: About,
        text: String,
    },
    Progress {
        #[serde(flatten)]
        about: About,
        #[serde(default)]
        progress: Option<f64>,
        #[serde(default)]
        message: Option<Text>,
    },
    /// The agent calls a tool of its own.
    ToolCall {
        #[serde(flatten)]
        about: About,
        tool_call: Text,
        name: Text,
        #[serde(default)]
        arguments: Value,
    },
    ToolResult {
        #[serde(flatten)]
        about: About,
        tool_call: Text,
        ok: bool,
        #[serde(default)]
        result: Value,
    },
    Result {
        #[serde(flatten)]
        about: About,
        #[serde(default)]
        output: Value,
    },
    Error {
        #[serde(flatten)]
        about: About,
        code: Text,
        message: Text,
        #[serde(default)]
        class: ErrorClass,
    },
}

/// Which agent is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Ready {
    pub(crate) agent: Text,
    #[serde(default)]
    pub(crate) contract: Option<Text>,
    #[serde(default)]
    pub(crate) input_schema: Option<Value>,
    /// How many runs it works on at once, if it says so.
    #[serde(default)]
    pub(crate) concurrency: Option<NonZeroUsize>,
}

/// What a message is about. One about an attempt that counts no more is dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) run: Text,
    pub(crate) attempt: u32,
}

/// How long names and ids may be, in bytes.
const NAME_BYTES: usize = 128;

const NAMES: &str = "names and ids must have 1 to 128 bytes";

fn is_name(name: &Text) -> bool {
    (1..=NAME_BYTES).contains(&name.len())
}

impl FromAgent {
    /// # Errors
    /// A sentence for the agent's developer, which quotes nothing of the message.
    pub(crate) fn decode(text: &str) -> Result<Self, &'static str> {
        let message: Value = serde_json::from_str(text).map_err(|_| "a message must be a JSON object")?;
        if !message.is_object() {
            return Err("a message must be a JSON object");
        }
        let decoded: Self =
            serde_json::from_value(message).map_err(|_| "the message has an unknown type or a wrong field")?;
        match &decoded {
            Self::Progress { progress: Some(progress), .. } if !(0.0..=1.0).contains(progress) => {
                Err("`progress` must be from 0 to 1")
            }
            Self::ToolCall { tool_call, name, .. } if !is_name(tool_call) || !is_name(name) => Err(NAMES),
            Self::Ready(Ready { agent, contract, .. }) if !is_name(agent) || !contract.as_ref().is_none_or(is_name) => {
                Err(NAMES)
            }
            _ => Ok(decoded),
        }
    }

    /// The attempt at a run that it is about.
    pub(crate) const fn about(&self) -> Option<&About> {
        match self {
            Self::Ready(_) => None,
            Self::Ack(about)
            | Self::Working(about)
            | Self::Chunk { about, .. }
            | Self::Progress { about, .. }
            | Self::ToolCall { about, .. }
            | Self::ToolResult { about, .. }
            | Self::Result { about, .. }
            | Self::Error { about, .. } => Some(about),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decoded(message: &Value) -> FromAgent {
        FromAgent::decode(&message.to_string()).unwrap()
    }

    #[test]
    fn the_messages_of_the_contract_are_read() {
        let ready = decoded(&json!({"type": "ready", "agent": "a", "contract": "c", "concurrency": 3, "new": 1}));
        let FromAgent::Ready(ready) = ready else { panic!("{ready:?}") };
        assert_eq!(
            (ready.agent.as_str(), ready.contract.as_deref(), ready.concurrency),
            ("a", Some("c"), NonZeroUsize::new(3))
        );
        let bare = decoded(&json!({"type": "ready", "agent": "a"}));
        let ready = Ready { agent: "a".into(), contract: None, input_schema: None, concurrency: None };
        assert_eq!(bare, FromAgent::Ready(ready));
        let about = About { run: "r_1".into(), attempt: 2 };
        for (kind, more) in [
            ("ack", json!({})),
            ("working", json!({})),
            ("chunk", json!({"text": "x"})),
            ("progress", json!({"progress": 0.5})),
            ("progress", json!({"message": "half"})),
            ("tool_call", json!({"tool_call": "t", "name": "add", "arguments": {"a": 1}})),
            ("tool_result", json!({"tool_call": "t", "ok": false, "result": "no"})),
            ("result", json!({"output": {"n": 1}})),
            ("result", json!({})),
            ("error", json!({"code": "c", "message": "m"})),
        ] {
            let mut message = json!({"type": kind, "run": "r_1", "attempt": 2});
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(decoded(&message).about(), Some(&about), "{kind}");
        }
        let error =
            json!({"type": "error", "run": "r", "attempt": 1, "code": "c", "message": "m", "class": "retryable"});
        assert!(matches!(decoded(&error), FromAgent::Error { class: ErrorClass::Retryable, .. }));
    }

    #[test]
    fn what_is_none_of_them_is_refused_without_being_quoted() {
        for text in [
            "",
            "[]",
            "1",
            r#"{"type":"secret"}"#,
            r#"{"type":"ready"}"#,
            r#"{"type":"ready","agent":"a","concurrency":0}"#,
            r#"{"type":"ready","agent":""}"#,
            r#"{"type":"ready","agent":"a","contract":""}"#,
            r#"{"type":"tool_call","run":"r","attempt":1,"tool_call":"","name":"n"}"#,
            r#"{"type":"ack","run":"r"}"#,
            r#"{"type":"ack","run":"r","attempt":-1}"#,
            r#"{"type":"chunk","run":"r","attempt":1}"#,
            r#"{"type":"progress","run":"r","attempt":1,"progress":1.5}"#,
            r#"{"type":"error","run":"r","attempt":1,"code":"c","message":"m","class":"secret"}"#,
        ] {
            assert!(!FromAgent::decode(text).unwrap_err().contains("secret"), "{text}");
        }
    }
}
