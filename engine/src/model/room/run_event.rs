//! What the events of a run say (rooms 4).

use serde_json::{Map, Value};

use super::event::EventKind;
use super::run::asked::Asked;
use super::run::failure::RunError;
use super::run::state::{Outcome, Run, RunStatus};

/// The body of an event of a run, with who started it.
#[derive(Debug)]
struct Body(Map<String, Value>);

impl Body {
    fn of(asked: &Asked) -> Self {
        Self(Map::new()).with("run", asked.id.as_str()).with("by", asked.by.user.as_str())
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// `run.queued` and `run.started`.
pub(crate) fn begun(run: &Run) -> Value {
    let asked = &run.asked;
    let body = Body::of(asked).with("agent", asked.agent.as_str()).with("attempt", run.attempt());
    let body = body.with_some("rerun_of", asked.rerun_of.as_deref());
    body.with_some("fallback_of", asked.fallback_of.as_deref()).into_value()
}

/// `run.chunk`. The text stands last, so that the next one can be appended.
pub(crate) fn chunk(asked: &Asked, offset: u64, text: &str) -> Value {
    Body::of(asked).with("offset", offset).with("text", text).into_value()
}

/// `run.progress`.
pub(crate) fn progress(run: &Run) -> Value {
    let body = Body::of(&run.asked).with_some("progress", run.progress);
    body.with_some("message", run.message.as_deref()).into_value()
}

/// `run.tool_call`.
pub(crate) fn tool_call(asked: &Asked, call: &str, name: &str, arguments: &Value) -> Value {
    Body::of(asked).with("tool_call", call).with("name", name).with("arguments", arguments.clone()).into_value()
}

/// `run.tool_result`.
pub(crate) fn tool_result(asked: &Asked, call: &str, ok: bool, result: &Value) -> Value {
    Body::of(asked).with("tool_call", call).with("ok", ok).with("result", result.clone()).into_value()
}

/// `run.iteration`.
pub(crate) fn iteration(asked: &Asked, number: u32) -> Value {
    Body::of(asked).with("iteration", number).into_value()
}

/// `run.redelivered`.
pub(crate) fn redelivered(run: &Run) -> Value {
    Body::of(&run.asked).with("attempt", run.attempt()).into_value()
}

/// `run.escalated`.
pub(crate) fn escalated(asked: &Asked, to: &str) -> Value {
    Body::of(asked).with("to", to).into_value()
}

/// Why a run has not done what it was asked.
pub(crate) fn error_of(outcome: &Outcome) -> Option<RunError> {
    match outcome {
        Outcome::Failed(error) => Some(error.clone()),
        Outcome::TimedOut => Some(RunError::new("timed_out", "the agent gave no sign of life for too long")),
        Outcome::Done(_) | Outcome::Cancelled => None,
    }
}

/// The last event of a run that has ended.
pub(crate) fn ended(run: &Run) -> (EventKind, Value) {
    let kind = match run.status() {
        RunStatus::Done => EventKind::RunDone,
        RunStatus::Cancelled => EventKind::RunCancelled,
        RunStatus::TimedOut => EventKind::RunTimedOut,
        RunStatus::Failed | RunStatus::Queued | RunStatus::Running => EventKind::RunFailed,
    };
    let result = match run.outcome() {
        Some(Outcome::Done(result)) => Some(result.clone()),
        _ => None,
    };
    let error = run.outcome().and_then(error_of).map(|error| error.to_json());
    let body = Body::of(&run.asked).with_some("result", result).with_some("error", error);
    let body = body.with("duration_ms", run.duration_ms()).with("attempts", run.attempt());
    let body = body.with("output_chars", run.output.chars());
    let truncated = run.output.is_truncated().then_some(true);
    (kind, body.with_some("truncated", truncated).into_value())
}
