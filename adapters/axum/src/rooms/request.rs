//! What the handlers read of a request beside its body.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, Uri};
use grove_engine::Rooms;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::rooms_endpoint::RoomsEndpoint;

pub(super) type Service = State<Arc<RoomsEndpoint>>;

const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");

/// The parameters of a URL. Others may be there, such as a credential.
pub(super) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Failure> {
    let read = Query::try_from_uri(uri).map(|Query(query)| query);
    read.map_err(|_| Failure::invalid("a parameter of the URL cannot be read"))
}

/// The rooms, for a request that may be part of some work (rooms 10).
pub(super) fn traced(service: &RoomsEndpoint, headers: &HeaderMap) -> Rooms {
    let rooms = &service.rooms;
    text(headers, &TRACE_ID).map_or_else(|| rooms.clone(), |trace_id| rooms.traced(trace_id))
}

/// The text of a header; one that is no text counts as absent.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
