//! Ends access for good.

use std::sync::Arc;

use super::closer::Closer;
use crate::config::Limit;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::revocations::{Revocation, Revocations};
use crate::sessions::table::Table;

/// Revokes sessions, users and attributes.
#[derive(Debug)]
pub(crate) struct Revoker {
    table: Arc<Table>,
    revocations: Arc<Revocations>,
    closer: Arc<Closer>,
    observers: Arc<Observers>,
}

impl Revoker {
    pub(crate) fn new(
        table: Arc<Table>,
        revocations: Arc<Revocations>,
        closer: Arc<Closer>,
        observers: Arc<Observers>,
    ) -> Self {
        Self { table, revocations, closer, observers }
    }

    /// Ends all sessions that a revocation means, and keeps them out. Returns how many were open.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        // Kept out before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        if !self.revocations.add(revocation) {
            self.observers.warn(&Event::LimitReached { limit: Limit::Revocations, session: Text::default() });
        }
        let slots = self.table.select(revocation.selector());
        let sessions = slots.iter().filter(|slot| self.closer.close(slot, CloseReason::Revoked)).count();
        self.observers.warn(&Event::Revoked { whom: revocation.selector().clone(), sessions });
        sessions
    }

    /// Lets whom a revocation kept out come back. False if it kept out nobody.
    pub(crate) fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.revocations.remove(revocation)
    }
}
