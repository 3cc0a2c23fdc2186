//! The routes of peers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{RequestExt, Router};
use grove_axum::{Authenticator, Refusal, UpgradeRequest};
use grove_engine::{Event, Provider, Session};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::link;
use crate::peers::{Inner, Peers, keeping};

/// The longest frame of a peer, in bytes: a message with a body of 16 KiB fits, however it is escaped.
const FRAME_BYTES: usize = 128 << 10;

/// What is read and written at once, in bytes: every link holds both, and the library's default is 32 times as much.
const BUFFER_BYTES: usize = 4 << 10;

/// How long the authenticator may take.
const AUTHENTICATE_TIMEOUT: Duration = Duration::from_secs(10);

/// What the handlers share.
struct Routes {
    inner: Arc<Inner>,
    authenticator: Box<dyn Authenticator>,
}

pub(crate) fn routes<S>(inner: &Arc<Inner>, authenticator: impl Authenticator) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let routes = Routes { inner: Arc::clone(inner), authenticator: Box::new(authenticator) };
    Router::new()
        .route("/peers", get(open))
        .route("/v1/peers", get(list))
        .route("/v1/peers/left", get(left))
        .route("/v1/peers/{participant}", delete(revoke))
        .with_state(Arc::new(routes))
}

/// A link. Who is at its other end is asked on it.
async fn open(State(routes): State<Arc<Routes>>, upgrade: WebSocketUpgrade) -> Response {
    let inner = Arc::clone(&routes.inner);
    if inner.engine.is_closing() {
        return Refusal::unavailable().into_response();
    }
    let (place, has_displaced) = inner.unanswered.enter();
    if has_displaced {
        inner.engine.note(Event::Refused { status: 503, reason: "too many links on which nobody has answered" });
    }
    let upgrade = upgrade.max_message_size(FRAME_BYTES).max_frame_size(FRAME_BYTES);
    let upgrade = upgrade.read_buffer_size(BUFFER_BYTES).write_buffer_size(BUFFER_BYTES);
    upgrade.on_upgrade(move |socket| link::serve(inner, socket, place))
}

/// The session that asks.
struct Caller(Session);

impl FromRequestParts<Arc<Routes>> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, routes: &Arc<Routes>) -> Result<Self, Response> {
        let mut request = Request::from_parts(parts.clone(), axum::body::Body::empty());
        // A browser sends cookies whichever page causes the request.
        request.headers_mut().remove(header::COOKIE);
        let peer = request.extract_parts::<ConnectInfo<_>>().await.ok().map(|ConnectInfo(peer)| peer);
        let asking = routes.authenticator.authenticate(UpgradeRequest::new(request.into_parts().0, peer));
        let answered = tokio::time::timeout(AUTHENTICATE_TIMEOUT, asking).await;
        let session = answered.unwrap_or_else(|_| Err(Refusal::unavailable())).map_err(IntoResponse::into_response)?;
        let checked = routes.inner.rooms.check_access(&session);
        checked.map(|()| Self(session)).map_err(|error| Refusal::from(error).into_response())
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

async fn list(State(routes): State<Arc<Routes>>, Caller(session): Caller) -> Response {
    answer(StatusCode::OK, &json!({"peers": routes.inner.rows_of(&session)}))
}

/// How many of those who have left are shown if the request does not say, and at most.
const LEFT: (usize, usize) = (100, 1_000);

#[derive(Deserialize)]
struct LeftQuery {
    limit: Option<usize>,
}

async fn left(
    State(routes): State<Arc<Routes>>,
    Caller(session): Caller,
    Query(LeftQuery { limit }): Query<LeftQuery>,
) -> Response {
    let peers = Peers { inner: Arc::clone(&routes.inner) };
    let most = limit.unwrap_or(LEFT.0).min(LEFT.1);
    // Up to a thousand rows from the disk.
    match tokio::task::spawn_blocking(move || peers.left(&session, most)).await {
        Ok(Ok(left)) => answer(StatusCode::OK, &json!({"left": left.iter().map(keeping::row).collect::<Vec<_>>()})),
        _ => answer(StatusCode::SERVICE_UNAVAILABLE, &error("unavailable", "the members cannot be reached")),
    }
}

fn error(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

async fn revoke(
    State(routes): State<Arc<Routes>>,
    Caller(session): Caller,
    Path(participant): Path<String>,
) -> Response {
    let peers = Peers { inner: Arc::clone(&routes.inner) };
    match peers.revoke(&session, &participant) {
        Ok(true) => (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response(),
        Ok(false) => answer(StatusCode::NOT_FOUND, &error("not_found", "there is no such peer of yours")),
        Err(_) => answer(StatusCode::SERVICE_UNAVAILABLE, &error("unavailable", "the members cannot be reached")),
    }
}
