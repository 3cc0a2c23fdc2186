//! A new credential for a session whose connections stay, brought by an ordinary request (SEC13).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use grove_engine::Renewed;
use serde_json::json;

use crate::admission;
use crate::authenticate;
use crate::refusal::Refusal;
use crate::router::Slop;

/// Where it is when the endpoint is at `path`.
pub(crate) fn path(path: &str) -> String {
    format!("{}/renew", path.trim_end_matches('/'))
}

/// Answers `POST /slop/renew`.
pub(crate) async fn renew(State(slop): State<Arc<Slop>>, request: Request) -> Response {
    match take_over(&slop, request).await {
        Ok(renewed) => answer(&renewed),
        Err(refusal) => {
            slop.provider.note(refusal.event());
            refusal.into_response()
        }
    }
}

/// The same questions as at an upgrade, asked of the new credential.
async fn take_over(slop: &Slop, request: Request) -> Result<Renewed, Refusal> {
    let asked = admission::receive(slop, request).await?;
    let session = authenticate::run(&*slop.authenticator, asked, slop.authenticate_timeout).await?;
    slop.provider.renew(session)?.ok_or_else(Refusal::conflict)
}

fn answer(renewed: &Renewed) -> Response {
    let body = match renewed.expires_in {
        Some(left) => json!({"expires_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX)}),
        None => json!({}),
    };
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}
