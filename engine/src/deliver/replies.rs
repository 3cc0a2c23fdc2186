//! The replies that wait for one socket, in order.

use std::collections::VecDeque;

use super::query::PendingQuery;
use super::released::Released;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;

/// A reply that waits.
#[derive(Debug)]
pub(super) enum Reply {
    Text(String),
    /// The result of a call.
    Result {
        text: String,
        /// It goes out when every subscription has what was committed up to this version (contract 1.8, rule 3). What is
        /// committed later does not hold it back.
        version: u64,
        /// It goes out behind the events that were queued up to this one: the events of a call precede its result
        /// (rooms 4).
        event: u64,
    },
    /// A query, answered from the tree at its turn.
    Query(PendingQuery),
    /// The first snapshot of a subscription, made when it is its turn.
    Start(RequestId),
    /// A subscription resumes from its consumer's copy.
    Resume(RequestId),
}

impl Reply {
    /// What it counts against the bound of the outbox, in bytes.
    fn cost(&self) -> usize {
        match self {
            Self::Text(text) | Self::Result { text, .. } => text.len(),
            Self::Query(query) => query.cost(),
            Self::Start(_) | Self::Resume(_) => 0,
        }
    }

    /// The request that waits for a view.
    const fn view_id(&self) -> Option<&RequestId> {
        match self {
            Self::Query(PendingQuery { id, .. }) | Self::Start(id) | Self::Resume(id) => Some(id),
            Self::Text(_) | Self::Result { .. } => None,
        }
    }
}

/// Replies in order, with what they cost.
#[derive(Debug, Default)]
pub(super) struct Replies {
    waiting: VecDeque<Reply>,
    bytes: usize,
}

impl Replies {
    pub(super) fn push(&mut self, reply: Reply) {
        self.bytes += reply.cost();
        self.waiting.push_back(reply);
    }

    pub(super) fn pop(&mut self) -> Option<Reply> {
        let reply = self.waiting.pop_front()?;
        self.bytes -= reply.cost();
        Some(reply)
    }

    pub(super) fn front(&self) -> Option<&Reply> {
        self.waiting.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the result of a call waits.
    pub(super) fn has_result(&self) -> bool {
        self.waiting.iter().any(|reply| matches!(reply, Reply::Result { .. }))
    }

    /// A subscription ends before it began.
    pub(super) fn cancel_start(&mut self, id: &RequestId) {
        self.waiting.retain(|reply| !matches!(reply, Reply::Start(begun) | Reply::Resume(begun) if begun == id));
    }

    /// The session is closed, so there will be no tree: whatever waits for one is answered with an error instead, so that
    /// no consumer waits for ever (contract T25).
    pub(super) fn reject_views(&mut self, reason: CloseReason, released: &mut Released) {
        self.reject(reason, released, |reply| reply.view_id());
    }

    /// Subscriptions that have not begun never will: the same for them alone.
    pub(super) fn reject_starts(&mut self, reason: CloseReason, released: &mut Released) {
        self.reject(reason, released, |reply| reply.view_id().filter(|_| !matches!(reply, Reply::Query(_))));
    }

    fn reject(&mut self, reason: CloseReason, released: &mut Released, id: impl Fn(&Reply) -> Option<&RequestId>) {
        for reply in &mut self.waiting {
            let Some(id) = id(reply) else { continue };
            let error = Reply::Text(encode::error(Some(id), ErrorCode::Internal, reason.message()));
            self.bytes += error.cost();
            let view = std::mem::replace(reply, error);
            self.bytes -= view.cost();
            if let Reply::Query(query) = view {
                released.query(query);
            }
        }
    }
}
