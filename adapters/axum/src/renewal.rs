//! A new credential for a session whose connections stay open, brought by an ordinary request (SEC13).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use grove_engine::Renewed;
use serde_json::json;

use crate::admission;
use crate::authenticate;
use crate::endpoint::Endpoint;
use crate::refusal::Refusal;

/// The path of renewals when the endpoint is at `path`.
pub(crate) fn path(path: &str) -> String {
    format!("{}/renew", path.trim_end_matches('/'))
}

/// Handles `POST /slop/renew`.
pub(crate) async fn renew(State(endpoint): State<Arc<Endpoint>>, request: Request) -> Response {
    match try_renew(&endpoint, request).await {
        Ok(renewed) => response(&renewed),
        Err(refusal) => {
            endpoint.provider.note(refusal.event());
            refusal.into_response()
        }
    }
}

/// The same checks as for an upgrade, with the new credential.
async fn try_renew(endpoint: &Endpoint, request: Request) -> Result<Renewed, Refusal> {
    let request = admission::receive(endpoint, request).await?;
    let session = authenticate::run(&*endpoint.authenticator, request, endpoint.authenticate_timeout).await?;
    endpoint.provider.renew(session)?.ok_or_else(Refusal::conflict)
}

fn response(renewed: &Renewed) -> Response {
    let body = match renewed.expires_in {
        Some(left) => json!({"expires_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX)}),
        None => json!({}),
    };
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}
