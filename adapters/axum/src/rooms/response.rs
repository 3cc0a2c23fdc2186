//! What the handlers answer.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::failure::Failure;

pub(super) type Handled = Result<Response, Failure>;

/// What a session sees is for nobody's cache.
pub(super) fn respond(status: StatusCode, body: impl Serialize) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
