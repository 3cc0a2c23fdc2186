//! Metrics for Prometheus: gauges from the engine's statistics, and counters of its events.

mod cluster_counters;
mod event_counters;
mod path_labels;
mod registration;
mod room_counters;
mod stats_collector;

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

use self::event_counters::EventCounters;
use self::stats_collector::StatsCollector;

/// The format of the response; Prometheus reads it since version 2.5.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics` in the text format of Prometheus (OpenMetrics 1.0), to be merged into an application.
///
/// The metrics are listed in `docs/metrics.md`. No label names a session, a user or anything else whose number grows
/// with them. Events are counted from this call on, so create the routes before you serve, once per engine. Access is
/// not checked: serve it where only operators can reach it.
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
    let counters = EventCounters::register(&mut registry);
    engine.observe(move |event| counters.count(event));
    registry.register_collector(Box::new(StatsCollector::new(engine)));
    Router::new().route("/metrics", get(scrape)).with_state(Arc::new(registry))
}

/// Many registered paths make a long text, so it is written where that blocks no one.
async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let encoded = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    });
    match encoded.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, "no-store")], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
