//! One function per route about runs.

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use grove_engine::{ErrorCode, NewRun};

use super::bodies::ErrorBody;
use super::caller::Caller;
use super::event_stream;
use super::failure::Failure;
use super::json_body::JsonBody;
use super::request::{Service, TRACE_ID, text};
use super::response::{Handled, respond};
use super::room_id::RoomId;
use super::run_bodies::{AcceptedBody, InputBody, OneRunBody, StartedBody};
use super::run_id::RunId;

const EVENT_STREAM: &str = "text/event-stream";

/// Starts a run of the room's agent. The caller need not have joined. With `Accept: text/event-stream`, the response is the
/// run's events until its end; the caller's session is in the room meanwhile.
#[utoipa::path(post, path = "/v1/rooms/{id}/runs", request_body = ref("#/components/schemas/NewRun"),
    params(("id" = String, Path), ("Trace-Id" = Option<String>, Header, description = "`tx-` and a UUID")),
    responses((status = 202, body = StartedBody), (status = 200, content_type = "text/event-stream", body = String),
        (status = "default", body = ErrorBody)))]
pub(super) async fn start_run(
    State(service): Service,
    Caller(session): Caller,
    RoomId(id): RoomId,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewRun>,
) -> Handled {
    let new = text(&headers, &TRACE_ID).map(str::to_owned).into_iter().fold(new, NewRun::trace_id);
    let streams = text(&headers, &ACCEPT).is_some_and(|accept| accept.contains(EVENT_STREAM));
    // Before the run begins, so that nothing of it is missed.
    let events = streams.then(|| service.rooms.events(&session, &id)).transpose()?;
    let run = service.rooms.run(&session, &id, &new).map_err(|error| {
        let fits = new.fits(service.endpoint.provider.config().runs.value_bytes);
        match error.code() == ErrorCode::InvalidParams.as_str() && !fits {
            true => Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, &error),
            false => error.into(),
        }
    })?;
    service.rooms.durable(&id).await?;
    Ok(match events {
        Some(events) => {
            let (rooms, of) = (service.rooms.clone(), run.clone());
            let is_over = move || rooms.run_of(&session, &id, &of).is_ok_and(|run| run.status.is_ended());
            event_stream::of_run(events, run, is_over)
        }
        None => respond(StatusCode::ACCEPTED, StartedBody { run: run.into() }),
    })
}

/// Returns a run, with its result.
#[utoipa::path(get, path = "/v1/rooms/{id}/runs/{run}", params(("id" = String, Path), ("run" = String, Path)),
    responses((status = 200, body = OneRunBody), (status = "default", body = ErrorBody)))]
pub(super) async fn show_run(State(service): Service, Caller(session): Caller, RunId { room, run }: RunId) -> Handled {
    let run = service.rooms.run_of(&session, &room, &run)?.into();
    Ok(respond(StatusCode::OK, OneRunBody { run }))
}

/// Cancels a run; only the user who started it may, or the owner of the room.
#[utoipa::path(delete, path = "/v1/rooms/{id}/runs/{run}", params(("id" = String, Path), ("run" = String, Path)),
    responses((status = 202, body = AcceptedBody), (status = "default", body = ErrorBody)))]
pub(super) async fn cancel_run(
    State(service): Service,
    Caller(session): Caller,
    RunId { room, run }: RunId,
) -> Handled {
    service.rooms.cancel_run(&session, &room, run)?;
    service.rooms.durable(&room).await?;
    Ok(respond(StatusCode::ACCEPTED, AcceptedBody {}))
}

/// Sends an input to a run.
#[utoipa::path(post, path = "/v1/rooms/{id}/runs/{run}/input", request_body = InputBody,
    params(("id" = String, Path), ("run" = String, Path)),
    responses((status = 202, body = AcceptedBody), (status = "default", body = ErrorBody)))]
pub(super) async fn send_input(
    State(service): Service,
    Caller(session): Caller,
    RunId { room, run }: RunId,
    JsonBody(InputBody { data }): JsonBody<InputBody>,
) -> Handled {
    service.rooms.send_input(&session, &room, run, data)?;
    service.rooms.durable(&room).await?;
    Ok(respond(StatusCode::ACCEPTED, AcceptedBody {}))
}
