//! The events of a room as server-sent events (rooms 7).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use grove_engine::{Clock, EventKind, ReceivedEvent, RoomEvents, Sleep, Text};

/// How often a comment shows proxies that the stream is alive.
const COMMENT_INTERVAL_MS: u64 = 15_000;

/// A line that readers skip.
const COMMENT: &[u8] = b":\n\n";

/// Tells nginx not to collect events before it sends them.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The kinds of events that are the last of a run.
const ENDS_OF_RUNS: [EventKind; 4] =
    [EventKind::RunDone, EventKind::RunFailed, EventKind::RunCancelled, EventKind::RunTimedOut];

/// The stream that one response sends. The session is in the room for as long as it exists: the server drops it when the
/// client is gone. What the client does not read waits with the room, within its limit.
struct EventStream {
    events: RoomEvents,
    /// The only run of which it tells, until that ends.
    run: Option<OneRun>,
    clock: Arc<dyn Clock>,
    until_comment: Sleep,
}

/// The response with these events. It ends with the room, or with the session's access.
pub(super) fn response(events: RoomEvents) -> Response {
    stream(EventStream::new(events, None))
}

/// One run, and whether it is over, as far as is known here and in the room.
struct OneRun {
    id: Text,
    has_ended: bool,
    is_over: Box<dyn Fn() -> bool + Send>,
}

/// The response with the events of one run. It ends with the run, whose last event may have been dropped, or sent before:
/// `is_over` says whether it has ended.
pub(super) fn of_run(events: RoomEvents, id: Text, is_over: impl Fn() -> bool + Send + 'static) -> Response {
    stream(EventStream::new(events, Some(OneRun { id, has_ended: false, is_over: Box::new(is_over) })))
}

fn stream(events: EventStream) -> Response {
    let body = Body::from_stream(events);
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), UNBUFFERED];
    (headers, body).into_response()
}

impl EventStream {
    fn new(events: RoomEvents, run: Option<OneRun>) -> Self {
        let clock = events.clock();
        Self { events, run, until_comment: interval(&*clock), clock }
    }

    /// The next event of which it tells.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<ReceivedEvent>> {
        let Self { events, run, .. } = self;
        let Some(run) = run else { return events.poll_next(context) };
        if run.has_ended {
            return Poll::Ready(None);
        }
        loop {
            let next = match events.poll_next(context) {
                // It may have ended meanwhile, and then its last event waits.
                Poll::Pending if (run.is_over)() => match events.poll_next(context) {
                    Poll::Pending => return Poll::Ready(None),
                    ready @ Poll::Ready(_) => ready,
                },
                next => next,
            };
            let Some(event) = ready!(next) else { return Poll::Ready(None) };
            if event.data["body"]["run"] == run.id.as_str() {
                run.has_ended = ENDS_OF_RUNS.iter().any(|kind| event.kind == kind.as_str());
                return Poll::Ready(Some(event));
            }
        }
    }

    fn poll_comment(&mut self, context: &mut Context<'_>) -> Poll<()> {
        ready!(self.until_comment.as_mut().poll(context));
        self.until_comment = interval(&*self.clock);
        Poll::Ready(())
    }
}

fn interval(clock: &dyn Clock) -> Sleep {
    clock.sleep_until(clock.now_ms().saturating_add(COMMENT_INTERVAL_MS))
}

impl Stream for EventStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.poll_comment(context).is_ready() {
            return Poll::Ready(Some(Ok(Bytes::from_static(COMMENT))));
        }
        let event = ready!(self.poll_event(context));
        Poll::Ready(event.map(|event| Ok(encode(&event).into())))
    }
}

/// The text of an event. JSON has no line breaks outside of strings, and none as such inside of them.
fn encode(event: &ReceivedEvent) -> String {
    let ReceivedEvent { kind, data, seq, .. } = event;
    let id = seq.map(|seq| format!("id: {}-{seq}\n", data["epoch"].as_str().unwrap_or_default()));
    format!("{}event: {kind}\ndata: {data}\n\n", id.unwrap_or_default())
}
