//! All sessions, found by id, user or attribute without looking at the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use slab::Slab;

use super::slot::Slot;
use crate::error::ConnectError;
use crate::model::Text;
use crate::model::session::Context;

/// The table. Its lock is held for look-ups only.
#[derive(Debug)]
pub(crate) struct Table {
    inner: RwLock<Inner>,
    max: usize,
}

#[derive(Debug, Default)]
struct Inner {
    slots: Slab<Arc<Slot>>,
    by_id: HashMap<Text, usize>,
    by_user: HashMap<Text, HashSet<usize>>,
    by_attribute: HashMap<Text, BTreeMap<Text, HashSet<usize>>>,
}

/// A session's place, and whether it was made just now.
pub(crate) struct Opened {
    pub(crate) slot: Arc<Slot>,
    pub(crate) new: bool,
    /// The claims that it had before, if they were replaced.
    pub(crate) before: Option<Arc<Context>>,
}

impl Table {
    pub(crate) fn new(max: usize) -> Self {
        Self { inner: RwLock::default(), max }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Slot>> {
        let inner = self.inner.read();
        Some(Arc::clone(&inner.slots[*inner.by_id.get(id)?]))
    }

    /// Finds or makes the place of a session. The claims given are the ones that hold from now on.
    /// A new one whose instance has yet to be made (`unmade`) is not rendered before.
    pub(crate) fn open(&self, context: &Arc<Context>, now_ms: u64, unmade: bool) -> Result<Opened, ConnectError> {
        let mut inner = self.inner.write();
        if let Some(at) = inner.by_id.get(context.id()).copied() {
            let slot = Arc::clone(&inner.slots[at]);
            let before = slot.set_context(Arc::clone(context));
            inner.unindex(at, &before);
            inner.index(at, context);
            return Ok(Opened { slot, new: false, before: Some(before) });
        }
        if inner.slots.len() >= self.max {
            return Err(ConnectError::Full("sessions"));
        }
        let slot = Arc::new(Slot::new(Arc::clone(context), now_ms, unmade));
        let at = inner.slots.insert(Arc::clone(&slot));
        inner.by_id.insert(context.id().clone(), at);
        inner.index(at, context);
        Ok(Opened { slot, new: true, before: None })
    }

    /// Forgets a session. False if its place is not (or no longer) this one: another may have come under the same id.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) -> bool {
        let mut inner = self.inner.write();
        let context = slot.context();
        let Some(at) = inner.by_id.get(context.id()).copied() else { return false };
        if !Arc::ptr_eq(&inner.slots[at], slot) {
            return false;
        }
        inner.by_id.remove(context.id());
        inner.slots.remove(at);
        inner.unindex(at, &context);
        true
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.inner.read().slots.iter().map(|(_, slot)| Arc::clone(slot)).collect()
    }

    pub(crate) fn of_user(&self, user: &str) -> Vec<Arc<Slot>> {
        let inner = self.inner.read();
        inner.pick(inner.by_user.get(user))
    }

    pub(crate) fn with_attribute(&self, name: &str, value: &str) -> Vec<Arc<Slot>> {
        let inner = self.inner.read();
        inner.pick(inner.by_attribute.get(name).and_then(|values| values.get(value)))
    }
}

impl Inner {
    fn pick(&self, places: Option<&HashSet<usize>>) -> Vec<Arc<Slot>> {
        places.into_iter().flatten().map(|at| Arc::clone(&self.slots[*at])).collect()
    }

    fn index(&mut self, at: usize, context: &Context) {
        if let Some(user) = context.user() {
            self.by_user.entry(user.clone()).or_default().insert(at);
        }
        for (name, value) in context.attributes() {
            self.by_attribute.entry(name.clone()).or_default().entry(value.clone()).or_default().insert(at);
        }
    }

    fn unindex(&mut self, at: usize, context: &Context) {
        if let Some(user) = context.user()
            && let Some(places) = self.by_user.get_mut(user)
        {
            places.remove(&at);
            if places.is_empty() {
                self.by_user.remove(user);
            }
        }
        for (name, value) in context.attributes() {
            let Some(values) = self.by_attribute.get_mut(name) else { continue };
            if let Some(places) = values.get_mut(value) {
                places.remove(&at);
                if places.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.by_attribute.remove(name);
            }
        }
    }
}
