//! The calls of one connection: which run, and which ids were used.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::config::Limits;
use crate::error::ActionError;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;

/// What kind of request runs, and therefore what kind of message answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    Query,
    Invoke,
}

impl CallKind {
    /// The reply to a request that cannot be served because its connection ends.
    fn rejection(self, id: &RequestId, reason: CloseReason) -> String {
        match self {
            Self::Query => encode::error(Some(id), ErrorCode::Internal, reason.message()),
            Self::Invoke => encode::failed(id, &ActionError::internal(reason.message())),
        }
    }
}

/// Why a call does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRejected {
    /// As many run as may.
    TooMany,
    /// The connection is about to close.
    Closing(CloseReason),
    /// An invoke with this id was made before: a frame that is sent twice must not act twice (SEC32).
    Repeated,
}

/// Calls that run, and the ids of those that were made. Nothing is held for a connection that never calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    entries: Option<Box<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Why no call begins any more.
    closed: Option<CloseReason>,
    running: Vec<(RequestId, CallKind)>,
    /// Hashes of the ids of invokes, the oldest first. A seed of its own for each connection, so that nobody can choose ids
    /// that another's collide with.
    used: VecDeque<u64>,
    seed: RandomState,
}

impl CallLog {
    /// Begins a call.
    pub(crate) fn begin(&mut self, id: &RequestId, kind: CallKind, limits: &Limits) -> Result<(), CallRejected> {
        let entries = self.entries.get_or_insert_default();
        if let Some(reason) = entries.closed {
            return Err(CallRejected::Closing(reason));
        }
        if entries.running.len() >= limits.calls_per_connection {
            return Err(CallRejected::TooMany);
        }
        if kind == CallKind::Invoke {
            entries.record_id(id, limits.call_ids_per_connection)?;
        }
        entries.running.push((id.clone(), kind));
        Ok(())
    }

    /// Ends a call; false if it was answered already.
    pub(crate) fn end(&mut self, id: &RequestId, kind: CallKind) -> bool {
        let Some(entries) = &mut self.entries else { return false };
        let at = entries.running.iter().position(|(known, what)| known == id && *what == kind);
        let ended = at.map(|at| entries.running.swap_remove(at)).is_some();
        if entries.running.is_empty() && entries.used.is_empty() && entries.closed.is_none() {
            self.entries = None;
        }
        ended
    }

    /// Lets no call begin any more; those that run may still end.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.entries.get_or_insert_default().closed.get_or_insert(reason);
    }

    /// Lets no call begin any more, and ends all that run. Returns what their consumers are told.
    pub(crate) fn reject(&mut self, reason: CloseReason) -> Vec<String> {
        self.close(reason);
        let running = self.entries.as_mut().map(|entries| std::mem::take(&mut entries.running)).unwrap_or_default();
        running.into_iter().map(|(id, kind)| kind.rejection(&id, reason)).collect()
    }

    pub(crate) fn has_running(&self) -> bool {
        self.entries.as_ref().is_some_and(|entries| !entries.running.is_empty())
    }
}

impl Entries {
    /// Records the id of an invoke, unless it was used before. Of the used ids the latest `max` are remembered, and those
    /// of calls that run.
    fn record_id(&mut self, id: &RequestId, max: usize) -> Result<(), CallRejected> {
        let hash = self.seed.hash_one(id.text());
        let runs = self.running.iter().any(|(known, what)| known == id && *what == CallKind::Invoke);
        if runs || self.used.contains(&hash) {
            return Err(CallRejected::Repeated);
        }
        self.used.push_back(hash);
        while self.used.len() > max {
            self.used.pop_front();
        }
        Ok(())
    }
}
