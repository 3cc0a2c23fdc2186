//! All sessions, found by id, user, attribute, project or room without looking at the others; and who has been idle for longest.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use slab::Slab;

use super::evidence::{Authority, Evidence};
use super::expiry_index::ExpiryIndex;
use super::idle_list::IdleList;
use super::room_index::RoomIndex;
use super::slot::Slot;
use super::slot_set::SlotSet;
use crate::config::Limit;
use crate::error::ConnectError;
use crate::model::Text;
use crate::model::room::memberships::Memberships;
use crate::model::selector::Selector;
use crate::model::session::Context;
use crate::sync::RwLock;

/// The table. Its lock is held for look-ups only.
///
/// Sessions are stored by *key*, a small number; the indexes hold keys and compare with the session stored there, so an
/// idle session costs a few words here and no second copy of its id or user.
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
    /// Those with a project.
    by_project: HashMap<Text, SlotSet>,
    in_projects: usize,
    by_room: RoomIndex,
    hasher: DefaultHashBuilder,
    /// Sessions without a connection, by when the last one left.
    idle: IdleList,
    /// Those of them that have a tree, or will have one in a moment.
    idle_trees: IdleList,
    /// Those whose authentication ends, by when it is looked at.
    expiries: ExpiryIndex,
    /// The most sessions that there were since room was last given back.
    peak: usize,
}

/// A session's slot, and what a credential did to it.
pub(crate) struct Opened {
    pub(crate) slot: Arc<Slot>,
    pub(crate) step: OpenStep,
}

/// What claims are to the session with their id.
pub(crate) enum OpenStep {
    /// It was opened with them.
    New,
    /// They replaced those that it had before.
    Changed(Arc<Context>),
    /// It has newer ones.
    Kept,
    /// It is another user's or project's, and stays as it is.
    Foreign,
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
            by_project: HashMap::new(),
            in_projects: 0,
            by_room: RoomIndex::default(),
            hasher: DefaultHashBuilder::default(),
            idle: IdleList::new(),
            idle_trees: IdleList::new(),
            expiries: ExpiryIndex::default(),
            peak: 0,
        };
        Self { inner: RwLock::new(inner), max, max_of_user }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Slot>> {
        let inner = self.inner.read();
        Some(Arc::clone(&inner.slots[inner.find(id)? as usize]))
    }

    /// Finds or makes the slot of a session. The claims given hold from now on, unless it has newer ones.
    /// A new one whose provider is still to be made (`without_provider`) is not rendered before.
    pub(crate) fn open(
        &self,
        context: &Arc<Context>,
        (now_ms, now): (u64, SystemTime),
        without_provider: bool,
    ) -> Result<Opened, ConnectError> {
        let mut inner = self.inner.write();
        if let Some(key) = inner.find(context.id()) {
            return inner.change(key, context, (Authority::Credential, now), self.max_of_user);
        }
        if inner.is_full_for(context, None, self.max_of_user) {
            return Err(ConnectError::LimitReached(Limit::SessionsPerUser));
        }
        if inner.slots.len() >= self.max {
            return Err(ConnectError::LimitReached(Limit::Sessions));
        }
        let key = u32::try_from(inner.slots.vacant_key()).map_err(|_| ConnectError::LimitReached(Limit::Sessions))?;
        // No credential brings a part in rooms, but a handler's session that is used as one may have it.
        let context = &context.with_memberships(None);
        let slot = Arc::new(Slot::new(Arc::clone(context), key, now_ms, without_provider));
        inner.slots.insert(Arc::clone(&slot));
        inner.peak = inner.peak.max(inner.slots.len());
        inner.add_id(key, context);
        inner.index(key, context);
        Ok(Opened { slot, step: OpenStep::New })
    }

    /// Gives an open session claims that hold from now on, unless it has newer ones. `None` if none is open under that id.
    pub(crate) fn change(
        &self,
        context: &Arc<Context>,
        from: (Authority, SystemTime),
    ) -> Result<Option<Opened>, ConnectError> {
        let mut inner = self.inner.write();
        inner.find(context.id()).map(|key| inner.change(key, context, from, self.max_of_user)).transpose()
    }

    /// Changes an open session's part in rooms. Its tree is outdated from now on: calls wait for one that shows the new
    /// part. False if the session has ended.
    pub(crate) fn edit_memberships(&self, slot: &Arc<Slot>, edit: impl FnOnce(&Memberships) -> Memberships) -> bool {
        let mut inner = self.inner.write();
        if !inner.holds(slot) {
            return false;
        }
        let held = slot.context();
        let after = edit(&held.memberships().cloned().unwrap_or_default());
        let context = held.with_memberships(Some(after));
        inner.by_room.replace(slot.key(), held.memberships(), context.memberships());
        slot.set_context(context);
        true
    }

    /// Removes a session, if it may go. False if it may not, or if its key is another's by now.
    pub(crate) fn remove(&self, slot: &Arc<Slot>, may_go: impl FnOnce(&Slot) -> bool) -> bool {
        let mut inner = self.inner.write();
        if !inner.holds(slot) || !may_go(slot) {
            return false;
        }
        // Claims change only under this lock, so the slot holds the context too and it is not dropped here.
        let (key, context) = (slot.key(), slot.context());
        inner.idle.remove(key);
        inner.idle_trees.remove(key);
        if let Some(at_ms) = slot.look_at_expiry(None) {
            inner.expiries.remove(at_ms, key);
        }
        inner.unindex(key, &context);
        inner.by_room.replace(key, context.memberships(), None);
        inner.remove_id(key, &context);
        inner.slots.remove(key as usize);
        inner.shrink();
        true
    }

    /// The last connection left, or there never was one: the session comes last among those that are idle, and so does
    /// its tree if it has one.
    pub(crate) fn idle(&self, slot: &Arc<Slot>, what: Idle) {
        let mut inner = self.inner.write();
        if inner.holds(slot) {
            inner.order(what).push(slot.key());
        }
    }

    /// Somebody connected, or there is nothing left to evict.
    pub(crate) fn not_idle(&self, slot: &Arc<Slot>, what: Idle) {
        let mut inner = self.inner.write();
        if inner.holds(slot) {
            inner.order(what).remove(slot.key());
        }
    }

    /// Whoever has been idle for longest, and since when. Whoever is not idle any more, as `since` says, is taken out on
    /// the way.
    pub(crate) fn longest_idle(&self, what: Idle, since: impl Fn(&Slot) -> Option<u64>) -> Option<(Arc<Slot>, u64)> {
        let mut inner = self.inner.write();
        loop {
            let key = inner.order(what).first()?;
            let slot = &inner.slots[key as usize];
            if let Some(since_ms) = since(slot) {
                return Some((Arc::clone(slot), since_ms));
            }
            inner.order(what).remove(key);
        }
    }

    /// Sets when a session's authentication is looked at next, in ms of the time of day, by the claims that it has; `None`
    /// is never. Returns when the first of all is, if anything changed.
    pub(crate) fn look_at_expiry(&self, slot: &Arc<Slot>, at_ms: impl Fn(&Context) -> Option<u64>) -> Option<u64> {
        if slot.expiry_ms() == at_ms(&slot.context()) {
            return None;
        }
        let mut inner = self.inner.write();
        if inner.holds(slot) {
            // Claims change only under this lock, so of two that change them at once none leaves the time of the other.
            let at_ms = at_ms(&slot.context());
            if let Some(before_ms) = slot.look_at_expiry(at_ms) {
                inner.expiries.remove(before_ms, slot.key());
            }
            if let Some(at_ms) = at_ms {
                inner.expiries.insert(at_ms, slot.key());
            }
        }
        inner.expiries.earliest_ms()
    }

    /// Takes some of the sessions whose authentication is to be looked at, at most `max`.
    pub(crate) fn take_due_expiries(&self, now_ms: u64, max: usize) -> Vec<Arc<Slot>> {
        let mut inner = self.inner.write();
        let keys: Vec<_> = std::iter::from_fn(|| inner.expiries.take_due(now_ms)).take(max).collect();
        let slots: Vec<_> = keys.into_iter().map(|key| Arc::clone(&inner.slots[key as usize])).collect();
        for slot in &slots {
            slot.look_at_expiry(None);
        }
        slots
    }

    /// When the first authentication of all is looked at, in ms of the time of day.
    pub(crate) fn earliest_expiry_ms(&self) -> Option<u64> {
        self.inner.read().expiries.earliest_ms()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner.read().slots.len()
    }

    pub(crate) fn idle_trees(&self) -> usize {
        self.inner.read().idle_trees.len()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.inner.read().slots.iter().map(|(_, slot)| Arc::clone(slot)).collect()
    }

    /// How many sessions a selector means now, without looking at them.
    pub(crate) fn count(&self, selector: &Selector) -> usize {
        let inner = self.inner.read();
        match selector {
            // Whoever knows the predicate has asked it instead.
            Selector::All | Selector::Named(_) => inner.slots.len(),
            Selector::Session(id) => usize::from(inner.find(id).is_some()),
            Selector::User(user) => inner.of_user(user).map_or(0, SlotSet::len),
            Selector::Attribute { name, value } => inner.with_attribute(name, value).map_or(0, SlotSet::len),
            Selector::Project(name) if name.is_empty() => inner.slots.len() - inner.in_projects,
            Selector::Project(name) => inner.by_project.get(name).map_or(0, SlotSet::len),
            Selector::Room(id) => inner.by_room.joined(id).map_or(0, SlotSet::len),
            Selector::RoomViewers(id) => inner.by_room.viewers(id).map_or(0, SlotSet::len),
        }
    }

    /// The sessions that a selector means now.
    pub(crate) fn select(&self, selector: &Selector) -> Vec<Arc<Slot>> {
        match selector {
            Selector::All | Selector::Named(_) => self.all(),
            Selector::Session(id) => self.get(id).into_iter().collect(),
            Selector::User(user) => self.of_user(user),
            Selector::Attribute { name, value } => self.picked(|inner| inner.with_attribute(name, value)),
            Selector::Project(name) if name.is_empty() => {
                let mut slots = self.all();
                slots.retain(|slot| slot.context().project().is_none_or(|project| project.is_empty()));
                slots
            }
            Selector::Project(name) => self.picked(|inner| inner.by_project.get(name)),
            Selector::Room(id) => self.picked(|inner| inner.by_room.joined(id)),
            Selector::RoomViewers(id) => self.picked(|inner| inner.by_room.viewers(id)),
        }
    }

    pub(crate) fn of_user(&self, user: &str) -> Vec<Arc<Slot>> {
        self.picked(|inner| inner.of_user(user))
    }

    fn picked(&self, keys: impl FnOnce(&Inner) -> Option<&SlotSet>) -> Vec<Arc<Slot>> {
        let inner = self.inner.read();
        inner.pick(keys(&inner))
    }
}

impl Inner {
    /// Gives the session at a key new claims, unless they are somebody else's or it has newer ones.
    fn change(
        &mut self,
        key: u32,
        context: &Arc<Context>,
        (from, now): (Authority, SystemTime),
        max_of_user: usize,
    ) -> Result<Opened, ConnectError> {
        let slot = Arc::clone(&self.slots[key as usize]);
        let held = slot.context();
        match Evidence::of(&held, context, from, now) {
            Evidence::Foreign => return Ok(Opened { slot, step: OpenStep::Foreign }),
            Evidence::Older => return Ok(Opened { slot, step: OpenStep::Kept }),
            Evidence::Newest if self.is_full_for(context, Some(key), max_of_user) => {
                return Err(ConnectError::LimitReached(Limit::SessionsPerUser));
            }
            Evidence::Newest => {}
        }
        // What a credential does not say stays, unless it makes the session somebody else's.
        let same_viewer = held.user() == context.user() && held.project() == context.project();
        let context = &context.with_memberships(held.memberships().filter(|_| same_viewer).cloned());
        // Out of the indexes with the old claims: they compare with the session stored there.
        self.unindex(key, &held);
        self.by_room.replace(key, held.memberships(), context.memberships());
        let before = slot.set_context(Arc::clone(context));
        self.index(key, context);
        Ok(Opened { slot, step: OpenStep::Changed(before) })
    }

    /// Whether a session's user has as many sessions as may be, and the one at this key is not among them.
    fn is_full_for(&self, context: &Context, key: Option<u32>, max: usize) -> bool {
        let keys = context.user().and_then(|user| self.of_user(user));
        keys.is_some_and(|keys| keys.len() >= max && !key.is_some_and(|key| keys.contains(key)))
    }

    /// Whether a slot still is at its key.
    fn holds(&self, slot: &Arc<Slot>) -> bool {
        self.slots.get(slot.key() as usize).is_some_and(|known| Arc::ptr_eq(known, slot))
    }

    const fn order(&mut self, what: Idle) -> &mut IdleList {
        match what {
            Idle::Session => &mut self.idle,
            Idle::Tree => &mut self.idle_trees,
        }
    }

    fn find(&self, id: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |key| self.slots[*key as usize].context().id() == id).copied()
    }

    fn add_id(&mut self, key: u32, context: &Context) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let hash = hasher.hash_one(context.id().as_str());
        self.by_id.insert_unique(hash, key, |key| hasher.hash_one(slots[*key as usize].context().id().as_str()));
    }

    fn remove_id(&mut self, key: u32, context: &Context) {
        let hash = self.hasher.hash_one(context.id().as_str());
        if let Ok(entry) = self.by_id.find_entry(hash, |known| *known == key) {
            entry.remove();
        }
    }

    fn of_user(&self, user: &str) -> Option<&SlotSet> {
        let hash = self.hasher.hash_one(user);
        self.by_user.find(hash, |keys| is_user(&self.slots, keys, user))
    }

    fn with_attribute(&self, name: &str, value: &str) -> Option<&SlotSet> {
        self.by_attribute.get(name).and_then(|values| values.get(value))
    }

    fn pick(&self, keys: Option<&SlotSet>) -> Vec<Arc<Slot>> {
        let keys = keys.into_iter().flat_map(SlotSet::iter);
        keys.map(|key| Arc::clone(&self.slots[key as usize])).collect()
    }

    fn index(&mut self, key: u32, context: &Context) {
        if let Some(user) = context.user() {
            self.index_user(key, user);
        }
        if let Some(project) = named_project(context) {
            let project = self.by_project.entry(project.clone());
            project.and_modify(|keys| keys.add(key)).or_insert(SlotSet::one(key));
            self.in_projects += 1;
        }
        for (name, value) in context.attributes() {
            let values = self.by_attribute.entry(name.clone()).or_default();
            values.entry(value.clone()).and_modify(|keys| keys.add(key)).or_insert(SlotSet::one(key));
        }
    }

    fn index_user(&mut self, key: u32, user: &Text) {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |keys: &SlotSet| {
            let context = slots[keys.any() as usize].context();
            hasher.hash_one(context.user().map_or("", Text::as_str))
        };
        match self.by_user.entry(hasher.hash_one(user.as_str()), |keys| is_user(slots, keys, user), rehash) {
            Entry::Occupied(mut keys) => keys.get_mut().add(key),
            Entry::Vacant(gap) => {
                gap.insert(SlotSet::one(key));
            }
        }
    }

    fn unindex(&mut self, key: u32, context: &Context) {
        if let Some(user) = context.user() {
            let hash = self.hasher.hash_one(user.as_str());
            let slots = &self.slots;
            if let Ok(mut entry) = self.by_user.find_entry(hash, |keys| is_user(slots, keys, user))
                && entry.get_mut().remove(key)
            {
                entry.remove();
            }
        }
        if let Some(project) = named_project(context)
            && let Some(keys) = self.by_project.get_mut(project)
        {
            if keys.remove(key) {
                self.by_project.remove(project);
            }
            self.in_projects -= 1;
        }
        for (name, value) in context.attributes() {
            let Some(values) = self.by_attribute.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|keys| keys.remove(key)) {
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
        let keys = self.slots.iter().next_back().map_or(0, |(key, _)| key + 1);
        self.idle.shrink(keys);
        self.idle_trees.shrink(keys);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let context = |key: u32| slots[key as usize].context();
        self.by_id.shrink_to_fit(|key| hasher.hash_one(context(*key).id().as_str()));
        self.by_user.shrink_to_fit(|keys| hasher.hash_one(context(keys.any()).user().map_or("", Text::as_str)));
        self.by_attribute.values_mut().for_each(HashMap::shrink_to_fit);
        self.by_project.shrink_to_fit();
    }
}

/// The project of a session, if it has a name.
fn named_project(context: &Context) -> Option<&Text> {
    context.project().filter(|project| !project.is_empty())
}

fn is_user(slots: &Slab<Arc<Slot>>, keys: &SlotSet, user: &str) -> bool {
    slots[keys.any() as usize].context().user().is_some_and(|known| known == user)
}
