//! In which rooms a session has a role.

use std::sync::Arc;

use super::handle::Room;
use super::role::Role;
use crate::model::Text;

/// A session's part in one room.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    pub(crate) room: Room,
    pub(crate) role: Role,
    /// Its participant id, if it has joined.
    pub(crate) participant: Option<Text>,
}

/// The rooms in which a session has a role, in order of creation. Replaced as a whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memberships(Arc<[Membership]>);

impl Memberships {
    pub(crate) fn all(&self) -> &[Membership] {
        &self.0
    }

    pub(crate) fn get(&self, room: &str) -> Option<&Membership> {
        self.0.iter().find(|membership| membership.room.id() == room)
    }

    /// These with another membership, in place of the one in the same room.
    pub(crate) fn with(&self, membership: Membership) -> Self {
        let mut all: Vec<_> = self.0.iter().filter(|known| !known.room.is(&membership.room)).cloned().collect();
        let at = all.partition_point(|known| known.room.rank() < membership.room.rank());
        all.insert(at, membership);
        Self(all.into())
    }

    /// These without a room.
    pub(crate) fn without(&self, room: &Room) -> Self {
        Self(self.0.iter().filter(|known| !known.room.is(room)).cloned().collect())
    }
}
