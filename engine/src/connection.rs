//! One consumer, bound to one session for good.

pub(crate) mod outbound;
mod rate;
pub(crate) mod services;
pub(crate) mod connector;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde::Deserialize;
use serde_json::Value;

use rate::Rate;
use services::ConnectionServices;

use crate::config::Limit;
use crate::deliver::frame::Frame;
use crate::error::ActionError;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::receive::inbound::TOO_MANY;
use crate::receive::peer::Peer;
use crate::receive::tabs::TabPeer;
use crate::rooms::agent_links::AgentPeer;
use crate::sessions::quota::ConnectionPermit;
use crate::span;

/// A consumer over any transport: hand in what it sends, ask for what to send. Dropping it ends it.
///
/// The transport calls [`Connection::receive`] for each message and [`Connection::next_frame`] whenever its socket has
/// room. A frame is made only then, so a slow socket costs no queue: it gets one step to the newest state.
#[derive(Debug)]
pub struct Connection {
    services: Arc<ConnectionServices>,
    peer: Peer,
    /// Set if the peer is no consumer.
    provides: Option<Box<ProvidingPeer>>,
    rate: Option<Box<Rate>>,
    /// Present until it is dropped.
    permit: Option<ConnectionPermit>,
}

/// A peer that is no consumer.
#[derive(Debug)]
enum ProvidingPeer {
    /// A browser tab.
    Tab(TabPeer),
    /// An agent elsewhere.
    Agent(Box<AgentPeer>),
}

/// A peer that sends this many messages over its rate does so on purpose.
const STRIKES: u32 = 2_000;

/// A frame over the rate is looked at for its id only if it is not longer.
const PEEK_BYTES: usize = 4 << 10;

impl Connection {
    fn new(
        services: Arc<ConnectionServices>,
        peer: Peer,
        provides: Option<ProvidingPeer>,
        permit: ConnectionPermit,
    ) -> Self {
        let clock = || Arc::clone(services.timers.clock());
        let rate = services.messages_per_second().map(|rate| Box::new(Rate::new(rate, clock())));
        Self { services, peer, provides: provides.map(Box::new), rate, permit: Some(permit) }
    }

    /// The largest message that this peer may send, in bytes; the transport need not read on beyond it.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        match self.provides.as_deref() {
            Some(ProvidingPeer::Agent(agent)) => agent.max_message_bytes(),
            other => self.services.config.message_limit(other.is_some()),
        }
    }

    /// Whether the next message may be read and handed to [`Connection::receive`]; if not, the task is woken when that may have
    /// changed. A transport that asks slows an agent elsewhere down to what can be written of what it streams into a room that
    /// is kept, instead of having its run fail with `busy`; others are always ready. It takes no longer than
    /// `rooms.durable_timeout`. What is sent to the peer does not wait for it.
    pub fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        match self.provides.as_deref() {
            Some(ProvidingPeer::Agent(agent)) => agent.poll_ready(context),
            _ => Poll::Ready(()),
        }
    }

    /// Takes one text frame. Never blocks and never fails: what is wrong with it is answered (contract 1.9).
    pub fn receive(&self, text: &str) {
        self.heard();
        if text.len() > self.max_message_bytes() {
            self.oversized();
        } else {
            match self.provides.as_deref() {
                // What it streams is bounded where it goes.
                Some(ProvidingPeer::Agent(agent)) => agent.receive(text),
                Some(ProvidingPeer::Tab(tab)) if self.within_rate(text) => tab.receive(text),
                None if self.within_rate(text) => {
                    self.services.inbound.receive(&self.peer, text, || self.admit());
                }
                _ => {}
            }
        }
        self.end_abuse();
    }

    /// Takes one binary frame, which must hold UTF-8 JSON (contract 1.9).
    pub fn receive_binary(&self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.receive(text),
            Err(_) => {
                self.heard();
                let words = "a binary frame must hold UTF-8 text";
                if let Some(ProvidingPeer::Agent(agent)) = self.provides.as_deref() {
                    agent.malformed(words);
                } else if self.within_rate("") {
                    self.peer.link.reply(encode::error(None, ErrorCode::BadRequest, words));
                }
                self.end_abuse();
            }
        }
    }

    /// The peer sent a frame over the limit. The connection ends.
    pub fn oversized(&self) {
        let is_agent = matches!(self.provides.as_deref(), Some(ProvidingPeer::Agent(_)));
        let limit = if is_agent { Limit::LinkMessageBytes } else { Limit::MessageBytes };
        self.services.limit_reached(limit, &self.peer.slot);
        self.peer.link.end(CloseReason::MessageTooLarge);
    }

    /// The peer sends control frames faster than the transport allows. The connection ends.
    pub fn flooded(&self) {
        self.peer.link.end(CloseReason::ControlFlood);
    }

    /// Something arrived, if only an answer to a ping: the peer lives.
    pub fn heard(&self) {
        let is_awaited = self.peer.link.heard(self.services.timers.now_ms());
        if let Some(rooms) = self.services.rooms.as_ref().filter(|_| is_awaited) {
            rooms.came_back(&self.peer.slot);
        }
    }

    /// The peer closed the connection of its own accord, which its transport says by calling this before it drops the
    /// connection: a WebSocket with a close frame that has code 1000 or 1001, or none. So the session leaves the rooms that
    /// it has joined at once, if this is its last connection. Without it the peer may have lost its connection, and has a
    /// while to come back (rooms 5).
    pub fn closed(&self) {
        self.peer.link.leave_cleanly();
    }

    /// Counts one message of a peer with which an adapter speaks in its own way; false if it is over
    /// `limits.messages_per_second`, which the adapter answers with `busy`. A peer that continues is closed.
    #[must_use]
    pub fn admits_message(&self) -> bool {
        let is_admitted = self.admit();
        self.end_abuse();
        is_admitted
    }

    fn within_rate(&self, text: &str) -> bool {
        self.admit() || {
            self.peer.link.reply(over_rate(text));
            false
        }
    }

    /// Counts one message against the rate.
    fn admit(&self) -> bool {
        let Some(rate) = self.rate.as_deref() else { return true };
        let link = &self.peer.link;
        if rate.admits() {
            link.forgive();
            return true;
        }
        if link.strike() == 1 {
            self.services.limit_reached(Limit::MessagesPerSecond, &self.peer.slot);
        }
        false
    }

    /// Closes a peer that keeps sending over its rate, when all that it sent is answered.
    fn end_abuse(&self) {
        if self.peer.link.strikes() >= STRIKES {
            self.peer.link.end(CloseReason::Abuse);
        }
    }

    /// Waits for the next thing to send. May be dropped and called again at any time: nothing is lost. One task at a time
    /// may wait.
    pub async fn next_frame(&self) -> Frame {
        poll_fn(|context| self.poll_next_frame(context)).await
    }

    /// The next thing to send; if there is none, the task is woken when that may have changed.
    pub fn poll_next_frame(&self, context: &mut Context<'_>) -> Poll<Frame> {
        // It waits before it looks, so that nothing is missed.
        self.peer.link.wait(context.waker());
        self.try_next_frame().map_or(Poll::Pending, Poll::Ready)
    }

    /// The next thing to send, if there is one now. To ask for it says that the socket has taken the one before.
    pub fn try_next_frame(&self) -> Option<Frame> {
        self.peer.link.writing(None);
        self.try_frame_behind()
    }

    /// The next thing to send together with the one before, if there is one now: whether the socket takes them is not known
    /// yet.
    pub fn try_frame_behind(&self) -> Option<Frame> {
        self.services.outbound.next_frame(&self.peer)
    }

    /// Ends when the peer is dead or takes nothing: then the socket is to be dropped at once. To be awaited by the task that
    /// awaits [`Connection::next_frame`], and no other.
    pub async fn aborted(&self) {
        poll_fn(|context| self.poll_aborted(context)).await;
    }

    /// Whether the peer is dead or takes nothing; if not, the task is woken when that may have changed. A task that
    /// waits for its socket, and so does not ask for the next frame, learns of it by this alone.
    pub fn poll_aborted(&self, context: &mut Context<'_>) -> Poll<()> {
        self.peer.link.wait(context.waker());
        if self.is_aborted() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the peer is dead or takes nothing: then the socket is to be dropped at once.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.peer.link.is_aborted()
    }

    /// The `tracing` span to serve this connection in: `connection`, at level debug, with session, user and number.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        span::connection(&self.peer.slot, self.peer.link.number)
    }

    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn services(&self) -> &ConnectionServices {
        &self.services
    }

    /// The number that events call this connection by.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.peer.link.number
    }
}

/// The answer to a frame over the rate: with the id if it can be found cheaply, so that the peer need not wait for ever.
fn over_rate(text: &str) -> String {
    #[derive(Deserialize)]
    struct Peek {
        id: Option<Value>,
        r#type: Option<Value>,
    }
    let peek = (text.len() <= PEEK_BYTES).then(|| serde_json::from_str::<Peek>(text).ok()).flatten();
    let Some(Peek { id, r#type: kind }) = peek else { return encode::error(None, ErrorCode::Busy, TOO_MANY) };
    let id = id.as_ref().and_then(RequestId::from_value);
    match (&id, kind.as_ref().and_then(Value::as_str)) {
        (Some(id), Some("invoke")) => encode::failed(id, &ActionError::new(ErrorCode::Busy, TOO_MANY)),
        (id, _) => encode::error(id.as_ref(), ErrorCode::Busy, TOO_MANY),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        match self.provides.as_deref() {
            Some(ProvidingPeer::Tab(tab)) => tab.close(),
            Some(ProvidingPeer::Agent(agent)) => agent.close(),
            None => {}
        }
        self.services.detach(&self.peer);
        // Counted last: whoever waits until it is gone finds nothing of it.
        drop(self.permit.take());
        self.services.report_end(&self.peer);
    }
}
