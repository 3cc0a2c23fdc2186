//! Which trees of sessions without a connection are kept: the ones used last.

use std::sync::{Arc, Weak};

use lru::LruCache;
use parking_lot::Mutex;

use super::slot::Slot;

/// Idle sessions that have a tree, by last use. A session with a connection is not in here, so it is never evicted.
#[derive(Debug)]
pub(crate) struct IdleTrees {
    order: Mutex<LruCache<usize, Weak<Slot>>>,
    max: usize,
}

impl IdleTrees {
    pub(crate) fn new(max: usize) -> Self {
        Self { order: Mutex::new(LruCache::unbounded()), max }
    }

    /// The last connection left: answers whose tree has to go for it.
    pub(crate) fn add(&self, slot: &Arc<Slot>) -> Option<Arc<Slot>> {
        let mut order = self.order.lock();
        order.put(key(slot), Arc::downgrade(slot));
        if order.len() > self.max { order.pop_lru().and_then(|(_, oldest)| oldest.upgrade()) } else { None }
    }

    /// Somebody connected, or the tree is gone.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        self.order.lock().pop(&key(slot));
    }
}

fn key(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot) as usize
}
