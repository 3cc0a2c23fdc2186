//! Ends access for good.

use std::sync::Arc;

use super::closer::Closer;
use crate::config::Limit;
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
}

impl Revoker {
    pub(crate) fn new(
        table: Arc<Table>,
        revocations: Arc<Revocations>,
        closer: Arc<Closer>,
        rooms: Option<Arc<RoomService>>,
        observers: Arc<Observers>,
    ) -> Self {
        Self { table, revocations, closer, rooms, observers }
    }

    /// Ends all sessions that a revocation means, and keeps them out. Returns how many were open.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        // Kept out before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        if !self.revocations.add(revocation) {
            self.observers.warn(&Event::LimitReached { limit: Limit::Revocations, session: Text::default() });
        }
        let slots = self.table.select(revocation.selector());
        let closed: Vec<_> = slots.into_iter().filter(|slot| self.closer.close(slot, CloseReason::Revoked)).collect();
        self.end_rooms(revocation, &closed);
        let sessions = closed.len();
        self.observers.warn(&Event::Revoked { whom: revocation.selector().clone(), sessions });
        sessions
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

    /// Lets whom a revocation kept out come back. False if it kept out nobody.
    pub(crate) fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.revocations.remove(revocation)
    }
}
