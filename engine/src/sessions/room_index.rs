//! Which sessions see a room, and which of them have joined it.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::slot_set::SlotSet;
use crate::model::Text;
use crate::model::room::memberships::{Membership, Memberships};

/// By a room's id. Rooms that nobody sees are not in it.
#[derive(Debug, Default)]
pub(super) struct RoomIndex(HashMap<Text, Viewers>);

/// Who sees a room.
#[derive(Debug)]
struct Viewers {
    all: SlotSet,
    joined: Option<SlotSet>,
}

impl RoomIndex {
    /// Those with a role in a room.
    pub(super) fn viewers(&self, room: &str) -> Option<&SlotSet> {
        self.0.get(room).map(|viewers| &viewers.all)
    }

    pub(super) fn joined(&self, room: &str) -> Option<&SlotSet> {
        self.0.get(room)?.joined.as_ref()
    }

    /// A session has this part in rooms from now on, in place of the one before. What is the same in both costs nothing.
    pub(super) fn replace(&mut self, key: u32, before: Option<&Memberships>, after: Option<&Memberships>) {
        let all = |memberships: Option<&Memberships>| memberships.cloned().unwrap_or_default();
        let (before, after) = (all(before), all(after));
        let has = |memberships: &Memberships, wanted: &Membership| memberships.of(&wanted.room) == Some(wanted);
        for gone in before.all().iter().filter(|membership| !has(&after, membership)) {
            self.remove(key, gone);
            // A room may have got the id of one that is being removed.
            if let Some(kept) = after.get(gone.room.id()).filter(|kept| has(&before, kept)) {
                self.add(key, kept);
            }
        }
        for new in after.all().iter().filter(|membership| !has(&before, membership)) {
            self.add(key, new);
        }
    }

    fn add(&mut self, key: u32, membership: &Membership) {
        let viewers = self.0.entry(membership.room.id().clone());
        let viewers = viewers
            .and_modify(|viewers| viewers.all.add(key))
            .or_insert_with(|| Viewers { all: SlotSet::One(key), joined: None });
        if membership.is_joined() {
            match &mut viewers.joined {
                Some(joined) => joined.add(key),
                None => viewers.joined = Some(SlotSet::One(key)),
            }
        }
    }

    fn remove(&mut self, key: u32, membership: &Membership) {
        let Entry::Occupied(mut known) = self.0.entry(membership.room.id().clone()) else { return };
        let viewers = known.get_mut();
        viewers.joined.take_if(|joined| joined.remove(key));
        if viewers.all.remove(key) {
            known.remove();
        }
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}
