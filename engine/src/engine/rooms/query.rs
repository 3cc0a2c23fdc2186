//! Which rooms of a session are asked for.

use crate::model::Text;
use crate::model::room::handle::Room;
use crate::model::room::record::RoomState;

/// Which of the rooms in which a session has a role are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomQuery {
    /// Only those in this state.
    pub state: Option<RoomState>,
    /// Only those that this user created.
    pub owner: Option<Text>,
    /// At most so many; 50 if it is not said, and never more than 200.
    pub limit: Option<usize>,
    /// Only those that were created after the room with this id.
    pub after: Option<Text>,
}

/// Some rooms, in order of creation.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RoomPage {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// For [`RoomQuery::after`], if there may be more.
    pub next: Option<Text>,
}

/// How many rooms are listed if it is not said.
const SOME: usize = 50;

/// How many rooms are listed at most.
const MOST: usize = 200;

impl RoomQuery {
    /// The page of these rooms, which are in order of creation.
    pub(super) fn page(&self, rooms: impl Iterator<Item = Room>, after: Option<u64>) -> RoomPage {
        let limit = self.limit.unwrap_or(SOME).clamp(1, MOST);
        let wanted = |room: &Room| {
            after.is_none_or(|after| room.rank() > after)
                && self.state.is_none_or(|state| room.state() == state)
                && self.owner.as_ref().is_none_or(|owner| room.owner() == owner)
        };
        let mut rooms: Vec<_> = rooms.filter(wanted).take(limit + 1).collect();
        let is_more = rooms.len() > limit;
        rooms.truncate(limit);
        let next = rooms.last().filter(|_| is_more).map(|room| room.id().clone());
        RoomPage { rooms, next }
    }
}
