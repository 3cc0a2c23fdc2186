//! What a server says to a remote agent.

use serde::Serialize;
use serde_json::{Map, Value};

/// A message to a remote agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToAgent<'m> {
    /// The first one, in reply to `ready`.
    Welcome {
        agent: &'m str,
    },
    Dispatch(Box<Dispatch<'m>>),
    /// Somebody cancelled the run, or the attempt counts no more: the agent should stop.
    Cancel {
        run: &'m str,
        attempt: u32,
    },
    Input {
        run: &'m str,
        attempt: u32,
        data: &'m Value,
    },
    /// A message of the agent was not taken.
    Error {
        code: &'m str,
        message: &'m str,
        #[serde(skip_serializing_if = "Option::is_none")]
        run: Option<&'m str>,
    },
}

/// One attempt at a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Dispatch<'m> {
    pub(crate) run: &'m str,
    pub(crate) attempt: u32,
    pub(crate) agent: &'m str,
    pub(crate) room: &'m str,
    pub(crate) project: &'m str,
    pub(crate) input: &'m Value,
    pub(crate) actor: Value,
    pub(crate) trace_id: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call_id: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window_ms: Option<u64>,
    /// What the room keeps now, with what it inherits.
    pub(crate) memory: Map<String, Value>,
    pub(crate) history: Vec<Value>,
}

impl ToAgent<'_> {
    /// Everything in it serialises.
    pub(crate) fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message serialises")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_messages_of_the_contract_are_written() {
        let data = json!([1]);
        for (message, expected) in [
            (ToAgent::Welcome { agent: "a" }, json!({"type": "welcome", "agent": "a"})),
            (ToAgent::Cancel { run: "r", attempt: 2 }, json!({"type": "cancel", "run": "r", "attempt": 2})),
            (
                ToAgent::Input { run: "r", attempt: 1, data: &data },
                json!({"type": "input", "run": "r", "attempt": 1, "data": [1]}),
            ),
            (
                ToAgent::Error { code: "bad_request", message: "m", run: None },
                json!({"type": "error", "code": "bad_request", "message": "m"}),
            ),
        ] {
            assert_eq!(message.encode(), expected.to_string());
        }
        let dispatch = Dispatch {
            run: "r",
            attempt: 1,
            agent: "a",
            room: "m",
            project: "p",
            input: &data,
            actor: json!({"user": "ann"}),
            trace_id: "tx-1",
            call_id: None,
            window_ms: Some(700),
            memory: Map::from_iter([("k".to_owned(), json!(1))]),
            history: vec![json!({"role": "user"})],
        };
        let expected = json!({"type": "dispatch", "run": "r", "attempt": 1, "agent": "a", "room": "m", "project": "p",
            "input": [1], "actor": {"user": "ann"}, "trace_id": "tx-1", "window_ms": 700, "memory": {"k": 1},
            "history": [{"role": "user"}]});
        assert_eq!(ToAgent::Dispatch(Box::new(dispatch)).encode(), expected.to_string());
    }
}
