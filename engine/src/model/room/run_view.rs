//! A run, as those see it who see its room.

use serde::Serialize;
use serde_json::Value;

use super::run::failure::RunError;
use super::run::state::{Outcome, Run, RunStatus};
use super::run_event;
use super::timestamp::rfc3339;
use crate::model::Text;

/// A run, as those see it who see its room. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunView {
    /// Its id, `r_` and 128 random bits.
    pub id: Text,
    /// The agent.
    pub agent: Text,
    /// How far it is.
    #[serde(serialize_with = "name_of")]
    pub status: RunStatus,
    /// The user who started it.
    pub by: Text,
    /// Which attempt it is.
    pub attempt: u32,
    /// When it was started.
    pub created_at: String,
    /// When it was dispatched first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// How far it is, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// What it does now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// How many characters it has streamed.
    pub output_chars: u64,
    /// The run in whose place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<Text>,
    /// The run of another agent in whose place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_of: Option<Text>,
    /// Why it has not done what it was asked.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_error")]
    pub error: Option<RunError>,
    /// What it returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

/// A part of the output of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunOutput {
    /// The text.
    pub text: String,
    /// The character that follows it, if there is one by now.
    pub next: Option<u64>,
    /// What the run returned, if it has.
    pub result: Option<Value>,
}

impl From<&Run> for RunView {
    fn from(run: &Run) -> Self {
        let asked = &run.asked;
        Self {
            id: asked.id.clone(),
            agent: asked.agent.clone(),
            status: run.status(),
            by: asked.by.user.clone(),
            attempt: run.attempt(),
            created_at: rfc3339(asked.created_ms),
            started_at: run.started.map(|at| rfc3339(at.unix_ms)),
            ended_at: run.ended.map(|at| rfc3339(at.unix_ms)),
            progress: run.progress,
            message: run.message.clone(),
            output_chars: run.output.chars(),
            rerun_of: asked.rerun_of.clone(),
            fallback_of: asked.fallback_of.clone(),
            error: run.outcome().and_then(run_event::error_of),
            result: result_of(run),
        }
    }
}

impl RunOutput {
    /// So many characters from one on.
    pub(crate) fn of(run: &Run, offset: u64, limit: u64) -> Self {
        let (text, next) = run.output.page(offset, limit);
        Self { text: text.to_owned(), next, result: result_of(run) }
    }
}

fn result_of(run: &Run) -> Option<Value> {
    match run.outcome() {
        Some(Outcome::Done(result)) => Some(result.clone()),
        _ => None,
    }
}

fn name_of<S: serde::Serializer>(status: &RunStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

fn shown_error<S: serde::Serializer>(error: &Option<RunError>, serializer: S) -> Result<S::Ok, S::Error> {
    error.as_ref().map(RunError::to_json).serialize(serializer)
}
