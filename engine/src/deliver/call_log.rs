//! The calls of one connection: which run, and which ids were used up.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::link::CallKind;
use crate::config::Config;
use crate::protocol::message::RequestId;

/// CallLog that run, and the ids of those that were made. Nothing is held for a connection that never calls.
#[derive(Debug, Default)]
pub(crate) struct CallLog(Option<Box<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    running: Vec<(RequestId, CallKind)>,
    /// Hashes of the ids of invokes, the oldest first. A seed of its own for each connection, so that nobody can choose ids
    /// that another's collide with.
    used: VecDeque<u64>,
    seed: RandomState,
}

/// Why a call does not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRejected {
    /// As many run as may.
    TooMany,
    /// The provider shuts down, and the turn of this connection has come.
    Leaving,
    /// An invoke with this id was made before: a frame that is sent twice must not act twice (SEC32).
    Repeated,
}

impl CallLog {
    /// Begins a call.
    pub(crate) fn begin(&mut self, id: &RequestId, kind: CallKind, config: &Config) -> Result<(), CallRejected> {
        let made = self.0.get_or_insert_default();
        if made.running.len() >= config.limits.calls_per_connection {
            return Err(CallRejected::TooMany);
        }
        if kind == CallKind::Invoke {
            made.record_id(id, config.limits.call_ids_per_connection)?;
        }
        made.running.push((id.clone(), kind));
        Ok(())
    }

    /// Ends a call; false if it was answered by somebody else already.
    pub(crate) fn end(&mut self, id: &RequestId, kind: CallKind) -> bool {
        let Some(made) = &mut self.0 else { return false };
        let at = made.running.iter().position(|(known, what)| known == id && *what == kind);
        let ended = at.map(|at| made.running.swap_remove(at)).is_some();
        if made.running.is_empty() && made.used.is_empty() {
            self.0 = None;
        }
        ended
    }

    /// Takes all calls that run, to be answered in their place.
    pub(crate) fn take(&mut self) -> Vec<(RequestId, CallKind)> {
        self.0.as_mut().map(|made| std::mem::take(&mut made.running)).unwrap_or_default()
    }

    pub(crate) fn are_running(&self) -> bool {
        self.0.as_ref().is_some_and(|made| !made.running.is_empty())
    }
}

impl Entries {
    /// Uses an id for an invoke, unless it was used before. Of the used ids the latest `max` are remembered, and those of
    /// calls that run.
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
