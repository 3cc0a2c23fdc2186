//! A table of shared values by the hash of their content, which does not keep them alive.

use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::sync::Mutex;

/// How many locks guard the table.
const SHARDS: usize = 16;

type Entries<T> = HashTable<(u64, Weak<T>)>;

/// Values that others own, each removed by its own `Drop`.
///
/// Each lock guards the entries of one shard, and is held for one look-up, insertion or removal. Entries are weak: what
/// they free is memory, never a value. [`WeakTable::find`] returns handles, of which any may be the last by the time it is
/// dropped, so it is called and its result dropped without a lock.
#[derive(Debug)]
pub(super) struct WeakTable<T> {
    shards: [Mutex<Entries<T>>; SHARDS],
    hasher: DefaultHashBuilder,
}

impl<T> WeakTable<T> {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: DefaultHashBuilder::default() }
    }

    /// The live values whose content has this hash.
    pub(super) fn find(&self, hash: u64) -> Vec<Arc<T>> {
        let slot = self.hasher.hash_one(hash);
        let entries = self.shard(hash).lock();
        entries.iter_hash(slot).filter(|(other, _)| *other == hash).filter_map(|(_, weak)| weak.upgrade()).collect()
    }

    pub(super) fn insert(&self, hash: u64, value: &Arc<T>) {
        let slot = self.hasher.hash_one(hash);
        let entry = (hash, Arc::downgrade(value));
        self.shard(hash).lock().insert_unique(slot, entry, |(hash, _)| self.hasher.hash_one(hash));
    }

    /// Removes a value, which may be about to be freed, if it is here.
    pub(super) fn remove(&self, hash: u64, value: *const T) {
        let slot = self.hasher.hash_one(hash);
        let mut entries = self.shard(hash).lock();
        if let Ok(entry) = entries.find_entry(slot, |(_, weak)| std::ptr::eq(weak.as_ptr(), value)) {
            entry.remove();
        }
    }

    fn shard(&self, hash: u64) -> &Mutex<Entries<T>> {
        &self.shards[hash as usize % SHARDS]
    }
}
