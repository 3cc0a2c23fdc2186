//! Why there is no connection, as the peer and as the observers are told.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::response::{IntoResponse, Response};
use grove_engine::{ConnectError, Event};
use serde_json::json;

/// An upgrade or a renewal that is refused, with the status and the message that the peer gets.
///
/// It answers `{"error": {"code": ..., "message": ...}}` and is never cached.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    reason: &'static str,
}

impl Refusal {
    /// 401: no credential, or not a valid one.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "authentication is required")
    }

    /// 403: known, but not allowed here.
    #[must_use]
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "this is not allowed")
    }

    /// 503: cannot be decided or served now; worth another try.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the provider cannot take connections now")
    }

    /// 400: the request itself is wrong.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "the request is malformed").with_message(message)
    }

    /// 409: the credential is good, and no session is open that it could be for.
    pub(crate) fn conflict() -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "no session is open that this credential is for")
    }

    /// 426: the request does not ask for a WebSocket over HTTP/1.1.
    pub(crate) fn upgrade_required() -> Self {
        Self::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "this endpoint speaks WebSocket over HTTP/1.1 only")
    }

    fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), reason: message }
    }

    /// Tells the peer this instead of the default. Anybody may read it.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Tells the observers this; the peer does not see it.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    /// What the observers are told.
    pub(crate) fn event(&self) -> Event {
        Event::Refused { status: self.status.as_u16(), reason: self.reason }
    }
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closing => Self::unavailable().because("the provider is shutting down"),
            ConnectError::LimitReached(limit) => Self::unavailable().because(limit.as_str()),
            ConnectError::Revoked => Self::unauthorized().because("the session was revoked"),
            ConnectError::Expired => Self::unauthorized().because("the session has expired"),
            ConnectError::ProviderFailed => Self::unavailable().because("the provider of this session cannot be made"),
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
