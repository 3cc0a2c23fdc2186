//! What a remote agent is told (rooms 6).

use serde::Serialize;
use serde_json::{Map, Value};

use super::code::ErrorCode;
use super::from_agent::About;
use crate::error::ActionError;
use crate::model::room::history::HistoryEntry;

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
        /// What the message was about.
        #[serde(flatten)]
        about: Option<&'m About>,
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
    pub(crate) history: Vec<HistoryEntry>,
}

impl Dispatch<'_> {
    /// The message, of at most so many bytes: without the oldest of the history if need be. `None` if it is longer without
    /// any.
    pub(crate) fn encode_within(mut self, max_bytes: usize) -> Option<String> {
        let history = std::mem::take(&mut self.history);
        let bare = ToAgent::Dispatch(Box::new(self.clone())).encode().len();
        // There is one comma less than there are entries.
        let mut left = max_bytes.checked_sub(bare)? + 1;
        let fits = |entry: &&HistoryEntry| {
            let bytes = serde_json::to_string(entry).map_or(usize::MAX, |json| json.len().saturating_add(1));
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        let kept = history.iter().rev().take_while(fits).count();
        self.history = history.into_iter().rev().take(kept).rev().collect();
        Some(ToAgent::Dispatch(Box::new(self)).encode())
    }
}

impl<'m> ToAgent<'m> {
    /// Why a message was not taken.
    pub(crate) fn refusal(error: &'m ActionError, about: Option<&'m About>) -> Self {
        Self::Error { code: error.code(), message: error.message(), about }
    }

    /// A message that cannot be read.
    pub(crate) const fn malformed(why: &'m str) -> Self {
        Self::Error { code: ErrorCode::BadRequest.as_str(), message: why, about: None }
    }

    /// Everything in it serialises.
    pub(crate) fn encode(&self) -> String {
        serde_json::to_string(self).expect("a message serialises")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::room::history::HistoryRole;

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
            (ToAgent::malformed("m"), json!({"type": "error", "code": "bad_request", "message": "m"})),
            (
                ToAgent::refusal(&ActionError::conflict("m"), Some(&About { run: "r".into(), attempt: 2 })),
                json!({"type": "error", "code": "conflict", "message": "m", "run": "r", "attempt": 2}),
            ),
        ] {
            assert_eq!(message.encode(), expected.to_string());
        }
        let expected = json!({"type": "dispatch", "run": "r", "attempt": 1, "agent": "a", "room": "m", "project": "p",
            "input": [1], "actor": {"user": "ann"}, "trace_id": "tx-1", "window_ms": 700, "memory": {"k": 1},
            "history": [{"role": "user", "text": "0", "run": "r", "at": "t"}]});
        assert_eq!(ToAgent::Dispatch(Box::new(dispatch(&data, 1))).encode(), expected.to_string());
    }

    fn dispatch(input: &Value, entries: usize) -> Dispatch<'_> {
        let entry = |n: usize| HistoryEntry {
            role: HistoryRole::User,
            text: n.to_string().into(),
            run: "r".into(),
            at: "t".to_owned(),
        };
        Dispatch {
            run: "r",
            attempt: 1,
            agent: "a",
            room: "m",
            project: "p",
            input,
            actor: json!({"user": "ann"}),
            trace_id: "tx-1",
            call_id: None,
            window_ms: Some(700),
            memory: Map::from_iter([("k".to_owned(), json!(1))]),
            history: (0..entries).map(entry).collect(),
        }
    }

    #[test]
    fn a_dispatch_that_is_too_long_goes_without_the_oldest_of_the_history() {
        let input = json!([1]);
        let full = dispatch(&input, 9).encode_within(usize::MAX).unwrap();
        assert_eq!(dispatch(&input, 9).encode_within(full.len()), Some(full.clone()));
        let cut = dispatch(&input, 9).encode_within(full.len() - 1).unwrap();
        let cut: Value = serde_json::from_str(&cut).unwrap();
        let texts: Vec<_> = cut["history"].as_array().unwrap().iter().map(|entry| entry["text"].clone()).collect();
        assert_eq!(json!(texts), json!(["1", "2", "3", "4", "5", "6", "7", "8"]));
        let bare = dispatch(&input, 0).encode_within(usize::MAX).unwrap().len();
        assert!(dispatch(&input, 9).encode_within(bare).is_some_and(|text| text.len() == bare));
        assert_eq!(dispatch(&input, 0).encode_within(bare - 1), None);
    }
}
