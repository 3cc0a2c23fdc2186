//! `/control/...`: what a test can control from outside a session.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use grove_engine::Scope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

use crate::app::App;
use crate::tokens::ORG;

/// The routes.
pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/control/stats", get(stats))
        .route("/control/refresh", post(refresh))
        .route("/control/stamp", post(stamp))
        .route("/control/revoke", post(revoke))
        .layer(middleware::map_response(never_cached))
        .with_state(app)
}

/// The sessions whose trees are refreshed.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    Session(String),
    User(String),
    Org(String),
    All(bool),
    WherePrefix(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stamp {
    n: Number,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    session: String,
}

/// A malformed request.
struct BadRequest(String);

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        let body = json_response(&json!({"error": {"code": "bad_request", "message": self.0}}));
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

type Body = Result<Bytes, BytesRejection>;

/// Parses a body as a JSON object, whatever its content type.
fn read<T: DeserializeOwned>(body: Body) -> Result<T, BadRequest> {
    let body = body.map_err(|rejection| BadRequest(rejection.body_text()))?;
    serde_json::from_slice::<Map<String, Value>>(&body)
        .and_then(|fields| serde_json::from_value(Value::Object(fields)))
        .map_err(|error| BadRequest(format!("the body cannot be read: {error}")))
}

fn json_response(json: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

async fn never_cached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    response
}

async fn stats(State(app): State<Arc<App>>) -> Response {
    let stats = app.engine.stats();
    json_response(&json!({
        "sessions": stats.sessions,
        "trees": stats.trees,
        "connections": stats.connections,
        "subscriptions": stats.subscriptions,
        "tabs": stats.tabs,
        "tree_bytes": stats.tree_bytes,
        "outbox_bytes": stats.outbox_bytes,
        "evaluations": stats.evaluations,
        "commits": stats.commits,
    }))
}

async fn refresh(State(app): State<Arc<App>>, body: Body) -> Result<Response, BadRequest> {
    let scope = match read(body)? {
        Target::Session(id) => Scope::session(id),
        Target::User(user) => Scope::user(user),
        Target::Org(org) => Scope::attribute(ORG, org),
        Target::All(true) => Scope::all(),
        Target::All(false) => return Err(BadRequest("`all` can only be true".to_owned())),
        Target::WherePrefix(prefix) => Scope::matching(move |session| session.id().starts_with(&prefix)),
    };
    Ok(json_response(&json!({ "matched": app.engine.refresh(scope) })))
}

async fn stamp(State(app): State<Arc<App>>, body: Body) -> Result<Response, BadRequest> {
    let Stamp { n } = read(body)?;
    *app.state.stamp.lock() = n.clone();
    Ok(json_response(&json!({ "n": n })))
}

async fn revoke(State(app): State<Arc<App>>, body: Body) -> Result<Response, BadRequest> {
    let Revoke { session } = read(body)?;
    app.engine.revoke(grove_engine::Revocation::session(session.as_str()));
    Ok(json_response(&json!({ "revoked": session })))
}
