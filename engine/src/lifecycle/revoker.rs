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
use crate::rooms::service::RoomService;
use crate::sessions::revocations::{Revocation, Revocations};
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// Revokes sessions, users and attributes.
#[derive(Debug)]
pub(crate) struct Revoker {
    table: Arc<Table>,
    revocations: Arc<Revocations>,
    closer: Arc<Closer>,
    rooms: Option<Arc<RoomService>>,
    observers: Arc<Observers>,
    clock: Arc<dyn Clock>,
    credential_lifetime: Option<Duration>,
}

impl Revoker {
    pub(crate) fn new(
        table: Arc<Table>,
        revocations: Arc<Revocations>,
        closer: Arc<Closer>,
        rooms: Option<Arc<RoomService>>,
        observers: Arc<Observers>,
        (clock, times): (Arc<dyn Clock>, &Times),
    ) -> Self {
        let credential_lifetime = times.credential_lifetime;
        Self { table, revocations, closer, rooms, observers, clock, credential_lifetime }
    }

    /// Ends all sessions that a revocation means, and keeps them out until its end. Returns how many were open.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        let closed = self.close(revocation);
        self.end_rooms(revocation, &closed);
        closed.len()
    }

    /// The same for what was decided elsewhere. If it means one session, rooms stay: its user may have another one where it
    /// was decided, which nobody here can tell.
    pub(crate) fn follow(&self, revocation: &Revocation) {
        let closed = self.close(revocation);
        if !matches!(revocation.selector(), Selector::Session(_)) {
            self.end_rooms(revocation, &closed);
        }
    }

    fn close(&self, revocation: &Revocation) -> Vec<Arc<Slot>> {
        let (now, until) = (self.clock.wall(), revocation.kept_until());
        // Kept out before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        if !self.revocations.add(revocation, until, now) {
            self.observers.warn(&Event::LimitReached { limit: Limit::Revocations, session: Text::default() });
        }
        let slots = self.table.select(revocation.selector());
        let closed: Vec<_> = slots.into_iter().filter(|slot| self.closer.close(slot, CloseReason::Revoked)).collect();
        self.observers.warn(&Event::Revoked { whom: revocation.selector().clone(), sessions: closed.len() });
        closed
    }

    /// The rooms of users end whose last session was revoked.
    fn end_rooms(&self, revocation: &Revocation, closed: &[Arc<Slot>]) {
        let Some(rooms) = &self.rooms else { return };
        if let Selector::User(user) = revocation.selector() {
            return rooms.owner_revoked(None, user);
        }
        for context in closed.iter().map(|slot| slot.context()) {
            let Some(user) = context.user() else { continue };
            let is_same_project = |slot: &Arc<Slot>| slot.context().project() == context.project();
            if !self.table.of_user(user).iter().any(is_same_project) {
                rooms.owner_revoked(Some(context.project().map_or("", Text::as_str)), user);
            }
        }
    }

    /// Until when a revocation has to be kept, if anybody knows. What the session showed last does not suffice: it may have
    /// another credential that it has not shown.
    pub(crate) fn kept_until(&self, revocation: &Revocation) -> Option<SystemTime> {
        let (None, Selector::Session(id)) = (revocation.kept_until(), revocation.selector()) else {
            return revocation.kept_until();
        };
        let all_ended = self.clock.wall().checked_add(self.credential_lifetime?)?;
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
