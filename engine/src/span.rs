//! Spans for `tracing`: to which connection, call or pass a line of the log belongs.
//!
//! They name who it is by session, user and number of the connection, and what is done by path and action: never a
//! credential, a claim, a parameter or content (SEC31). Nothing is looked up unless somebody listens at level debug.

use tracing::{Level, Span, debug_span, span_enabled};

use crate::model::Text;
use crate::sessions::slot::Slot;

/// No more of what a peer sent stands in a span.
const MAX_BYTES: usize = 256;

/// Where a connection is served.
pub(crate) fn connection(slot: &Slot, connection: u64) -> Span {
    if !span_enabled!(target: "grove", Level::DEBUG) {
        return Span::none();
    }
    let context = slot.context();
    let user = context.user().map(Text::as_str);
    debug_span!(target: "grove", "connection", session = context.id().as_str(), user, connection)
}

/// Where a call is looked up, runs and is answered, its refresh included.
pub(crate) fn invoke(slot: &Slot, connection: u64, path: &str, action: &str) -> Span {
    if !span_enabled!(target: "grove", Level::DEBUG) {
        return Span::none();
    }
    let context = slot.context();
    let user = context.user().map(Text::as_str);
    let (session, path, action) = (context.id().as_str(), clipped(path), clipped(action));
    debug_span!(target: "grove", "invoke", session, user, connection, path, action)
}

/// Where a pass evaluates and commits, with its number and that of its sessions.
pub(crate) fn pass(pass: u64, sessions: usize) -> Span {
    debug_span!(target: "grove", "pass", pass, sessions)
}

/// Where a pass works on one session.
pub(crate) fn render(slot: &Slot) -> Span {
    if !span_enabled!(target: "grove", Level::DEBUG) {
        return Span::none();
    }
    let context = slot.context();
    let user = context.user().map(Text::as_str);
    debug_span!(target: "grove", "render", session = context.id().as_str(), user)
}

fn clipped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}
