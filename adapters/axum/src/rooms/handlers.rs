//! One function per route.

use axum::extract::State;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, StatusCode, Uri};
use grove_engine::{ErrorCode, Message, NewRoom, Origin, RoomPosition, RoomQuery, RoomState, Rooms, Session};

use super::archive_lines;
use super::bodies::{
    CreatedBody, EndedBody, ErrorBody, EventsQuery, ListQuery, MessageBody, OneRoomBody, ParticipantsBody,
    PresenceListBody, RoomBody, RoomListBody, SaidBody,
};
use super::caller::Caller;
use super::event_stream;
use super::failure::Failure;
use super::json_body::JsonBody;
use super::request::{Service, query, text, traced};
use super::response::{Handled, respond};
use super::room_id::RoomId;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Creates a room, whose owner is the caller.
#[utoipa::path(post, path = "/v1/rooms", request_body = ref("#/components/schemas/NewRoom"),
    params(("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 201, body = CreatedBody), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    State(service): Service,
    Caller(session): Caller,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewRoom>,
) -> Handled {
    let created = traced(&service, &headers).create(&session, &new.origin(Origin::Http))?;
    let room = describe(&service.rooms, &session, created.room.id())?;
    service.rooms.durable(created.room.id()).await?;
    Ok(respond(StatusCode::CREATED, CreatedBody::new(&created, room)))
}

/// Lists the rooms in which the caller has a role.
#[utoipa::path(get, path = "/v1/rooms", params(ListQuery),
    responses((status = 200, body = RoomListBody), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(service): Service, Caller(session): Caller, uri: Uri) -> Handled {
    let ListQuery { state, owner, limit, after } = query(&uri)?;
    let state = state.map(|state| parse_state(&state)).transpose()?;
    let wanted = RoomQuery { state, owner: owner.map(Into::into), limit, after: after.map(Into::into) };
    let page = service.rooms.list(&session, &wanted)?;
    // One that is removed just now is left out.
    let described = page.rooms.iter().filter_map(|room| describe(&service.rooms, &session, room.id()).ok());
    let body = RoomListBody { rooms: described.collect(), next: page.next.map(Into::into) };
    Ok(respond(StatusCode::OK, body))
}

/// Returns a room.
#[utoipa::path(get, path = "/v1/rooms/{id}", params(("id" = String, Path)),
    responses((status = 200, body = OneRoomBody), (status = "default", body = ErrorBody)))]
pub(super) async fn show(State(service): Service, Caller(session): Caller, RoomId(id): RoomId) -> Handled {
    let room = describe(&service.rooms, &session, &id)?;
    Ok(respond(StatusCode::OK, OneRoomBody { room }))
}

/// Ends a room; only its owner may, or an administrator of the project's rooms.
#[utoipa::path(delete, path = "/v1/rooms/{id}",
    params(("id" = String, Path), ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 200, body = EndedBody), (status = "default", body = ErrorBody)))]
pub(super) async fn close(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    headers: HeaderMap,
) -> Handled {
    let ended = traced(&service, &headers).close(&session, &id, None).await?;
    service.rooms.durable(&id).await?;
    Ok(respond(StatusCode::OK, EndedBody::from(ended)))
}

/// Says something in a room, which the caller need not have joined.
#[utoipa::path(post, path = "/v1/rooms/{id}/messages", request_body = MessageBody,
    params(("id" = String, Path), ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 201, body = SaidBody), (status = "default", body = ErrorBody)))]
pub(super) async fn say(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    headers: HeaderMap,
    JsonBody(body): JsonBody<MessageBody>,
) -> Handled {
    let message = Message::from(body);
    let said = traced(&service, &headers).say(&session, &id, &message).map_err(|error| {
        let fits = message.fits(service.endpoint.provider.config().rooms.message_bytes);
        match error.code() == ErrorCode::InvalidParams.as_str() && !fits {
            true => Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, &error),
            false => error.into(),
        }
    })?;
    service.rooms.durable(&id).await?;
    Ok(respond(StatusCode::CREATED, SaidBody::from(said)))
}

/// Streams the events of a room. The caller's session is in the room for as long as the stream is open.
#[utoipa::path(get, path = "/v1/rooms/{id}/events",
    params(("id" = String, Path), EventsQuery,
        ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID"),
        ("Last-Event-ID" = Option<String>, Header, description = "the `id` of the last event that the caller has seen")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "default", body = ErrorBody)))]
pub(super) async fn events(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    headers: HeaderMap,
    uri: Uri,
) -> Handled {
    let EventsQuery { since } = query(&uri)?;
    let last = text(&headers, &LAST_EVENT_ID).filter(|id| !id.is_empty()).map(position);
    let after = last.or_else(|| since.map(|seq| RoomPosition { epoch: None, seq }));
    let events = traced(&service, &headers).events_after(&session, &id, after.as_ref())?;
    Ok(event_stream::response(events))
}

/// Returns the events of a room that has ended, one on each line, by the `cold_context_id` that its last event names.
#[utoipa::path(get, path = "/v1/archive/{id}", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/jsonl", body = String), (status = "default", body = ErrorBody)))]
pub(super) async fn archive(State(service): Service, Caller(session): Caller, RoomId(id): RoomId) -> Handled {
    let events = service.rooms.archive(&session, &id).await?;
    Ok(archive_lines::response(events))
}

/// Returns who takes part in a room.
#[utoipa::path(get, path = "/v1/rooms/{id}/participants", params(("id" = String, Path)),
    responses((status = 200, body = ParticipantsBody), (status = "default", body = ErrorBody)))]
pub(super) async fn participants(State(service): Service, Caller(session): Caller, RoomId(id): RoomId) -> Handled {
    let participants = service.rooms.participants(&session, &id)?.into_iter().map(Into::into).collect();
    Ok(respond(StatusCode::OK, ParticipantsBody { participants }))
}

/// Returns who is there in the caller's project.
#[utoipa::path(get, path = "/v1/presence",
    responses((status = 200, body = PresenceListBody), (status = "default", body = ErrorBody)))]
pub(super) async fn presence(State(service): Service, Caller(session): Caller) -> Handled {
    let participants = service.rooms.presence(&session)?.into_iter().map(Into::into).collect();
    Ok(respond(StatusCode::OK, PresenceListBody { participants }))
}

fn describe(rooms: &Rooms, session: &Session, id: &str) -> Result<RoomBody, Failure> {
    let properties = rooms.describe(session, id)?;
    let unknown = || Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the room cannot be described");
    RoomBody::new(id, properties).ok_or_else(unknown)
}

fn parse_state(text: &str) -> Result<RoomState, Failure> {
    let states = [RoomState::Active, RoomState::Running, RoomState::Ended];
    let known = states.into_iter().find(|state| state.as_str() == text);
    known.ok_or_else(|| Failure::invalid("`state` must be `active`, `running` or `ended`"))
}

/// The event whose `id` this is. One that is none of this room's stands before all events: whoever names it has missed
/// them all, as far as anybody can tell.
fn position(id: &str) -> RoomPosition {
    let parts = id.rsplit_once('-').and_then(|(epoch, seq)| Some((epoch, seq.parse().ok()?)));
    let (epoch, seq) = parts.unwrap_or_default();
    RoomPosition { epoch: Some(epoch.into()), seq }
}
