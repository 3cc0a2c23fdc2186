//! Which rooms there are: by id, by project, and by the users who have a part in them.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use smallvec::SmallVec;

use super::living::LivingRoom;
use crate::config::{Limit, RoomLimits};
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::handle::Room;
use crate::sync::Mutex;

/// Rooms in order of creation.
type Ordered = BTreeMap<u64, Arc<LivingRoom>>;

/// The rooms of one user in order of creation. Most users have one; how many there may be is bounded.
type Few = SmallVec<[Arc<LivingRoom>; 1]>;

/// All rooms. Project is part of every key but the id, which is unique in the engine (SEC4).
#[derive(Debug)]
pub(crate) struct Directory {
    inner: Mutex<Inner>,
    limits: RoomLimits,
}

#[derive(Debug, Default)]
struct Inner {
    /// By id.
    rooms: HashTable<Arc<LivingRoom>>,
    projects: HashMap<Text, Project>,
    hasher: DefaultHashBuilder,
    next_rank: u64,
}

#[derive(Debug, Default)]
struct Project {
    /// How many rooms it has.
    rooms: usize,
    /// Those in which every session of the project may have a role.
    open: Ordered,
    /// By owner; each list has at least one.
    owners: HashTable<Few>,
    admitted: HashMap<Text, Few>,
}

/// Why there cannot be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    LimitReached(Limit),
    /// Another room has the id.
    Taken,
}

impl Directory {
    pub(crate) fn new(limits: RoomLimits) -> Self {
        Self { inner: Mutex::default(), limits }
    }

    /// Adds a room, which is made when it is known that there may be one more.
    pub(crate) fn add(
        &self,
        mut about: About,
        is_open: bool,
        make: impl FnOnce(About) -> LivingRoom,
    ) -> Result<Arc<LivingRoom>, NotAdded> {
        let mut inner = self.inner.lock();
        inner.check(&about, is_open, &self.limits)?;
        about.rank = inner.next_rank;
        inner.next_rank += 1;
        let living = Arc::new(make(about));
        inner.add(&living, is_open);
        Ok(living)
    }

    /// Removes a room. False if it is gone already.
    pub(crate) fn remove(&self, living: &Arc<LivingRoom>) -> bool {
        let room = &living.room;
        let admitted: Vec<_> = room.with(|record| record.admitted_users().cloned().collect());
        let mut guard = self.inner.lock();
        let inner = &mut *guard;
        let hash = inner.hasher.hash_one(room.id().as_str());
        let Ok(known) = inner.rooms.find_entry(hash, |known| Arc::ptr_eq(known, living)) else { return false };
        known.remove();
        if inner.rooms.len() * 4 < inner.rooms.capacity() {
            inner.rooms.shrink_to(inner.rooms.len() * 2, |living| inner.hasher.hash_one(living.room.id().as_str()));
        }
        if let Some(project) = inner.projects.get_mut(room.project()) {
            project.rooms -= 1;
            project.open.remove(&room.rank());
            remove_owned(&mut project.owners, room, &inner.hasher);
            admitted.iter().for_each(|user| remove_from(&mut project.admitted, user, room.rank()));
            if project.rooms == 0 {
                inner.projects.remove(room.project());
            }
        }
        true
    }

    /// A user was admitted to a room. False if its owner has admitted the user to as many rooms as may be. What others do does
    /// not count, so that nobody can keep a user out of anybody else's rooms.
    pub(crate) fn admit(&self, living: &Arc<LivingRoom>, user: &Text) -> bool {
        let mut inner = self.inner.lock();
        let Some(project) = inner.projects.get_mut(living.room.project()) else { return true };
        let rooms = project.admitted.entry(user.clone()).or_default();
        let Err(at) = place_of(rooms, living.room.rank()) else { return true };
        let of_owner = rooms.iter().filter(|known| known.room.owner() == living.room.owner());
        let may = of_owner.count() < self.limits.admissions_per_user;
        if may {
            rooms.insert(at, Arc::clone(living));
        } else if rooms.is_empty() {
            project.admitted.remove(user);
        }
        may
    }

    /// A user is not admitted to a room any more.
    pub(crate) fn dismiss(&self, living: &LivingRoom, user: &Text) {
        let mut inner = self.inner.lock();
        if let Some(project) = inner.projects.get_mut(living.room.project()) {
            remove_from(&mut project.admitted, user, living.room.rank());
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<LivingRoom>> {
        self.inner.lock().get(id).cloned()
    }

    /// Whether a room has not been removed.
    pub(crate) fn holds(&self, living: &LivingRoom) -> bool {
        self.inner.lock().get(living.room.id()).is_some_and(|known| known.room.is(&living.room))
    }

    /// The rooms in which a session of this project and user may have a role, in order of creation.
    pub(crate) fn candidates(&self, project: &str, user: Option<&str>) -> Vec<Arc<LivingRoom>> {
        let inner = self.inner.lock();
        let Some(project) = inner.projects.get(project) else { return Vec::new() };
        let mut candidates = project.open.clone();
        let owned = user.and_then(|user| project.owned_by(user, &inner.hasher));
        let admitted = user.and_then(|user| project.admitted.get(user));
        for of_user in [owned, admitted] {
            let of_user = of_user.into_iter().flatten();
            candidates.extend(of_user.map(|living| (living.room.rank(), Arc::clone(living))));
        }
        candidates.into_values().collect()
    }

    /// The rooms that a user created in a project, or in any.
    pub(crate) fn owned_by(&self, project: Option<&str>, user: &str) -> Vec<Arc<LivingRoom>> {
        let inner = self.inner.lock();
        let projects = inner.projects.iter().filter(|(name, _)| project.is_none_or(|project| *name == project));
        let owned = projects.filter_map(|(_, project)| project.owned_by(user, &inner.hasher));
        owned.flatten().cloned().collect()
    }

    /// All rooms, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<LivingRoom>> {
        self.inner.lock().rooms.iter().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.lock().rooms.len()
    }
}

impl Project {
    fn owned_by(&self, user: &str, hasher: &DefaultHashBuilder) -> Option<&Few> {
        self.owners.find(hasher.hash_one(user), |rooms| owner_of(rooms) == user)
    }
}

impl Inner {
    fn get(&self, id: &str) -> Option<&Arc<LivingRoom>> {
        self.rooms.find(self.hasher.hash_one(id), |living| living.room.id() == id)
    }

    fn add(&mut self, living: &Arc<LivingRoom>, is_open: bool) {
        let (room, hasher) = (&living.room, &self.hasher);
        let hash_id = |living: &Arc<LivingRoom>| hasher.hash_one(living.room.id().as_str());
        self.rooms.insert_unique(hash_id(living), Arc::clone(living), hash_id);
        let project = self.projects.entry(room.project().clone()).or_default();
        project.rooms += 1;
        let owner = room.owner();
        let (is_owner, hash) = (|rooms: &Few| owner_of(rooms) == owner, |rooms: &Few| hasher.hash_one(owner_of(rooms)));
        // It is the latest of all.
        let known = project.owners.entry(hasher.hash_one(owner.as_str()), is_owner, hash);
        known.and_modify(|rooms| rooms.push(Arc::clone(living))).or_insert_with(|| Few::from_buf([Arc::clone(living)]));
        if is_open {
            project.open.insert(room.rank(), Arc::clone(living));
        }
    }

    fn check(&self, about: &About, is_open: bool, limits: &RoomLimits) -> Result<(), NotAdded> {
        let project = self.projects.get(&about.project);
        let count = |of: fn(&Project) -> usize| project.map_or(0, of);
        let owned = project.and_then(|project| project.owned_by(&about.owner, &self.hasher)).map_or(0, SmallVec::len);
        let opened = if is_open { count(|project| project.open.len()) + 1 } else { 0 };
        for (is_reached, limit) in [
            (owned >= limits.rooms_per_user, Limit::RoomsPerUser),
            (count(|project| project.rooms) >= limits.rooms_per_project, Limit::RoomsPerProject),
            (opened > limits.open_rooms_per_project, Limit::OpenRoomsPerProject),
            (self.rooms.len() >= limits.rooms, Limit::Rooms),
        ] {
            if is_reached {
                return Err(NotAdded::LimitReached(limit));
            }
        }
        if self.get(&about.id).is_some() { Err(NotAdded::Taken) } else { Ok(()) }
    }
}

/// Where the room of this rank stands, or where it would.
fn place_of(rooms: &Few, rank: u64) -> Result<usize, usize> {
    rooms.binary_search_by_key(&rank, |living| living.room.rank())
}

fn owner_of(rooms: &Few) -> &str {
    rooms.first().map_or("", |living| living.room.owner().as_str())
}

fn remove_owned(owners: &mut HashTable<Few>, room: &Room, hasher: &DefaultHashBuilder) {
    let owner = room.owner().as_str();
    let Ok(mut known) = owners.find_entry(hasher.hash_one(owner), |rooms| owner_of(rooms) == owner) else { return };
    let rooms = known.get_mut();
    match (place_of(rooms, room.rank()), rooms.len()) {
        (Ok(_), 1) => drop(known.remove()),
        (Ok(at), _) => drop(rooms.remove(at)),
        (Err(_), _) => {}
    }
    if owners.len() * 4 < owners.capacity() {
        owners.shrink_to(owners.len() * 2, |rooms| hasher.hash_one(owner_of(rooms)));
    }
}

fn remove_from(users: &mut HashMap<Text, Few>, user: &Text, rank: u64) {
    if let Some(rooms) = users.get_mut(user) {
        if let Ok(at) = place_of(rooms, rank) {
            rooms.remove(at);
        }
        if rooms.is_empty() {
            users.remove(user);
            if users.len() * 4 < users.capacity() {
                users.shrink_to(users.len() * 2);
            }
        }
    }
}
