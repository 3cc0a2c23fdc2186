//! Ends access for good.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::closer::Closer;
use crate::clock::Clock;
use crate::config::{Limit, Times};
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::selector::Selector;
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
    clock: Arc<dyn Clock>,
    credential_lifetime: Option<Duration>,
}

impl Revoker {
    pub(crate) fn new(
        table: Arc<Table>,
        revocations: Arc<Revocations>,
        closer: Arc<Closer>,
        observers: Arc<Observers>,
        (clock, times): (Arc<dyn Clock>, &Times),
    ) -> Self {
        let credential_lifetime = times.credential_lifetime;
        Self { table, revocations, closer, observers, clock, credential_lifetime }
    }

    /// Ends all sessions that a revocation means, and keeps them out. Returns how many were open.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        let now = self.clock.wall();
        let until = self.kept_until(revocation, now);
        // Kept out before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        if !self.revocations.add(revocation, until, now) {
            self.observers.warn(&Event::LimitReached { limit: Limit::Revocations, session: Text::default() });
        }
        let slots = self.table.select(revocation.selector());
        let sessions = slots.iter().filter(|slot| self.closer.close(slot, CloseReason::Revoked)).count();
        self.observers.warn(&Event::Revoked { whom: revocation.selector().clone(), sessions });
        sessions
    }

    /// Until when a revocation has to be kept, if anybody knows. What the session showed last does not suffice: it may have
    /// another credential that it has not shown.
    fn kept_until(&self, revocation: &Revocation, now: SystemTime) -> Option<SystemTime> {
        let (None, Selector::Session(id)) = (revocation.kept_until(), revocation.selector()) else {
            return revocation.kept_until();
        };
        let all_ended = now.checked_add(self.credential_lifetime?)?;
        match self.table.get(id) {
            Some(slot) => slot.context().expires_at().map(|shown| shown.max(all_ended)),
            None => Some(all_ended),
        }
    }

    /// Lets whom a revocation kept out come back. False if it kept out nobody.
    pub(crate) fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.revocations.remove(revocation, self.clock.wall())
    }
}
