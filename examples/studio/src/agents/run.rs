//! What the agents have in common.

use std::time::Duration;

use grove_engine::{ActionError, RunContext, RunError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::sleep;

/// Takes a while, as a model does. An agent that was cancelled should stop soon; `?` behind this is enough.
pub(super) async fn pause(run: &RunContext, pace: Duration) -> Result<(), RunError> {
    tokio::select! {
        () = run.cancelled() => Err(cancelled()),
        () = sleep(pace) => Ok(()),
    }
}

/// What an agent returns that was cancelled: nobody sees it, since the run ends as `cancelled` all the same.
pub(super) fn cancelled() -> RunError {
    RunError::new("cancelled", "the run was cancelled")
}

/// What a run or a tool was given, which the engine has already compared with the schema of `T`.
pub(super) fn read<T: DeserializeOwned>(given: Value) -> Result<T, ActionError> {
    serde_json::from_value(given).map_err(|error| ActionError::invalid_params(error.to_string()))
}
