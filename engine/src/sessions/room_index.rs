//! Which sessions see a room, and which of them have joined it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::slot_set::SlotSet;
use crate::model::room::handle::Room;
use crate::model::room::memberships::{Membership, Memberships};

/// By a room's id. Rooms that nobody sees are not in it.
#[derive(Debug, Default)]
pub(super) struct RoomIndex {
    rooms: HashTable<Viewers>,
    hasher: DefaultHashBuilder,
}

/// Who sees a room.
#[derive(Debug)]
struct Viewers {
    /// A room with the id, which may have been another one's before.
    room: Room,
    all: SlotSet,
    joined: Option<SlotSet>,
}

impl RoomIndex {
    /// Those with a role in a room.
    pub(super) fn viewers(&self, room: &str) -> Option<&SlotSet> {
        self.get(room).map(|viewers| &viewers.all)
    }

    pub(super) fn joined(&self, room: &str) -> Option<&SlotSet> {
        self.get(room)?.joined.as_ref()
    }

    fn get(&self, room: &str) -> Option<&Viewers> {
        self.rooms.find(self.hasher.hash_one(room), |viewers| viewers.room.id() == room)
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
        let (room, hasher) = (&membership.room, &self.hasher);
        let has_id = |viewers: &Viewers| viewers.room.id() == room.id();
        let hash = |viewers: &Viewers| hasher.hash_one(viewers.room.id().as_str());
        let known = self.rooms.entry(hasher.hash_one(room.id().as_str()), has_id, hash);
        let mut known = known.and_modify(|viewers| viewers.all.add(key)).or_insert_with(|| Viewers {
            room: room.clone(),
            all: SlotSet::one(key),
            joined: None,
        });
        let viewers = known.get_mut();
        if membership.is_joined() {
            match &mut viewers.joined {
                Some(joined) => joined.add(key),
                None => viewers.joined = Some(SlotSet::one(key)),
            }
        }
    }

    fn remove(&mut self, key: u32, membership: &Membership) {
        let id = membership.room.id();
        let hash = self.hasher.hash_one(id.as_str());
        let Ok(mut known) = self.rooms.find_entry(hash, |viewers| viewers.room.id() == id) else { return };
        let viewers = known.get_mut();
        viewers.joined.take_if(|joined| joined.remove(key));
        if viewers.all.remove(key) {
            known.remove();
            self.shrink();
        }
    }

    /// Gives back what many rooms that have ended took.
    fn shrink(&mut self) {
        if self.rooms.len() * 4 < self.rooms.capacity() {
            let hasher = &self.hasher;
            self.rooms.shrink_to(self.rooms.len() * 2, |viewers| hasher.hash_one(viewers.room.id().as_str()));
        }
    }
}
