//! A cache of JSON that many sessions need alike: the operations between two shared fragments, and the JSON of a shared
//! fragment.
//!
//! The key is the fragments' addresses. An entry holds those weakly: an address cannot come to mean another fragment, and
//! the fragment's content is freed when nobody else needs it.

use std::sync::Arc;

use lru::LruCache;

use super::fragment::{Fragment, WeakFragment};
use super::view::{Filter, ViewNode};
use crate::model::Text;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};

/// What an entry costs beside its JSON.
const ENTRY_BYTES: usize = 256;

/// Cached JSON, bounded in bytes; the least recently used goes first, and so does what nobody needs any more: an entry is
/// used by many at once, and then seldom again.
///
/// The lock guards the table and its count of bytes; JSON is written without it. Entries hold fragments weakly, so nothing
/// of the application's can be dropped with one. What is evicted is still handed out and freed when the lock is released,
/// since it may be much.
#[derive(Debug)]
pub(crate) struct Memo {
    entries: Mutex<Entries>,
    limit: usize,
    /// Something was evicted for want of space, and whether that has been reported.
    full: AtomicBool,
    reported: AtomicBool,
    diffs: AtomicU64,
    encodes: AtomicU64,
}

#[derive(Debug)]
struct Entries {
    json: LruCache<Key, Entry>,
    bytes: usize,
    /// How often unused entries were evicted.
    age: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The address of the fragment before; 0 for the JSON of one fragment.
    old: usize,
    new: usize,
    /// The path from the subscription's root; empty for the JSON of one fragment.
    at: Text,
    /// How many levels may follow.
    depth: Option<u32>,
}

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    /// The age of the entries when it was last used.
    used: u32,
    _pins: Pins,
}

/// The fragments of a key, weakly.
type Pins = (Option<WeakFragment>, WeakFragment);

impl Memo {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::new(Entries { json: LruCache::unbounded(), bytes: 0, age: 0 }),
            limit,
            full: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            diffs: AtomicU64::new(0),
            encodes: AtomicU64::new(0),
        }
    }

    /// The operations between two shared fragments, made once. `None` if they are not shared.
    pub(crate) fn ops<E>(
        &self,
        old: &ViewNode<'_>,
        new: &ViewNode<'_>,
        at: &str,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Option<Result<Arc<str>, E>> {
        let (before, after) = (old.whole_fragment()?, shared(new)?);
        let key = Key { old: before.address(), ..key(after, at, new) };
        Some(self.find_or(key, || Ok((make()?, (Some(before.downgrade()), after.downgrade())))))
    }

    /// The JSON of a shared fragment, made once. `None` if it is not shared.
    pub(crate) fn node<E>(
        &self,
        node: &ViewNode<'_>,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Option<Result<Arc<str>, E>> {
        let fragment = shared(node)?;
        Some(self.find_or(key(fragment, "", node), || Ok((make()?, (None, fragment.downgrade())))))
    }

    fn find_or<E>(&self, key: Key, make: impl FnOnce() -> Result<(String, Pins), E>) -> Result<Arc<str>, E> {
        if let Some(text) = self.entries.lock().find(&key) {
            return Ok(text);
        }
        let (text, pins) = make()?;
        let text: Arc<str> = text.into();
        let (dropped, full) = self.entries.lock().insert(key, Arc::clone(&text), pins, self.limit);
        if full {
            self.full.store(true, Ordering::Relaxed);
        }
        // Freed without the lock.
        drop(dropped);
        Ok(text)
    }

    /// Whether something was evicted to make space, for the first time.
    pub(crate) fn is_newly_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
            && !self.reported.load(Ordering::Relaxed)
            && !self.reported.swap(true, Ordering::Relaxed)
    }

    /// Evicts what was not used since this was called the last time. Returns false if nothing is left.
    pub(crate) fn forget_unused(&self) -> bool {
        let mut entries = self.entries.lock();
        let dropped = entries.grow_older();
        let left = !entries.json.is_empty();
        drop(entries);
        drop(dropped);
        left
    }

    /// Evicts everything.
    pub(crate) fn clear(&self) {
        let mut entries = self.entries.lock();
        entries.bytes = 0;
        let json = std::mem::replace(&mut entries.json, LruCache::unbounded());
        drop(entries);
        drop(json);
    }

    pub(crate) fn count_diff(&self) {
        self.diffs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_encode(&self) {
        self.encodes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn diffs(&self) -> u64 {
        self.diffs.load(Ordering::Relaxed)
    }

    pub(crate) fn encodes(&self) -> u64 {
        self.encodes.load(Ordering::Relaxed)
    }
}

impl Entries {
    fn find(&mut self, key: &Key) -> Option<Arc<str>> {
        let age = self.age;
        let entry = self.json.get_mut(key)?;
        entry.used = age;
        Some(Arc::clone(&entry.text))
    }

    /// Adds an entry. Returns what was evicted, and whether that was for want of space.
    fn insert(&mut self, key: Key, text: Arc<str>, pins: Pins, limit: usize) -> (Vec<Entry>, bool) {
        let mut dropped = Vec::new();
        self.bytes += ENTRY_BYTES + text.len();
        if let Some(raced) = self.json.put(key, Entry { text, used: self.age, _pins: pins }) {
            self.bytes -= ENTRY_BYTES + raced.text.len();
            dropped.push(raced);
        }
        let full = self.bytes > limit;
        while self.bytes > limit {
            let Some(oldest) = self.pop() else { break };
            dropped.push(oldest);
        }
        (dropped, full)
    }

    fn pop(&mut self) -> Option<Entry> {
        let (_, oldest) = self.json.pop_lru()?;
        self.bytes -= ENTRY_BYTES + oldest.text.len();
        Some(oldest)
    }

    /// They stand in the order of their last use, so only those that go are looked at.
    fn grow_older(&mut self) -> Vec<Entry> {
        let mut dropped = Vec::new();
        while self.json.peek_lru().is_some_and(|(_, oldest)| oldest.used < self.age) {
            dropped.extend(self.pop());
        }
        self.age = self.age.wrapping_add(1);
        if self.json.is_empty() {
            self.json = LruCache::unbounded();
        }
        dropped
    }
}

/// The fragment that a node shows, if more than one session has it: the JSON of another would only evict what is shared.
/// What a filter lets through is not cached: filters are the consumer's free choice, and there is no end to them.
fn shared<'v>(node: &ViewNode<'v>) -> Option<&'v Fragment> {
    let fragment = node.whole_fragment()?;
    (fragment.is_shared() && node.options().filter == Filter::default()).then_some(fragment)
}

fn key(fragment: &Fragment, at: &str, node: &ViewNode<'_>) -> Key {
    let options = node.options();
    Key {
        old: 0,
        new: fragment.address(),
        at: at.into(),
        depth: options.depth.map(|depth| depth.saturating_sub(node.level())),
    }
}
