//! Why a request is refused: what the peer is told, and what the observers are told.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::response::{IntoResponse, Response};
use grove_engine::{ConnectError, Event};
use serde_json::json;

/// The refusal of an upgrade or a renewal, with the status and the message that the peer gets.
///
/// The response body is `{"error": {"code": ..., "message": ...}}`, and it is never cached.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    reason: &'static str,
}

impl Refusal {
    /// 401: there is no credential, or it is not valid.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "authentication is required")
    }

    /// 403: authenticated, but not allowed here.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not allowed")
    }

    /// 503: cannot be decided or served now; trying again may help.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the provider cannot take connections now")
    }

    /// 400: the request itself is wrong.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "the request is malformed").with_message(message)
    }

    /// 409: the credential is valid, but no open session belongs to it.
    pub(crate) fn conflict() -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "no session is open that this credential is for")
    }

    /// 426: the request does not ask for a WebSocket.
    pub(crate) fn upgrade_required() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "upgrade_required",
            "this endpoint speaks WebSocket only, by an upgrade (HTTP/1.1) or an extended CONNECT (HTTP/2)",
        )
    }

    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), reason: message }
    }

    /// Sends the peer this message instead of the default one. Anyone may read it.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Gives the observers this reason. The peer does not see it.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// The event for the observers.
    pub(crate) fn event(&self) -> Event {
        Event::Refused { status: self.status.as_u16(), reason: self.reason }
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closing => Self::unavailable().because("the provider is shutting down"),
            ConnectError::LimitReached(limit) => Self::unavailable().because(limit.as_str()),
            ConnectError::RuntimeEnded => Self::unavailable().because("the engine's runtime has ended"),
            ConnectError::Revoked => Self::unauthorized().because("the session was revoked"),
            ConnectError::Expired => Self::unauthorized().because("the session has expired"),
            ConnectError::ProviderFailed => {
                Self::unavailable().because("the provider of this session cannot be created")
            }
            ConnectError::Invalid(message) => Self::bad_request(message),
            _ => Self::unavailable(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}}).to_string();
        let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
        let response = (self.status, headers, body);
        match self.status {
            StatusCode::UNAUTHORIZED => ([(WWW_AUTHENTICATE, "Bearer")], response).into_response(),
            StatusCode::SERVICE_UNAVAILABLE => ([(RETRY_AFTER, "1")], response).into_response(),
            StatusCode::UPGRADE_REQUIRED => {
                let wanted = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
                (wanted, response).into_response()
            }
            _ => response.into_response(),
        }
    }
}
