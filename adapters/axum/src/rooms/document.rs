//! The OpenAPI document of these routes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::header::{CACHE_CONTROL, VARY};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use grove_engine::{Discovery, NewRoom, NewRun};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use super::rooms_endpoint::RoomsEndpoint;

/// Anyone may cache it for a minute: it is the same for everyone.
const CACHE: &str = "public, max-age=60";

/// The document without any route.
pub(super) fn about(provider: &Discovery) -> OpenApi {
    let info = InfoBuilder::new().title(format!("Rooms of {}", provider.name)).version("1").build();
    OpenApiBuilder::new().info(info).build()
}

/// The document with the types that come from the engine.
pub(super) fn with_engine_types(described: &OpenApi) -> Value {
    let mut document = serde_json::to_value(described).expect("a document is JSON");
    let schemas = &mut document["components"]["schemas"];
    schemas["NewRoom"] = schema_of::<NewRoom>();
    schemas["NewRun"] = schema_of::<NewRun>();
    document
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Returns this document.
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "describe", responses((status = 200, body = Value)))]
pub(super) async fn show(
    State(service): State<Arc<RoomsEndpoint>>,
    OriginalUri(original): OriginalUri,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    // What nesting has removed from the path.
    let mount = original.path().strip_suffix(uri.path()).unwrap_or_default();
    let prefix = service.endpoint.public_prefix(&headers, mount);
    let mut document = service.document.clone();
    document["servers"] = json!([{"url": if prefix.is_empty() { "/" } else { &prefix }}]);
    ([(CACHE_CONTROL, CACHE), (VARY, "forwarded, x-forwarded-prefix")], Json(document)).into_response()
}
