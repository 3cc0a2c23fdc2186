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

impl Membership {
    pub(crate) fn is_joined(&self) -> bool {
        self.participant.is_some()
    }
}

/// Whether a tree rendered for one would be the same for the other: what a participant is called is in the room.
impl PartialEq for Membership {
    fn eq(&self, other: &Self) -> bool {
        self.room.is(&other.room) && self.role == other.role && self.is_joined() == other.is_joined()
    }
}

impl Eq for Membership {}

/// The rooms in which a session has a role, in order of creation. Replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Memberships(Arc<[Membership]>);

impl Memberships {
    pub(crate) fn all(&self) -> &[Membership] {
        &self.0
    }

    pub(crate) fn get(&self, room: &str) -> Option<&Membership> {
        self.0.iter().find(|membership| membership.room.id() == room)
    }

    /// That in the room which was created at this place in the order.
    pub(crate) fn at(&self, rank: u64) -> Option<&Membership> {
        let at = self.0.binary_search_by_key(&rank, |membership| membership.room.rank()).ok()?;
        Some(&self.0[at])
    }

    /// That in a room.
    pub(crate) fn of(&self, room: &Room) -> Option<&Membership> {
        self.at(room.rank()).filter(|membership| membership.room.is(room))
    }

    /// These with another membership, in place of the one in the same room.
    pub(crate) fn with(&self, membership: Membership) -> Self {
        let mut all: Vec<_> = self.0.iter().filter(|known| !known.room.is(&membership.room)).cloned().collect();
        let at = all.partition_point(|known| known.room.rank() < membership.room.rank());
        all.insert(at, membership);
        Self(all.into())
    }

    /// These with others, of which none is in the same room.
    pub(crate) fn with_all(&self, others: &[Membership]) -> Self {
        let mut all = [self.all(), others].concat();
        all.sort_by_key(|membership| membership.room.rank());
        Self(all.into())
    }

    /// These without a room.
    pub(crate) fn without(&self, room: &Room) -> Self {
        Self(self.0.iter().filter(|known| !known.room.is(room)).cloned().collect())
    }
}
