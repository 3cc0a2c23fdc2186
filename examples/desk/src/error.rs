//! Why a request to the desk failed, with the same message for a browser and for an AI.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use grove_attest::MembersError;
use grove_engine::ActionError;

/// Why a request failed. Its text is a sentence for the client; [`Self::Store`] does not include its cause.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeskError {
    /// It does not exist, or it belongs to someone else, which must look the same.
    NotFound(String),
    /// The input is not valid.
    Invalid(String),
    /// A viewer tried to change something.
    ViewOnly,
    /// The room of the board refused it.
    Room(ActionError),
    /// A key was not taken, or the keys cannot be reached.
    Keys(MembersError),
    /// Another desk has the database file open.
    InUse,
    /// The lock file beside the database cannot be opened or locked.
    Lock(std::io::Error),
    /// SQLite failed. The cause goes to the log.
    Store(rusqlite::Error),
}

/// The result of a request to the desk or its store.
pub(crate) type Result<T, E = DeskError> = std::result::Result<T, E>;

impl DeskError {
    /// For an object `id` that the person does not have.
    pub(crate) fn no_such(kind: &str, id: impl fmt::Display) -> Self {
        Self::NotFound(format!("There is no {kind} {id} on your desk."))
    }
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(sentence) | Self::Invalid(sentence) => f.write_str(sentence),
            Self::ViewOnly => f.write_str("A viewer cannot change anything here."),
            Self::Room(refusal) => f.write_str(refusal.message()),
            Self::Keys(why @ (MembersError::KeyTaken | MembersError::UnusableKey)) => write!(f, "Not set: {why}."),
            Self::Keys(_) => f.write_str("The desk could not reach the keys."),
            Self::InUse => f.write_str("Another desk has it open; stop that one, or give another file with --db."),
            Self::Lock(_) => f.write_str("Its lock file cannot be used."),
            Self::Store(_) => f.write_str("The desk could not reach its data."),
        }
    }
}

impl std::error::Error for DeskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(cause) => Some(cause),
            Self::Lock(cause) => Some(cause),
            Self::Room(refusal) => Some(refusal),
            Self::Keys(cause) => Some(cause),
            Self::NotFound(_) | Self::Invalid(_) | Self::ViewOnly | Self::InUse => None,
        }
    }
}

impl From<rusqlite::Error> for DeskError {
    fn from(cause: rusqlite::Error) -> Self {
        tracing::error!(%cause, "the store failed");
        Self::Store(cause)
    }
}

impl From<MembersError> for DeskError {
    fn from(cause: MembersError) -> Self {
        tracing::warn!(%cause, "a key");
        Self::Keys(cause)
    }
}

impl From<ActionError> for DeskError {
    fn from(refusal: ActionError) -> Self {
        Self::Room(refusal)
    }
}

impl From<DeskError> for ActionError {
    fn from(error: DeskError) -> Self {
        let sentence = error.to_string();
        match error {
            DeskError::NotFound(_) => Self::not_found(sentence),
            DeskError::Invalid(_) => Self::invalid_params(sentence),
            DeskError::ViewOnly => Self::unauthorized(sentence),
            DeskError::Room(refusal) => refusal,
            DeskError::Keys(_) | DeskError::InUse | DeskError::Lock(_) | DeskError::Store(_) => {
                Self::internal(sentence)
            }
        }
    }
}

impl IntoResponse for DeskError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ViewOnly => StatusCode::FORBIDDEN,
            Self::Keys(MembersError::UnusableKey) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Room(_) | Self::Keys(MembersError::KeyTaken) => StatusCode::CONFLICT,
            Self::Keys(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::InUse | Self::Lock(_) | Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, self.to_string()).into_response()
    }
}
