//! What an operator watches: counts of what there is and of what has happened, for Prometheus.

mod census;
mod tally;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use grove_engine::Engine;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use self::census::Census;
use self::tally::Tally;

/// The format that is written, which Prometheus has read since version 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics` in the text format of Prometheus (OpenMetrics 1.0), to be merged into an application.
///
/// The metrics are listed in `docs/metrics.md`. No label names a session, a user or anything else that grows with them.
/// What has happened is counted from this call on, so make the routes before you serve, and once per engine. There is
/// no check of who asks: serve it where only operators reach it.
///
/// ```
/// # use grove_engine::Engine;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let engine = Engine::builder("desk", "Desk").build();
/// let operators_only: axum::Router = grove_axum::metrics(engine);
/// # let _ = operators_only;
/// # }
/// ```
pub fn metrics<S>(engine: Engine) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let mut registry = Registry::with_prefix("grove");
    let tally = Tally::register(&mut registry);
    engine.observe(move |event| tally.count(event));
    registry.register_collector(Box::new(Census::of(engine)));
    Router::new().route("/metrics", get(scrape)).with_state(Arc::new(registry))
}

/// Taking the census looks at every session, so it is done where it holds up nobody.
async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let written = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    match written.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
