//! Who goes first when there is no room: whoever has been without a connection for longest.

use std::sync::{Arc, Weak};

use lru::LruCache;
use parking_lot::Mutex;

use super::slot::Slot;

/// Sessions without a connection, by when the last one left. A session with a connection is not in here, so it never goes.
#[derive(Debug)]
pub(crate) struct IdleOrder(Mutex<LruCache<usize, Weak<Slot>>>);

impl IdleOrder {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::unbounded()))
    }

    /// The last connection left.
    pub(crate) fn add(&self, slot: &Arc<Slot>) {
        self.0.lock().put(key(slot), Arc::downgrade(slot));
    }

    /// Somebody connected, or there is nothing left to drop.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        self.0.lock().pop(&key(slot));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Takes whoever has been idle for longest.
    pub(crate) fn pop_oldest(&self) -> Option<Arc<Slot>> {
        loop {
            let (_, oldest) = self.0.lock().pop_lru()?;
            if let Some(oldest) = oldest.upgrade() {
                return Some(oldest);
            }
        }
    }
}

fn key(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot) as usize
}
