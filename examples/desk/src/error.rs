//! Why the desk did not do what it was asked, told the same way to a browser and to an AI.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use grove_engine::ActionError;

/// Why something was not done. Its text is a sentence for whoever asked; only [`Self::Store`] keeps its cause back.
#[derive(Debug)]
pub enum DeskError {
    /// It does not exist, or it is somebody else's, which must look the same.
    NotFound(String),
    /// What was sent cannot be used as it is.
    Invalid(String),
    /// A viewer asked for a change.
    ViewOnly,
    /// SQLite failed. The cause goes to the log.
    Store(rusqlite::Error),
}

/// What the store answers with.
pub(crate) type Result<T, E = DeskError> = std::result::Result<T, E>;

impl DeskError {
    /// For something called `id` that the asking person does not have.
    pub(crate) fn no_such(kind: &str, id: impl fmt::Display) -> Self {
        Self::NotFound(format!("There is no {kind} {id} on your desk."))
    }
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(sentence) | Self::Invalid(sentence) => f.write_str(sentence),
            Self::ViewOnly => f.write_str("A viewer cannot change anything here."),
            Self::Store(_) => f.write_str("The desk could not reach its data."),
        }
    }
}

impl std::error::Error for DeskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(cause) => Some(cause),
            Self::NotFound(_) | Self::Invalid(_) | Self::ViewOnly => None,
        }
    }
}

impl From<rusqlite::Error> for DeskError {
    fn from(cause: rusqlite::Error) -> Self {
        tracing::error!(%cause, "the store failed");
        Self::Store(cause)
    }
}

impl From<DeskError> for ActionError {
    fn from(error: DeskError) -> Self {
        let sentence = error.to_string();
        match error {
            DeskError::NotFound(_) => Self::not_found(sentence),
            DeskError::Invalid(_) => Self::invalid_params(sentence),
            DeskError::ViewOnly => Self::unauthorized(sentence),
            DeskError::Store(_) => Self::internal(sentence),
        }
    }
}

impl IntoResponse for DeskError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ViewOnly => StatusCode::FORBIDDEN,
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
