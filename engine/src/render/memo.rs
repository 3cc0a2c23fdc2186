//! Texts that many sessions need alike: the operations between two shared fragments, and the JSON of a shared fragment.
//!
//! The key is the fragments' addresses. An entry holds those weakly: an address cannot come to mean another fragment, and
//! the fragment's content is freed when nobody else needs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lru::LruCache;
use parking_lot::Mutex;

use super::fragment::{Fragment, WeakFragment};
use super::view::{Filter, ViewNode};
use crate::model::Text;

/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 256;

/// The texts, bounded in bytes; the least recently used goes first, and so does what nobody needs any more: texts are made
/// for many at once, and then seldom again.
#[derive(Debug)]
pub(crate) struct Memo {
    entries: Mutex<Entries>,
    limit: usize,
    /// Something was pushed out, and whether that has been told.
    full: AtomicBool,
    told: AtomicBool,
    diffs: AtomicU64,
    encodes: AtomicU64,
}

#[derive(Debug)]
struct Entries {
    texts: LruCache<Key, Entry>,
    bytes: usize,
    /// How often they were looked through.
    age: u32,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The address of the fragment before; 0 for the text of one fragment.
    old: usize,
    new: usize,
    /// The path from the subscription's root; empty for the text of one fragment.
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
            entries: Mutex::new(Entries { texts: LruCache::unbounded(), bytes: 0, age: 0 }),
            limit,
            full: AtomicBool::new(false),
            told: AtomicBool::new(false),
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
    pub(crate) fn node(&self, node: &ViewNode<'_>, make: impl FnOnce() -> String) -> Option<Arc<str>> {
        let fragment = shared(node)?;
        let made = || Ok::<_, std::convert::Infallible>((make(), (None, fragment.downgrade())));
        self.find_or(key(fragment, "", node), made).ok()
    }

    fn find_or<E>(&self, key: Key, make: impl FnOnce() -> Result<(String, Pins), E>) -> Result<Arc<str>, E> {
        if let Some(text) = self.entries.lock().find(&key) {
            return Ok(text);
        }
        let (text, pins) = make()?;
        let text: Arc<str> = text.into();
        let (dropped, full) = self.entries.lock().keep(key, Arc::clone(&text), pins, self.limit);
        if full {
            self.full.store(true, Ordering::Relaxed);
        }
        // Freed outside the lock: the last holder of a fragment does some work.
        drop(dropped);
        Ok(text)
    }

    /// Whether something was pushed out to make room, for the first time.
    pub(crate) fn is_newly_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
            && !self.told.load(Ordering::Relaxed)
            && !self.told.swap(true, Ordering::Relaxed)
    }

    /// Forgets what was not used since it was asked this the last time. False if nothing is left.
    pub(crate) fn forget_unused(&self) -> bool {
        let mut entries = self.entries.lock();
        let dropped = entries.grow_older();
        let left = !entries.texts.is_empty();
        drop(entries);
        drop(dropped);
        left
    }

    /// Forgets everything, and with it the fragments that nobody else holds.
    pub(crate) fn clear(&self) {
        let mut entries = self.entries.lock();
        entries.bytes = 0;
        let texts = std::mem::replace(&mut entries.texts, LruCache::unbounded());
        drop(entries);
        drop(texts);
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
        let entry = self.texts.get_mut(key)?;
        entry.used = age;
        Some(Arc::clone(&entry.text))
    }

    /// Keeps an entry. Answers what had to go, and whether that was for want of room.
    fn keep(&mut self, key: Key, text: Arc<str>, pins: Pins, limit: usize) -> (Vec<Entry>, bool) {
        let mut dropped = Vec::new();
        self.bytes += ENTRY_BYTES + text.len();
        if let Some(raced) = self.texts.put(key, Entry { text, used: self.age, _pins: pins }) {
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
        let (_, oldest) = self.texts.pop_lru()?;
        self.bytes -= ENTRY_BYTES + oldest.text.len();
        Some(oldest)
    }

    /// They stand in the order of their last use, so only those that go are looked at.
    fn grow_older(&mut self) -> Vec<Entry> {
        let mut dropped = Vec::new();
        while self.texts.peek_lru().is_some_and(|(_, oldest)| oldest.used < self.age) {
            dropped.extend(self.pop());
        }
        self.age = self.age.wrapping_add(1);
        if self.texts.is_empty() {
            self.texts = LruCache::unbounded();
        }
        dropped
    }
}

/// The fragment that a node shows, if it is not somebody's own: then keeping its text would only push out what is shared. What a filter lets through is not remembered: filters are the
/// consumer's free choice, and there is no end to them.
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
