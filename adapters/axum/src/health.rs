//! Liveness and readiness, for an orchestrator.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use axum::routing::get;
use grove_engine::Provider;

/// `GET /healthz` and `GET /readyz`, to be merged into an application.
///
/// `/healthz` is 200 for as long as the process responds. `/readyz` is 200 until the provider shuts down and 503 from
/// then on, while calls in flight are still being completed. Neither needs a credential or reveals anything else.
///
/// ```
/// # use grove_engine::Engine;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let engine = Engine::builder("desk", "Desk").build();
/// let routes: axum::Router = grove_axum::health(engine);
/// # let _ = routes;
/// # }
/// ```
pub fn health<S>(provider: impl Provider) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let provider: Arc<dyn Provider> = Arc::new(provider);
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).with_state(provider)
}

async fn alive() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

async fn ready(State(provider): State<Arc<dyn Provider>>) -> impl IntoResponse {
    let (status, text) = match provider.is_closing() {
        true => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
        false => (StatusCode::OK, "ready\n"),
    };
    (status, [(CACHE_CONTROL, "no-store")], text)
}
