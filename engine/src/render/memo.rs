//! A cache of JSON that many sessions need alike: the operations between two shared fragments, and the JSON of a shared
//! fragment.
//!
//! The key is the fragments' addresses. An entry holds those weakly: an address cannot come to mean another fragment, and
//! the fragment's content is freed when nobody else needs it.

use std::sync::Arc;

use super::cache::Cache;
use super::fragment::{Fragment, WeakFragment};
use super::view::{Filter, ViewNode};
use crate::model::Text;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Cached JSON. Entries hold fragments weakly, so nothing of the application's can be dropped with one.
#[derive(Debug)]
pub(crate) struct Memo {
    json: Cache<Key, (Arc<str>, Pins)>,
    /// Something was evicted for want of space, and whether that has been reported.
    full: AtomicBool,
    reported: AtomicBool,
    diffs: AtomicU64,
    encodes: AtomicU64,
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

/// The fragments of a key, weakly.
type Pins = (Option<WeakFragment>, WeakFragment);

impl Memo {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            json: Cache::new(limit),
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
        if let Some(text) = self.json.find(&key, |(text, _)| Arc::clone(text)) {
            return Ok(text);
        }
        let (text, pins) = make()?;
        let text: Arc<str> = text.into();
        let bytes = text.len();
        if self.json.insert(key, (Arc::clone(&text), pins), bytes) {
            self.full.store(true, Ordering::Relaxed);
        }
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
        self.json.forget_unused()
    }

    /// Evicts everything.
    pub(crate) fn clear(&self) {
        self.json.clear();
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
