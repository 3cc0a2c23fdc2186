//! Which rooms there are: by id, by project, and by the users who have a part in them.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use smallvec::SmallVec;

use super::away::AwayRoom;
use super::living::LivingRoom;
use crate::config::{Limit, RoomLimits};
use crate::model::Text;
use crate::model::room::about::About;
use crate::sync::Mutex;

/// A room that has not been removed.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Living(Arc<LivingRoom>),
    /// It is in the storage, until somebody uses it.
    Away(Arc<AwayRoom>),
}

/// Rooms in order of creation.
type Ordered = BTreeMap<u64, Known>;

/// The rooms of one user in order of creation. Most users have one; how many there may be is bounded.
type Few = SmallVec<[Known; 1]>;

/// All rooms. Project is part of every key but the id, which is unique in the engine (SEC4).
#[derive(Debug)]
pub(crate) struct Directory {
    inner: Mutex<Inner>,
    limits: RoomLimits,
}

#[derive(Debug, Default)]
struct Inner {
    /// By id.
    rooms: HashTable<Known>,
    /// How many of them are put away.
    away: usize,
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

impl Known {
    pub(crate) fn id(&self) -> &Text {
        match self {
            Self::Living(living) => living.room.id(),
            Self::Away(away) => &away.id,
        }
    }

    fn project(&self) -> &Text {
        match self {
            Self::Living(living) => living.room.project(),
            Self::Away(away) => &away.project,
        }
    }

    pub(crate) fn owner(&self) -> &Text {
        match self {
            Self::Living(living) => living.room.owner(),
            Self::Away(away) => &away.owner,
        }
    }

    fn rank(&self) -> u64 {
        match self {
            Self::Living(living) => living.room.rank(),
            Self::Away(away) => away.rank,
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Living(living) => living.is_open,
            Self::Away(away) => away.is_open,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Living(living), Self::Living(other)) => Arc::ptr_eq(living, other),
            (Self::Away(away), Self::Away(other)) => Arc::ptr_eq(away, other),
            _ => false,
        }
    }

    fn living(&self) -> Option<&Arc<LivingRoom>> {
        match self {
            Self::Living(living) => Some(living),
            Self::Away(_) => None,
        }
    }
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
        inner.add(&Known::Living(Arc::clone(&living)));
        Ok(living)
    }

    /// Adds a room that is put away, which gets its rank.
    pub(crate) fn add_away(&self, about: &About, mut away: AwayRoom) -> Result<Arc<AwayRoom>, NotAdded> {
        let mut inner = self.inner.lock();
        inner.check(about, away.is_open, &self.limits)?;
        away.rank = inner.next_rank;
        inner.next_rank += 1;
        let away = Arc::new(away);
        inner.add(&Known::Away(Arc::clone(&away)));
        for user in &away.admitted {
            inner.admit(&Known::Away(Arc::clone(&away)), user, self.limits.admissions_per_user);
        }
        Ok(away)
    }

    /// Whether a room is still put away.
    pub(crate) fn knows(&self, away: &Arc<AwayRoom>) -> bool {
        matches!(self.get(&away.id), Some(Known::Away(known)) if Arc::ptr_eq(&known, away))
    }

    /// A room that was put away is a living one again. False if it is gone, or was faster with somebody else.
    pub(crate) fn bring_back(&self, away: &Arc<AwayRoom>, living: &Arc<LivingRoom>) -> bool {
        let mut inner = self.inner.lock();
        let is_away = inner.get(&away.id).is_some_and(|known| known.is(&Known::Away(Arc::clone(away))));
        if is_away {
            inner.replace(&Known::Living(Arc::clone(living)), &away.admitted);
        }
        is_away
    }

    /// A room is put away, if nobody else has a handle of it. What is returned is not used any more.
    pub(crate) fn put_away(
        &self,
        mut away: AwayRoom,
        may: impl FnOnce(&LivingRoom) -> bool,
    ) -> Option<Arc<LivingRoom>> {
        let mut inner = self.inner.lock();
        let living = inner.get(&away.id)?.living().filter(|living| may(living)).cloned()?;
        away.rank = living.room.rank();
        let away = Arc::new(away);
        inner.replace(&Known::Away(Arc::clone(&away)), &away.admitted);
        // Whoever wants another handle has to wait for the lock.
        if Arc::strong_count(&living) > 1 || living.room.is_held_elsewhere() {
            inner.replace(&Known::Living(living), &away.admitted);
            return None;
        }
        Some(living)
    }

    /// Removes a room. False if it is gone already, or was put away or came back meanwhile.
    pub(crate) fn remove(&self, known: &Known) -> bool {
        let admitted: Vec<_> = match known {
            Known::Living(living) => living.room.with(|record| record.admitted_users().cloned().collect()),
            Known::Away(away) => away.admitted.to_vec(),
        };
        self.inner.lock().remove(known, &admitted)
    }

    /// A user was admitted to a room. False if its owner has admitted the user to as many rooms as may be. What others do does
    /// not count, so that nobody can keep a user out of anybody else's rooms.
    pub(crate) fn admit(&self, living: &Arc<LivingRoom>, user: &Text) -> bool {
        self.inner.lock().admit(&Known::Living(Arc::clone(living)), user, self.limits.admissions_per_user)
    }

    /// A user is not admitted to a room any more.
    pub(crate) fn dismiss(&self, living: &LivingRoom, user: &Text) {
        let mut inner = self.inner.lock();
        if let Some(project) = inner.projects.get_mut(living.room.project()) {
            remove_from(&mut project.admitted, user, living.room.rank());
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Known> {
        self.inner.lock().get(id).cloned()
    }

    /// A room that is not put away, such as one that somebody shows.
    pub(crate) fn living(&self, id: &str) -> Option<Arc<LivingRoom>> {
        self.inner.lock().get(id)?.living().cloned()
    }

    /// Whether a room has not been removed.
    pub(crate) fn holds(&self, living: &LivingRoom) -> bool {
        let inner = self.inner.lock();
        inner.get(living.room.id()).and_then(Known::living).is_some_and(|known| known.room.is(&living.room))
    }

    /// The rooms in which a session of this project and user may have a role, in order of creation.
    pub(crate) fn candidates(&self, project: &str, user: Option<&str>) -> Vec<Known> {
        let inner = self.inner.lock();
        let Some(project) = inner.projects.get(project) else { return Vec::new() };
        let mut candidates = project.open.clone();
        let owned = user.and_then(|user| project.owned_by(user, &inner.hasher));
        let admitted = user.and_then(|user| project.admitted.get(user));
        for of_user in [owned, admitted] {
            let of_user = of_user.into_iter().flatten();
            candidates.extend(of_user.map(|known| (known.rank(), known.clone())));
        }
        candidates.into_values().collect()
    }

    /// The rooms that a user created in a project, or in any.
    pub(crate) fn owned_by(&self, project: Option<&str>, user: &str) -> Vec<Known> {
        let inner = self.inner.lock();
        let projects = inner.projects.iter().filter(|(name, _)| project.is_none_or(|project| *name == project));
        let owned = projects.filter_map(|(_, project)| project.owned_by(user, &inner.hasher));
        owned.flatten().cloned().collect()
    }

    /// All rooms that are not put away, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<LivingRoom>> {
        self.inner.lock().rooms.iter().filter_map(Known::living).cloned().collect()
    }

    /// All rooms that are, in no particular order.
    pub(crate) fn all_away(&self) -> Vec<Arc<AwayRoom>> {
        let away = |known: &Known| match known {
            Known::Living(_) => None,
            Known::Away(away) => Some(Arc::clone(away)),
        };
        self.inner.lock().rooms.iter().filter_map(away).collect()
    }

    /// How many are put away.
    pub(crate) fn away(&self) -> usize {
        self.inner.lock().away
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
    fn get(&self, id: &str) -> Option<&Known> {
        self.rooms.find(self.hasher.hash_one(id), |known| known.id() == id)
    }

    fn add(&mut self, room: &Known) {
        let hasher = &self.hasher;
        let hash_id = |known: &Known| hasher.hash_one(known.id().as_str());
        self.rooms.insert_unique(hash_id(room), room.clone(), hash_id);
        self.away += usize::from(room.living().is_none());
        let project = self.projects.entry(room.project().clone()).or_default();
        project.rooms += 1;
        let owner = room.owner();
        let (is_owner, hash) = (|rooms: &Few| owner_of(rooms) == owner, |rooms: &Few| hasher.hash_one(owner_of(rooms)));
        // It is the latest of all.
        let known = project.owners.entry(hasher.hash_one(owner.as_str()), is_owner, hash);
        known.and_modify(|rooms| rooms.push(room.clone())).or_insert_with(|| Few::from_buf([room.clone()]));
        if room.is_open() {
            project.open.insert(room.rank(), room.clone());
        }
    }

    /// A room stands in the place of itself everywhere, as a living one or as one that is put away.
    fn replace(&mut self, room: &Known, admitted: &[Text]) {
        let hash = self.hasher.hash_one(room.id().as_str());
        let Some(known) = self.rooms.find_mut(hash, |known| known.id() == room.id()) else { return };
        self.away -= usize::from(known.living().is_none());
        self.away += usize::from(room.living().is_none());
        *known = room.clone();
        let Some(project) = self.projects.get_mut(room.project()) else { return };
        if let Some(known) = project.open.get_mut(&room.rank()) {
            *known = room.clone();
        }
        let (owner, hash) = (room.owner(), self.hasher.hash_one(room.owner().as_str()));
        let owned = project.owners.find_mut(hash, |rooms| owner_of(rooms) == owner);
        let admitted = admitted.iter();
        let mut replace_in = |rooms: &mut Few| {
            if let Ok(at) = place_of(rooms, room.rank()) {
                rooms[at] = room.clone();
            }
        };
        owned.into_iter().for_each(&mut replace_in);
        admitted.for_each(|user| project.admitted.get_mut(user).into_iter().for_each(&mut replace_in));
    }

    fn remove(&mut self, room: &Known, admitted: &[Text]) -> bool {
        let hash = self.hasher.hash_one(room.id().as_str());
        let Ok(known) = self.rooms.find_entry(hash, |known| known.is(room)) else { return false };
        known.remove();
        self.away -= usize::from(room.living().is_none());
        if self.rooms.len() * 4 < self.rooms.capacity() {
            self.rooms.shrink_to(self.rooms.len() * 2, |known| self.hasher.hash_one(known.id().as_str()));
        }
        if let Some(project) = self.projects.get_mut(room.project()) {
            project.rooms -= 1;
            project.open.remove(&room.rank());
            remove_owned(&mut project.owners, (room.owner(), room.rank()), &self.hasher);
            admitted.iter().for_each(|user| remove_from(&mut project.admitted, user, room.rank()));
            if project.rooms == 0 {
                self.projects.remove(room.project());
            }
        }
        true
    }

    fn admit(&mut self, room: &Known, user: &Text, max: usize) -> bool {
        let Some(project) = self.projects.get_mut(room.project()) else { return true };
        let rooms = project.admitted.entry(user.clone()).or_default();
        let Err(at) = place_of(rooms, room.rank()) else { return true };
        let may = rooms.iter().filter(|known| known.owner() == room.owner()).count() < max;
        if may {
            rooms.insert(at, room.clone());
        } else if rooms.is_empty() {
            project.admitted.remove(user);
        }
        may
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
    rooms.binary_search_by_key(&rank, Known::rank)
}

fn owner_of(rooms: &Few) -> &str {
    rooms.first().map_or("", |known| known.owner().as_str())
}

fn remove_owned(owners: &mut HashTable<Few>, (owner, rank): (&Text, u64), hasher: &DefaultHashBuilder) {
    let owner = owner.as_str();
    let Ok(mut known) = owners.find_entry(hasher.hash_one(owner), |rooms| owner_of(rooms) == owner) else { return };
    let rooms = known.get_mut();
    match (place_of(rooms, rank), rooms.len()) {
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
