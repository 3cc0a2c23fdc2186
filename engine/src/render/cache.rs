//! A cache that is bounded in bytes.

use std::hash::Hash;

use lru::LruCache;

use crate::sync::Mutex;

/// What an entry costs beside its value.
const ENTRY_BYTES: usize = 256;

/// Values that many need at about the same time, bounded in bytes; the least recently used goes first, and so does what
/// nobody needs any more: a value is used by many at once, and then seldom again.
///
/// The lock guards the table and its count of bytes; values are made without it. What is evicted is handed out and freed
/// when the lock is released, since it may be much.
#[derive(Debug)]
pub(super) struct Cache<K: Hash + Eq, V> {
    entries: Mutex<Entries<K, V>>,
    limit: usize,
}

#[derive(Debug)]
struct Entries<K: Hash + Eq, V> {
    table: LruCache<K, Entry<V>>,
    bytes: usize,
    /// How often unused entries were evicted.
    age: u32,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    /// The age of the entries when it was last used.
    used: u32,
}

impl<K: Hash + Eq, V> Cache<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: Mutex::new(Entries::new()), limit }
    }

    /// What `read` takes of the value with this key, if it is here. It runs under the lock.
    pub(super) fn find<R>(&self, key: &K, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.entries.lock().find(key).map(read)
    }

    /// Adds a value of so many bytes. Returns whether something was evicted for want of space.
    pub(super) fn insert(&self, key: K, value: V, bytes: usize) -> bool {
        let (dropped, full) = self.entries.lock().insert(key, value, ENTRY_BYTES + bytes, self.limit);
        // Freed without the lock.
        drop(dropped);
        full
    }

    /// Evicts what was not used since this was called the last time. Returns false if nothing is left.
    pub(super) fn forget_unused(&self) -> bool {
        let mut entries = self.entries.lock();
        let dropped = entries.grow_older();
        let left = !entries.table.is_empty();
        drop(entries);
        drop(dropped);
        left
    }

    /// Evicts everything.
    pub(super) fn clear(&self) {
        let mut entries = self.entries.lock();
        entries.bytes = 0;
        let table = std::mem::replace(&mut entries.table, LruCache::unbounded());
        drop(entries);
        drop(table);
    }
}

impl<K: Hash + Eq, V> Entries<K, V> {
    fn new() -> Self {
        Self { table: LruCache::unbounded(), bytes: 0, age: 0 }
    }

    fn find(&mut self, key: &K) -> Option<&V> {
        let entry = self.table.get_mut(key)?;
        entry.used = self.age;
        Some(&entry.value)
    }

    /// Returns what was evicted, and whether that was for want of space.
    fn insert(&mut self, key: K, value: V, bytes: usize, limit: usize) -> (Vec<Entry<V>>, bool) {
        let mut dropped = Vec::new();
        self.bytes += bytes;
        if let Some(raced) = self.table.put(key, Entry { value, bytes, used: self.age }) {
            self.bytes -= raced.bytes;
            dropped.push(raced);
        }
        let full = self.bytes > limit;
        while self.bytes > limit {
            let Some(oldest) = self.pop() else { break };
            dropped.push(oldest);
        }
        (dropped, full)
    }

    fn pop(&mut self) -> Option<Entry<V>> {
        let (_, oldest) = self.table.pop_lru()?;
        self.bytes -= oldest.bytes;
        Some(oldest)
    }

    /// They stand in the order of their last use, so only those that go are looked at.
    fn grow_older(&mut self) -> Vec<Entry<V>> {
        let mut dropped = Vec::new();
        while self.table.peek_lru().is_some_and(|(_, oldest)| oldest.used < self.age) {
            dropped.extend(self.pop());
        }
        self.age = self.age.wrapping_add(1);
        if self.table.is_empty() {
            self.table = LruCache::unbounded();
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen to a cache.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Insert(u8, usize),
        Find(u8),
        GrowOlder,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..8_u8, 1..50_usize).prop_map(|(key, bytes)| Step::Insert(key, bytes)),
            4 => (0..8_u8).prop_map(Step::Find),
            1 => Just(Step::GrowOlder),
        ]
    }

    /// The entries in the order of their last use, each with its bytes and whether it was used since the last step in age.
    #[derive(Debug, Default)]
    struct Model(Vec<(u8, usize, bool)>);

    impl Model {
        fn bytes(&self) -> usize {
            self.0.iter().map(|(_, bytes, _)| bytes).sum()
        }

        fn find(&mut self, key: u8) -> bool {
            let Some(at) = self.0.iter().position(|(known, ..)| *known == key) else { return false };
            let (_, bytes, _) = self.0.remove(at);
            self.0.push((key, bytes, true));
            true
        }

        /// Returns whether something had to go for it.
        fn insert(&mut self, key: u8, bytes: usize, limit: usize) -> bool {
            self.0.retain(|(known, ..)| *known != key);
            self.0.push((key, bytes, true));
            let before = self.0.len();
            while self.bytes() > limit {
                self.0.remove(0);
            }
            self.0.len() < before
        }

        fn grow_older(&mut self) {
            self.0.retain(|(.., is_used)| *is_used);
            self.0.iter_mut().for_each(|(.., is_used)| *is_used = false);
        }
    }

    proptest! {
        #[test]
        fn the_least_recently_used_goes_first_and_what_is_not_used_goes_anyway(
            limit in 20..200_usize,
            steps in prop::collection::vec(step(), 0..100),
        ) {
            let (mut entries, mut model) = (Entries::new(), Model::default());
            for step in steps {
                match step {
                    Step::Insert(key, bytes) => {
                        let (_, full) = entries.insert(key, key, bytes, limit);
                        prop_assert_eq!(full, model.insert(key, bytes, limit));
                    }
                    Step::Find(key) => {
                        let expected = model.find(key).then_some(key);
                        prop_assert_eq!(entries.find(&key).copied(), expected);
                    }
                    Step::GrowOlder => {
                        entries.grow_older();
                        model.grow_older();
                    }
                }
                let known: Vec<u8> = entries.table.iter().rev().map(|(key, _)| *key).collect();
                prop_assert_eq!(known, model.0.iter().map(|(key, ..)| *key).collect::<Vec<_>>());
                prop_assert_eq!(entries.bytes, model.bytes());
            }
        }
    }
}
