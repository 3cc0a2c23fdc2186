//! Rooms over HTTP (rooms 7): the routes below `/v1`, for whom a socket is too much.

mod failure;
mod rooms_endpoint;
mod caller;
mod json_body;
mod request;
mod response;
mod room_id;
mod memory_key;
mod run_id;
mod if_match;
mod bodies;
mod memory_bodies;
mod run_bodies;
mod event_stream;
mod archive_lines;
mod handlers;
mod memory_handlers;
mod run_handlers;
mod document;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use grove_engine::Rooms;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::failure::Failure;
use self::rooms_endpoint::RoomsEndpoint;
use crate::endpoint::Endpoint;

/// The routes, as they are without a prefix. Each is in the document because it is a route, and the other way round.
pub(crate) fn routes<S>(endpoint: Arc<Endpoint>, rooms: Rooms) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let (router, described) = OpenApiRouter::with_openapi(document::about(&endpoint.provider.discovery()))
        .routes(routes!(handlers::create, handlers::list))
        .routes(routes!(handlers::show, handlers::close))
        .routes(routes!(handlers::say))
        .routes(routes!(handlers::events))
        .routes(routes!(run_handlers::start_run))
        .routes(routes!(run_handlers::show_run, run_handlers::cancel_run))
        .routes(routes!(run_handlers::send_input))
        .routes(routes!(handlers::archive))
        .routes(routes!(handlers::participants))
        .routes(routes!(memory_handlers::list_entries))
        .routes(routes!(memory_handlers::show_entry, memory_handlers::put_entry, memory_handlers::delete_entry))
        .routes(routes!(handlers::presence))
        .routes(routes!(document::show))
        .split_for_parts();
    let document = document::with_engine_types(&described);
    let state = Arc::new(RoomsEndpoint { endpoint, rooms, document });
    let all = ["/v1", "/v1/", "/v1/{*path}"];
    let router = all.into_iter().fold(router, |router, path| router.route(path, any(unknown_route)));
    router.method_not_allowed_fallback(wrong_method).with_state(state)
}

async fn wrong_method() -> Failure {
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route has other methods: see `Allow`")
}

async fn unknown_route() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "not_found", "there is no such route: see `/v1/openapi.json`")
}
