//! What a remote agent says.

use std::num::NonZeroUsize;

use serde::Deserialize;
use serde_json::Value;

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
        message: Option<String>,
    },
    /// The agent calls a tool of its own.
    ToolCall {
        #[serde(flatten)]
        about: About,
        tool_call: String,
        name: String,
        #[serde(default)]
        arguments: Value,
    },
    ToolResult {
        #[serde(flatten)]
        about: About,
        tool_call: String,
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
        code: String,
        message: String,
        #[serde(default)]
        class: Class,
    },
}

/// Which agent is at the other end of a link.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Ready {
    pub(crate) agent: String,
    #[serde(default)]
    pub(crate) contract: Option<String>,
    #[serde(default)]
    pub(crate) input_schema: Option<Value>,
    /// How many runs it works on at once; one unless it says otherwise.
    #[serde(default = "one")]
    pub(crate) concurrency: NonZeroUsize,
}

/// What a message is about. One about an attempt that counts no more is dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(crate) struct About {
    pub(crate) run: String,
    pub(crate) attempt: u32,
}

/// What can be done about an error (U24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Retryable,
    #[default]
    Permanent,
    Security,
}

const fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
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

    /// Whether the attempt is over with it.
    pub(crate) const fn ends_the_attempt(&self) -> bool {
        matches!(self, Self::Result { .. } | Self::Error { .. })
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
        assert_eq!((ready.agent.as_str(), ready.contract.as_deref(), ready.concurrency.get()), ("a", Some("c"), 3));
        let bare = decoded(&json!({"type": "ready", "agent": "a"}));
        assert!(
            matches!(bare, FromAgent::Ready(Ready { contract: None, input_schema: None, concurrency, .. }) if concurrency == one())
        );
        let about = About { run: "r_1".into(), attempt: 2 };
        for (kind, more, ends) in [
            ("ack", json!({}), false),
            ("working", json!({}), false),
            ("chunk", json!({"text": "x"}), false),
            ("progress", json!({"progress": 0.5}), false),
            ("progress", json!({"message": "half"}), false),
            ("tool_call", json!({"tool_call": "t", "name": "add", "arguments": {"a": 1}}), false),
            ("tool_result", json!({"tool_call": "t", "ok": false, "result": "no"}), false),
            ("result", json!({"output": {"n": 1}}), true),
            ("result", json!({}), true),
            ("error", json!({"code": "c", "message": "m"}), true),
        ] {
            let mut message = json!({"type": kind, "run": "r_1", "attempt": 2});
            message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let message = decoded(&message);
            assert_eq!((message.about(), message.ends_the_attempt()), (Some(&about), ends), "{kind}");
        }
        let error =
            json!({"type": "error", "run": "r", "attempt": 1, "code": "c", "message": "m", "class": "retryable"});
        assert!(matches!(decoded(&error), FromAgent::Error { class: Class::Retryable, .. }));
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
