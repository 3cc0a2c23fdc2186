//! One attempt at a run of which an agent elsewhere takes care.

use std::collections::BTreeSet;

use futures_util::future::{Either, select};
use serde_json::{Map, Value, json};

use super::agent::RunResult;
use super::latch::Latch;
use super::run_context::RunContext;
use super::tool_result::ToolResult;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::bounded_json;
use crate::model::room::memory_query::MemoryQuery;
use crate::protocol::code::ErrorCode;
use crate::protocol::from_agent::About;
use crate::protocol::to_agent::Dispatch;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// How many calls of tools may be without a result at once.
const OPEN_CALLS: usize = 256;

/// One attempt at a run, between its room and a link.
#[derive(Debug)]
pub(super) struct RemoteAttempt {
    pub(super) about: About,
    pub(super) run: RunContext,
    input: Value,
    /// It was sent to a link.
    pub(super) sent: Latch,
    /// The link to which it was sent is gone.
    pub(super) lost: Latch,
    /// Its agent was told that it should stop.
    pub(super) told_to_stop: AtomicBool,
    result: Mutex<Option<RunResult>>,
    /// There is a result.
    answered: Latch,
    /// The tools that the agent calls now.
    calls: Mutex<BTreeSet<Text>>,
}

impl RemoteAttempt {
    pub(super) fn new(run: RunContext, input: Value) -> Self {
        Self {
            about: About { run: run.id().clone(), attempt: run.attempt() },
            run,
            input,
            sent: Latch::default(),
            lost: Latch::default(),
            told_to_stop: AtomicBool::new(false),
            result: Mutex::default(),
            answered: Latch::default(),
            calls: Mutex::default(),
        }
    }

    /// What its agent is sent, of at most so many bytes. `None` if it is longer without any history.
    pub(super) fn dispatch_text(&self, agent: &str, max_bytes: usize) -> Option<String> {
        let (run, by) = (&self.run, self.run.actor());
        let mut actor = json!({"user": by.user.as_str(), "name": by.name.as_str(), "kind": by.kind.as_str()});
        let more = [("participant", by.participant.as_deref()), ("role", Some(by.role.as_str()))];
        for (key, value) in more {
            value.into_iter().for_each(|value| actor[key] = value.into());
        }
        let dispatch = Dispatch {
            run: run.id(),
            attempt: run.attempt(),
            agent,
            room: run.room().id(),
            project: run.room().project(),
            input: &self.input,
            actor,
            trace_id: run.trace_id(),
            call_id: run.call_id().map(Text::as_str),
            window_ms: run.remote().window_ms(),
            memory: self.memory(max_bytes),
            history: run.history(),
        };
        dispatch.encode_within(max_bytes)
    }

    /// What the room keeps now, with what it inherits. Beyond so many bytes it is not read on: it fits no frame.
    fn memory(&self, max_bytes: usize) -> Map<String, Value> {
        let (memory, mut query) = (self.run.memory(), MemoryQuery::default());
        let mut entries = Map::new();
        while let Ok(page) = memory.list(&query) {
            entries.extend(page.entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)));
            query.after = page.next.filter(|_| bounded_json::fits(&entries, max_bytes));
            if query.after.is_none() {
                break;
            }
        }
        entries
    }

    /// The agent has a result, or an error. What it says after the first one does not count.
    pub(super) fn answer(&self, result: RunResult) {
        self.result.lock().get_or_insert(result);
        self.answered.set();
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.is_set()
    }

    /// Waits for the result. Its future is dropped when the attempt counts no more.
    pub(super) async fn result(&self) -> RunResult {
        self.answered.wait().await;
        self.result.lock().clone().unwrap_or(Ok(Value::Null))
    }

    /// Waits until something has to be passed on: an input, or `None` if somebody has cancelled the run. Inputs stay in the
    /// room for as long as there is no link to which they can go.
    pub(super) async fn next_input(&self) -> Option<Value> {
        let (sent, cancelled) = (Box::pin(self.sent.wait()), Box::pin(self.run.cancelled()));
        if let Either::Right(_) = select(sent, cancelled).await {
            return None;
        }
        let (input, lost) = (Box::pin(self.run.next_input()), Box::pin(self.lost.wait()));
        match select(lost, input).await {
            Either::Left(_) => {
                self.run.cancelled().await;
                None
            }
            Either::Right((input, _)) => input,
        }
    }

    /// The agent calls a tool of its own.
    pub(super) fn tool_called(&self, id: &Text, name: &str, arguments: &Value) -> Result<(), ActionError> {
        let mut calls = self.calls.lock();
        if calls.len() >= OPEN_CALLS || !calls.insert(id.clone()) {
            return Err(ActionError::new(
                ErrorCode::Busy,
                "the call of this tool is known, or too many have no result yet",
            ));
        }
        drop(calls);
        let called = self.run.remote().tool_called(id.clone(), name, arguments);
        if called.is_err() {
            self.calls.lock().remove(id);
        }
        called.map(drop)
    }

    /// What that returned.
    pub(super) fn tool_returned(&self, id: &Text, ok: bool, result: Value) -> Result<(), ActionError> {
        if !self.calls.lock().remove(id) {
            return Err(ActionError::not_found("there is no such call of a tool"));
        }
        self.run.remote().tool_returned(id, ToolResult { ok, result });
        Ok(())
    }

    /// Whether the agent has to be told to stop: it works on it, and was not told before.
    pub(super) fn has_to_be_told(&self) -> bool {
        self.sent.is_set() && !self.is_answered() && !self.told_to_stop.swap(true, Ordering::SeqCst)
    }
}
