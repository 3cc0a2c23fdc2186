//! What the two sides say to each other (rooms 6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run_error::ErrorClass;

/// What the server says. Fields that are not known are ignored, so that a newer server can speak to an older program.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromServer {
    Welcome {
        agent: String,
    },
    Dispatch(Box<Dispatch>),
    /// The run was cancelled, or the attempt counts no more.
    Cancel {
        #[serde(flatten)]
        about: About,
    },
    Input {
        #[serde(flatten)]
        about: About,
        #[serde(default)]
        data: Value,
    },
    /// A message was not taken.
    Error {
        code: String,
        message: String,
        #[serde(default)]
        run: Option<String>,
    },
    /// Something that this program does not know.
    #[serde(other)]
    Other,
}

/// One attempt at a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) run: String,
    pub(super) attempt: u32,
}

/// What a run is about.
#[derive(Debug, Deserialize)]
pub(super) struct Dispatch {
    #[serde(flatten)]
    pub(super) about: About,
    pub(super) agent: String,
    pub(super) room: String,
    #[serde(default)]
    pub(super) project: String,
    #[serde(default)]
    pub(super) input: Value,
    #[serde(default)]
    pub(super) actor: Actor,
    #[serde(default)]
    pub(super) trace_id: String,
    #[serde(default)]
    pub(super) call_id: Option<String>,
    #[serde(default)]
    pub(super) window_ms: Option<u64>,
    #[serde(default)]
    pub(super) memory: Map<String, Value>,
    #[serde(default)]
    pub(super) history: Vec<HistoryEntry>,
}

/// Who started a run, as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Actor {
    /// The user.
    pub user: String,
    /// The display name.
    pub name: String,
    /// The participant; absent for a member who had not joined the room.
    pub participant: Option<String>,
    /// `person`, `agent`, `session` or `daemon`.
    pub kind: String,
    /// What they may do in the room: `owner` or `member`.
    pub role: String,
}

/// One entry of the history of a room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// `user`, `agent` or `tool`.
    pub role: String,
    /// The text: a string as it is, anything else as JSON.
    pub text: String,
    /// In which run.
    #[serde(default)]
    pub run: String,
    /// When, as RFC 3339.
    #[serde(default)]
    pub at: String,
}

/// The first message for each agent.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Ready {
    pub(super) agent: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contract: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input_schema: Option<Value>,
    pub(super) concurrency: usize,
}

/// What this program says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToServer<'m> {
    Ready(&'m Ready),
    Ack(&'m About),
    Working(&'m About),
    Chunk {
        #[serde(flatten)]
        about: &'m About,
        text: &'m str,
    },
    Progress {
        #[serde(flatten)]
        about: &'m About,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'m str>,
    },
    ToolCall {
        #[serde(flatten)]
        about: &'m About,
        tool_call: &'m str,
        name: &'m str,
        arguments: &'m Value,
    },
    ToolResult {
        #[serde(flatten)]
        about: &'m About,
        tool_call: &'m str,
        ok: bool,
        result: &'m Value,
    },
    Result {
        #[serde(flatten)]
        about: &'m About,
        output: &'m Value,
    },
    Error {
        #[serde(flatten)]
        about: &'m About,
        code: &'m str,
        message: &'m str,
        class: ErrorClass,
    },
}

impl ToServer<'_> {
    /// Everything in it serialises.
    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message serialises")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_those_of_the_contract() {
        let about = About { run: "r_1".into(), attempt: 2 };
        let ready = Ready { agent: "a".into(), contract: None, input_schema: None, concurrency: 3 };
        for (message, expected) in [
            (ToServer::Ready(&ready), json!({"type": "ready", "agent": "a", "concurrency": 3})),
            (ToServer::Ack(&about), json!({"type": "ack", "run": "r_1", "attempt": 2})),
            (
                ToServer::Progress { about: &about, progress: None, message: Some("m") },
                json!({"type": "progress", "run": "r_1", "attempt": 2, "message": "m"}),
            ),
            (
                ToServer::Error { about: &about, code: "c", message: "m", class: ErrorClass::Retryable },
                json!({"type": "error", "run": "r_1", "attempt": 2, "code": "c", "message": "m", "class": "retryable"}),
            ),
        ] {
            assert_eq!(message.encode(), expected.to_string());
        }
        let cancel = serde_json::from_str(r#"{"type":"cancel","run":"r_1","attempt":2}"#).unwrap();
        assert!(matches!(cancel, FromServer::Cancel { about: told } if told == about));
        let unknown = serde_json::from_str(r#"{"type":"later","field":1}"#).unwrap();
        assert!(matches!(unknown, FromServer::Other));
    }
}
