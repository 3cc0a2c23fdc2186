//! `/control/...`: what a test can control from outside a session.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use grove_engine::Scope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};

use crate::agents;
use crate::app::App;
use crate::audit::Audit;
use crate::bus::Bus;
use crate::tokens::ORG;

/// The routes.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let with_rooms = match app.audit.clone() {
        Some(audit) => room_routes(audit).with_state(Arc::clone(&app)),
        None => Router::new(),
    };
    Router::new()
        .merge(app.bus.clone().map_or_else(Router::new, bus_routes))
        .route("/control/stats", get(stats))
        .route("/control/refresh", post(refresh))
        .route("/control/stamp", post(stamp))
        .route("/control/revoke", post(revoke))
        .with_state(app)
        .merge(with_rooms)
        .layer(middleware::map_response(never_cached))
}

/// What there is only with rooms.
fn room_routes(audit: Arc<Audit>) -> Router<Arc<App>> {
    let since = move |query: RawQuery| std::future::ready(audit_since(&audit, query));
    Router::new()
        .route("/control/rooms", get(rooms))
        .route("/control/audit", get(since))
        .route("/control/crash", post(crash))
        .route("/control/agent", post(agent))
}

/// What there is only with other instances.
fn bus_routes(of: Bus) -> Router<Arc<App>> {
    let lose = move |body: Body| std::future::ready(lose(&of, body));
    Router::new().route("/control/bus", get(bus).post(lose))
}

/// Which share of messages is lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lost {
    drop: f64,
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

/// An agent that is registered again, with what it returns from then on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    name: String,
    reply: Value,
}

/// A malformed request.
pub(crate) struct BadRequest(pub(crate) String);

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        let body = json_response(&json!({"error": {"code": "bad_request", "message": self.0}}));
        (StatusCode::BAD_REQUEST, body).into_response()
    }
}

pub(crate) type Body = Result<Bytes, BytesRejection>;

/// Parses a body as a JSON object, whatever its content type.
pub(crate) fn read<T: DeserializeOwned>(body: Body) -> Result<T, BadRequest> {
    let body = body.map_err(|rejection| BadRequest(rejection.body_text()))?;
    serde_json::from_slice::<Map<String, Value>>(&body)
        .and_then(|fields| serde_json::from_value(Value::Object(fields)))
        .map_err(|error| BadRequest(format!("the body cannot be read: {error}")))
}

pub(crate) fn json_response(json: &Value) -> Response {
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

async fn rooms(State(app): State<Arc<App>>) -> Response {
    let (rooms, stats) = (app.engine.rooms().stats(), app.engine.stats());
    json_response(&json!({
        "rooms": rooms.rooms.saturating_sub(rooms.ended),
        "participants": rooms.participants,
        "runs": rooms.runs.saturating_sub(rooms.queued),
        "queued": rooms.queued,
        "event_bytes": stats.event_bytes,
        "memory_bytes": rooms.memory_bytes,
        "leases": rooms.leases,
        "presence": rooms.presence,
    }))
}

async fn bus(State(app): State<Arc<App>>) -> Response {
    json_response(&Bus::report(&app.engine))
}

fn lose(bus: &Bus, body: Body) -> Result<Response, BadRequest> {
    let Lost { drop } = read(body)?;
    if !(0.0..=1.0).contains(&drop) {
        return Err(BadRequest("`drop` must be a number from 0 to 1".to_owned()));
    }
    bus.lose(drop);
    Ok(json_response(&json!({ "drop": drop })))
}

/// Ends the process as `kill -9` would: nobody is told, and nothing is written any more.
async fn crash() -> Response {
    std::process::abort()
}

/// The entries from number `since` on; all without it.
fn audit_since(audit: &Audit, RawQuery(query): RawQuery) -> Result<Response, BadRequest> {
    let query = query.unwrap_or_default();
    let since = query.split('&').find_map(|pair| pair.strip_prefix("since=")).unwrap_or("0");
    let since = since.parse().map_err(|_| BadRequest("`since` must be a number".to_owned()))?;
    let (next, events) = audit.since(since);
    Ok(json_response(&json!({ "next": next, "events": events })))
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

async fn agent(State(app): State<Arc<App>>, body: Body) -> Result<Response, BadRequest> {
    let Replaced { name, reply } = read(body)?;
    if !(1..=128).contains(&name.len()) {
        return Err(BadRequest("`name` must have 1 to 128 bytes".to_owned()));
    }
    agents::replace(&app.engine, &name, reply);
    Ok(json_response(&json!({ "name": name })))
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
