//! What requests and responses about runs hold.

use grove_engine::RunView;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The run that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StartedBody {
    pub(super) run: String,
}

/// One run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneRunBody {
    pub(super) run: RunBody,
}

/// A run, with its result.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RunBody {
    id: String,
    agent: String,
    /// `queued`, `running`, `done`, `failed`, `cancelled` or `timed_out`.
    status: String,
    /// The user who started it.
    by: String,
    attempt: u32,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// From 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// How many characters it has streamed.
    output_chars: u64,
    /// The run in whose place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_of: Option<String>,
    /// The run of another agent in whose place it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RunErrorBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    result: Option<Value>,
}

/// Why a run has not done what it was asked.
#[derive(Debug, Serialize, ToSchema)]
struct RunErrorBody {
    code: String,
    message: String,
}

impl From<RunView> for RunBody {
    fn from(run: RunView) -> Self {
        let error = run.error.map(|error| RunErrorBody { code: error.code().into(), message: error.message().into() });
        Self {
            id: run.id.into(),
            agent: run.agent.into(),
            status: run.status.as_str().to_owned(),
            by: run.by.into(),
            attempt: run.attempt,
            created_at: run.created_at,
            started_at: run.started_at,
            ended_at: run.ended_at,
            progress: run.progress,
            message: run.message.map(Into::into),
            output_chars: run.output_chars,
            rerun_of: run.rerun_of.map(Into::into),
            fallback_of: run.fallback_of.map(Into::into),
            error,
            result: run.result,
        }
    }
}

/// An input to a run.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InputBody {
    /// What the agent gets.
    pub(super) data: Value,
}

/// That something was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedBody {}
