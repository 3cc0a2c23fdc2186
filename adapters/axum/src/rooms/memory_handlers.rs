//! One function per route of a room's memory.

use axum::extract::State;
use axum::http::header::{ETAG, HeaderValue};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use grove_engine::{ErrorCode, MemoryQuery, RoomMemory, Session};

use super::bodies::ErrorBody;
use super::caller::Caller;
use super::failure::Failure;
use super::if_match::{expected, tag};
use super::json_body::JsonBody;
use super::memory_bodies::{DoneBody, KeptBody, MemoryEntryBody, MemoryListBody, MemoryListQuery, MemoryValueBody};
use super::memory_key::MemoryKey;
use super::request::{Service, query, traced};
use super::response::{Handled, respond};
use super::room_id::RoomId;
use super::rooms_endpoint::RoomsEndpoint;

/// Lists what is kept in a room, with what the room inherits.
#[utoipa::path(get, path = "/v1/rooms/{id}/memory", params(("id" = String, Path), MemoryListQuery),
    responses((status = 200, body = MemoryListBody), (status = "default", body = ErrorBody)))]
pub(super) async fn list_entries(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    uri: Uri,
) -> Handled {
    let MemoryListQuery { prefix, limit, after } = query(&uri)?;
    let wanted = MemoryQuery { prefix: prefix.unwrap_or_default().into(), limit, after: after.map(Into::into) };
    let page = service.rooms.memory(&session, &id)?.list(&wanted)?;
    Ok(respond(StatusCode::OK, MemoryListBody::from(page)))
}

/// Returns what is kept under a key, with its version as `ETag`.
#[utoipa::path(get, path = "/v1/rooms/{id}/memory/{key}", params(("id" = String, Path), ("key" = String, Path)),
    responses((status = 200, body = MemoryEntryBody), (status = "default", body = ErrorBody)))]
pub(super) async fn show_entry(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    MemoryKey(key): MemoryKey,
) -> Handled {
    let entry = service.rooms.memory(&session, &id)?.get(&key)?;
    let version = entry.version;
    Ok(tagged(version, respond(StatusCode::OK, MemoryEntryBody::from(entry))))
}

/// Keeps a value under a key; with `If-Match` only if the room's own entry has that version.
#[utoipa::path(put, path = "/v1/rooms/{id}/memory/{key}", request_body = MemoryValueBody,
    params(("id" = String, Path), ("key" = String, Path),
        ("If-Match" = Option<String>, Header, description = "the `ETag` of the entry to replace"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no entry yet"),
        ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 200, body = KeptBody), (status = "default", body = ErrorBody)))]
pub(super) async fn put_entry(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    MemoryKey(key): MemoryKey,
    headers: HeaderMap,
    JsonBody(MemoryValueBody { value }): JsonBody<MemoryValueBody>,
) -> Handled {
    let memory = memory(&service, &session, &id, &headers)?;
    let version = memory.put_if(&key, &value, expected(&headers)?).map_err(|error| {
        match error.code() == ErrorCode::InvalidParams.as_str() && !memory.fits(&key, &value) {
            true => Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, &error),
            false => error.into(),
        }
    })?;
    service.rooms.durable(&id).await?;
    Ok(tagged(version, respond(StatusCode::OK, KeptBody { version })))
}

/// Removes what is kept under a key; with `If-Match` only if the room's own entry has that version.
#[utoipa::path(delete, path = "/v1/rooms/{id}/memory/{key}",
    params(("id" = String, Path), ("key" = String, Path),
        ("If-Match" = Option<String>, Header, description = "the `ETag` of the entry to remove"),
        ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 200, body = DoneBody), (status = "default", body = ErrorBody)))]
pub(super) async fn delete_entry(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    MemoryKey(key): MemoryKey,
    headers: HeaderMap,
) -> Handled {
    memory(&service, &session, &id, &headers)?.delete_if(&key, expected(&headers)?)?;
    service.rooms.durable(&id).await?;
    Ok(respond(StatusCode::OK, DoneBody {}))
}

/// The memory of a room, changed as part of the work that the request names.
fn memory(service: &RoomsEndpoint, session: &Session, id: &str, headers: &HeaderMap) -> Result<RoomMemory, Failure> {
    Ok(traced(service, headers).memory(session, id)?)
}

fn tagged(version: u64, mut response: Response) -> Response {
    // Digits and quotes can stand in a header.
    if let Ok(tag) = HeaderValue::from_str(&tag(version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
