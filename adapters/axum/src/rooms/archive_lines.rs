//! The events of an archive as JSON lines (rooms 7).

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use grove_engine::{ActionError, ArchivedEvents};

/// The response with these events. It breaks off if they cannot be read to the end, so that nobody takes a part for the whole.
pub(super) fn response(events: ArchivedEvents) -> Response {
    let lines = stream::try_unfold(events, |mut events| async move {
        let event = events.next().await?;
        Ok::<_, ActionError>(event.map(|event| (line(&event), events)))
    });
    let headers = [(CONTENT_TYPE, "application/jsonl"), (CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(lines)).into_response()
}

fn line(event: &str) -> Bytes {
    // JSON has no line breaks outside of strings, and none as such inside of them.
    format!("{event}\n").into()
}
