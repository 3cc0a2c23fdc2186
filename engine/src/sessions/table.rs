//! All sessions, found by id, user or attribute without looking at the others; and who has been idle for longest.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use slab::Slab;

use super::idle_list::IdleList;
use super::slot::Slot;
use super::slot_set::SlotSet;
use crate::config::Limit;
use crate::error::ConnectError;
use crate::model::Text;
use crate::model::selector::Selector;
use crate::model::session::Context;
use crate::sync::RwLock;

/// The table. Its lock is held for look-ups only.
///
/// Sessions are kept by *place*, a small number; the indexes hold places and compare with what stands there, so an idle
/// session costs a few words here and no second copy of its id or user.
#[derive(Debug)]
pub(crate) struct Table {
    inner: RwLock<Inner>,
    max: usize,
    max_of_user: usize,
}

#[derive(Debug)]
struct Inner {
    slots: Slab<Arc<Slot>>,
    by_id: HashTable<u32>,
    by_user: HashTable<SlotSet>,
    by_attribute: HashMap<Text, HashMap<Text, SlotSet>>,
    hasher: DefaultHashBuilder,
    /// Sessions without a connection, by when the last one left.
    idle: IdleList,
    /// Those of them that have a tree, or will have one in a moment.
    idle_trees: IdleList,
    /// The most sessions that there were since room was last given back.
    peak: usize,
}

/// A session's place, and whether it was made just now.
pub(crate) struct Opened {
    pub(crate) slot: Arc<Slot>,
    pub(crate) new: bool,
    /// The claims that it had before, if they were replaced.
    pub(crate) before: Option<Arc<Context>>,
}

/// What of an idle session is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idle {
    /// The session itself.
    Session,
    /// Its tree alone.
    Tree,
}

impl Table {
    pub(crate) fn new(max: usize, max_of_user: usize) -> Self {
        let inner = Inner {
            slots: Slab::new(),
            by_id: HashTable::new(),
            by_user: HashTable::new(),
            by_attribute: HashMap::new(),
            hasher: DefaultHashBuilder::default(),
            idle: IdleList::new(),
            idle_trees: IdleList::new(),
            peak: 0,
        };
        Self { inner: RwLock::new(inner), max, max_of_user }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Slot>> {
        let inner = self.inner.read();
        Some(Arc::clone(&inner.slots[inner.find(id)? as usize]))
    }

    /// Finds or makes the place of a session. The claims given are the ones that hold from now on.
    /// A new one whose instance has yet to be made (`unmade`) is not rendered before.
    pub(crate) fn open(&self, context: &Arc<Context>, now_ms: u64, unmade: bool) -> Result<Opened, ConnectError> {
        let mut inner = self.inner.write();
        let place = inner.find(context.id());
        if inner.is_full_for(context, place, self.max_of_user) {
            return Err(ConnectError::LimitReached(Limit::SessionsPerUser));
        }
        if let Some(place) = place {
            let slot = Arc::clone(&inner.slots[place as usize]);
            // Out of the indexes with the old claims: they compare with what stands there.
            inner.unindex(place, &slot.context());
            let before = slot.set_context(Arc::clone(context));
            inner.index(place, context);
            return Ok(Opened { slot, new: false, before: Some(before) });
        }
        if inner.slots.len() >= self.max {
            return Err(ConnectError::LimitReached(Limit::Sessions));
        }
        let place = u32::try_from(inner.slots.vacant_key()).map_err(|_| ConnectError::LimitReached(Limit::Sessions))?;
        let slot = Arc::new(Slot::new(Arc::clone(context), place, now_ms, unmade));
        inner.slots.insert(Arc::clone(&slot));
        inner.peak = inner.peak.max(inner.slots.len());
        inner.add_id(place, context);
        inner.index(place, context);
        Ok(Opened { slot, new: true, before: None })
    }

    /// Forgets a session, if it may go. False if it may not, or if its place is not (or no longer) this one's: another may
    /// have come to it.
    pub(crate) fn remove(&self, slot: &Arc<Slot>, may_go: impl FnOnce(&Slot) -> bool) -> bool {
        let mut inner = self.inner.write();
        if !inner.holds(slot) || !may_go(slot) {
            return false;
        }
        let (place, context) = (slot.place(), slot.context());
        inner.idle.remove(place);
        inner.idle_trees.remove(place);
        inner.unindex(place, &context);
        inner.remove_id(place, &context);
        inner.slots.remove(place as usize);
        inner.shrink();
        true
    }

    /// The last connection left, or there never was one: the session comes last among those that are idle, and so does
    /// its tree if it has one.
    pub(crate) fn idle(&self, slot: &Arc<Slot>, what: Idle) {
        let mut inner = self.inner.write();
        if inner.holds(slot) {
            inner.order(what).push(slot.place());
        }
    }

    /// Somebody connected, or there is nothing left to drop.
    pub(crate) fn not_idle(&self, slot: &Arc<Slot>, what: Idle) {
        let mut inner = self.inner.write();
        if inner.holds(slot) {
            inner.order(what).remove(slot.place());
        }
    }

    /// Whoever has been idle for longest, and since when. Whoever is not idle any more, as `since` says, is taken out on
    /// the way.
    pub(crate) fn longest_idle(&self, what: Idle, since: impl Fn(&Slot) -> Option<u64>) -> Option<(Arc<Slot>, u64)> {
        let mut inner = self.inner.write();
        loop {
            let place = inner.order(what).first()?;
            let slot = &inner.slots[place as usize];
            if let Some(since_ms) = since(slot) {
                return Some((Arc::clone(slot), since_ms));
            }
            inner.order(what).remove(place);
        }
    }

    pub(crate) fn idle_trees(&self) -> usize {
        self.inner.read().idle_trees.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.inner.read().slots.iter().map(|(_, slot)| Arc::clone(slot)).collect()
    }

    /// The sessions that a selector means now.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<Arc<Slot>> {
        match selector {
            Selector::All => self.all(),
            Selector::Session(id) => self.get(id).into_iter().collect(),
            Selector::User(user) => self.of_user(user),
            Selector::Attribute { name, value } => self.with_attribute(name, value),
        }
    }

    pub(crate) fn of_user(&self, user: &str) -> Vec<Arc<Slot>> {
        let inner = self.inner.read();
        inner.pick(inner.of_user(user))
    }

    fn with_attribute(&self, name: &str, value: &str) -> Vec<Arc<Slot>> {
        let inner = self.inner.read();
        inner.pick(inner.by_attribute.get(name).and_then(|values| values.get(value)))
    }
}

impl Inner {
    /// Whether a session's user has as many sessions as may be, and the one at this place is not among them.
    fn is_full_for(&self, context: &Context, place: Option<u32>, max: usize) -> bool {
        let places = context.user().and_then(|user| self.of_user(user));
        places.is_some_and(|places| places.len() >= max && !place.is_some_and(|place| places.contains(place)))
    }

    /// Whether a slot still is at its place.
    fn holds(&self, slot: &Arc<Slot>) -> bool {
        self.slots.get(slot.place() as usize).is_some_and(|known| Arc::ptr_eq(known, slot))
    }

    const fn order(&mut self, what: Idle) -> &mut IdleList {
        match what {
            Idle::Session => &mut self.idle,
            Idle::Tree => &mut self.idle_trees,
        }
    }

    fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |place| self.slots[*place as usize].context().id() == id).copied()
    }

    fn add_id(&mut self, place: u32, context: &Context) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = hasher.hash_one(context.id().as_str());
        self.by_id.insert_unique(hash, place, |place| hasher.hash_one(slots[*place as usize].context().id().as_str()));
    }

    fn remove_id(&mut self, place: u32, context: &Context) {
        let hash = self.hasher.hash_one(context.id().as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |known| *known == place) {
            entry.remove();
        }
    }

    fn of_user(&self, user: &str) -> Option<&SlotSet> {
        let hash = self.hasher.hash_one(user);
        self.by_user.find(hash, |places| is_user(&self.slots, places, user))
    }

    fn pick(&self, places: Option<&SlotSet>) -> Vec<Arc<Slot>> {
        let places = places.into_iter().flat_map(SlotSet::iter);
        places.map(|place| Arc::clone(&self.slots[place as usize])).collect()
    }

    fn index(&mut self, place: u32, context: &Context) {
        if let Some(user) = context.user() {
            self.index_user(place, user);
        }
        for (name, value) in context.attributes() {
            let values = self.by_attribute.entry(name.clone()).or_default();
            values.entry(value.clone()).and_modify(|places| places.add(place)).or_insert(SlotSet::One(place));
        }
    }

    fn index_user(&mut self, place: u32, user: &Text) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |places: &SlotSet| {
            let context = slots[places.any() as usize].context();
            hasher.hash_one(context.user().map_or("", Text::as_str))
        };
        match self.by_user.entry(hasher.hash_one(user.as_str()), |places| is_user(slots, places, user), rehash) {
            Entry::Occupied(mut places) => places.get_mut().add(place),
            Entry::Vacant(gap) => {
                gap.insert(SlotSet::One(place));
            }
        }
    }

    fn unindex(&mut self, place: u32, context: &Context) {
        if let Some(user) = context.user() {
            let hash = self.hasher.hash_one(user.as_str());
            let slots = &self.slots;
            if let Ok(mut entry) = self.by_user.find_entry(hash, |places| is_user(slots, places, user))
                && entry.get_mut().remove(place)
            {
                entry.remove();
            }
        }
        for (name, value) in context.attributes() {
            let Some(values) = self.by_attribute.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|places| places.remove(place)) {
                values.remove(value);
            }
            if values.is_empty() {
                self.by_attribute.remove(name);
            }
        }
    }

    /// After a storm, gives back the room that nobody needs; not at every step, so that its cost is spread.
    fn shrink(&mut self) {
        if self.slots.len() * 4 > self.peak {
            return;
        }
        self.peak = self.slots.len();
        self.slots.shrink_to_fit();
        let places = self.slots.iter().next_back().map_or(0, |(place, _)| place + 1);
        self.idle.shrink(places);
        self.idle_trees.shrink(places);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let context = |place: u32| slots[place as usize].context();
        self.by_id.shrink_to_fit(|place| hasher.hash_one(context(*place).id().as_str()));
        self.by_user.shrink_to_fit(|places| hasher.hash_one(context(places.any()).user().map_or("", Text::as_str)));
        self.by_attribute.values_mut().for_each(HashMap::shrink_to_fit);
    }
}

fn is_user(slots: &Slab<Arc<Slot>>, places: &SlotSet, user: &str) -> bool {
    slots[places.any() as usize].context().user().is_some_and(|known| known == user)
}
