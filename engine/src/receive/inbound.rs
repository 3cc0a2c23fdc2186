//! One match over what a consumer can send.

use std::sync::Arc;

use super::calls::{Call, Calls};
use super::greeter::Greeter;
use super::peer::Peer;
use super::queries::Queries;
use super::subscriptions::Subscriptions;
use crate::protocol::code::ErrorCode;
use crate::protocol::message::{Refused, Request};
use crate::protocol::{decode, encode};
use crate::rooms::by_path::RoomPaths;

/// What a peer over its rate is told.
pub(crate) const TOO_MANY: &str = "too many messages: wait a little";

/// Serves what consumers send.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) queries: Arc<Queries>,
    pub(crate) calls: Arc<Calls>,
    /// Absent if there are no rooms.
    pub(crate) rooms: Option<Arc<RoomPaths>>,
}

impl Inbound {
    /// Serves one frame. Of a batch, each message after the first is admitted by itself; if one of them ends the connection,
    /// those behind it are refused. What comes later is not answered any more: nobody can put the close off by asking.
    pub(crate) fn receive(&self, peer: &Peer, text: &str, admit: impl Fn() -> bool) {
        for (at, message) in decode::decode(text).into_iter().enumerate() {
            if at > 0 && !admit() {
                peer.link.reply(encode::refused(&refusal(message, ErrorCode::Busy, TOO_MANY)));
                continue;
            }
            match (peer.link.with_outbox(|outbox, _| outbox.ending()), message) {
                (Some(_), _) if at == 0 => return,
                (Some(reason), message) => {
                    peer.link.reply(encode::refused(&refusal(message, ErrorCode::Internal, reason.message())));
                }
                (None, Ok(request)) => self.dispatch(peer, request),
                (None, Err(refused)) => peer.link.reply(encode::refused(&refused)),
            }
        }
    }

    fn dispatch(&self, peer: &Peer, request: Request) {
        match request {
            // Before the greeting went out it is on its way anyway, and it must come once (contract 1.1).
            Request::Connect if !peer.link.with_outbox(|outbox, _| outbox.has_greeted()) => {}
            Request::Connect => peer.link.reply(self.greeter.hello(&peer.slot, peer.link.number)),
            Request::Subscribe { id, view, position } => self.subscriptions.start(peer, id, view, position.as_ref()),
            Request::Unsubscribe { id } => self.subscriptions.end(peer, &id),
            Request::Query { id, view } => self.queries.start(peer, id, view),
            Request::Invoke { id, path, action, params, trace_id } => {
                self.calls.start(peer, id, Call { path, action, params, trace_id });
            }
        }
    }
}

/// The refusal of a message that is not served, with its id so that nobody waits for ever.
fn refusal(message: Result<Request, Refused>, code: ErrorCode, words: &str) -> Refused {
    let (id, as_result) = match message {
        Ok(Request::Invoke { id, .. }) => (Some(id), true),
        Ok(Request::Subscribe { id, .. } | Request::Unsubscribe { id } | Request::Query { id, .. }) => {
            (Some(id), false)
        }
        Ok(Request::Connect) => (None, false),
        Err(refused) => (refused.id, refused.as_result),
    };
    Refused { id, code, message: words.to_owned(), as_result }
}
