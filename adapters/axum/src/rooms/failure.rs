//! Why a request about rooms fails: the status, and what the caller is told.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use grove_engine::{ActionError, ConnectError};
use serde_json::json;

use crate::refusal::Refusal;

/// Why a request fails. The body is `{"error": {"code", "message"}}`, as for every refusal.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was asked of the rooms: it is not known whose request it is, or it does not count.
    Refused(Refusal),
    /// What was asked for cannot be done.
    Failed { status: StatusCode, code: Cow<'static, str>, message: Cow<'static, str> },
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed { status, code: code.into(), message: message.into() }
    }

    /// 400: a field or a parameter cannot be used.
    pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_params", message)
    }

    /// What the rooms say, with another status than its code has.
    pub(super) fn with_status(status: StatusCode, error: &ActionError) -> Self {
        let (code, message) = (error.code().to_owned(), error.message().to_owned());
        Self::Failed { status, code: code.into(), message: message.into() }
    }
}

/// The status that belongs to a code (rooms 7).
fn status(code: &str) -> StatusCode {
    match code {
        "invalid_params" => StatusCode::BAD_REQUEST,
        "unauthorized" => StatusCode::FORBIDDEN,
        "not_found" => StatusCode::NOT_FOUND,
        "conflict" => StatusCode::CONFLICT,
        "unknown_agent" | "contract_violation" | "caps_refused" => StatusCode::UNPROCESSABLE_ENTITY,
        "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        "busy" => StatusCode::TOO_MANY_REQUESTS,
        "not_supported" => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        Self::with_status(status(error.code()), &error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Refused(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::Failed { status, code, message } => {
                let body = json!({"error": {"code": code, "message": message}}).to_string();
                (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_contract_has_its_status() {
        let codes = [
            ("invalid_params", 400),
            ("unauthorized", 403),
            ("not_found", 404),
            ("conflict", 409),
            ("unknown_agent", 422),
            ("contract_violation", 422),
            ("caps_refused", 422),
            ("too_large", 413),
            ("busy", 429),
            ("not_supported", 501),
            ("anything", 500),
        ];
        for (code, expected) in codes {
            assert_eq!(status(code).as_u16(), expected, "{code}");
        }
    }
}
