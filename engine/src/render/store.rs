//! Where fragments are made: equal content is one fragment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use hashbrown::DefaultHashBuilder;

use super::fragment::{AllBlocks, BlockPool, Fragment, PackedNodes};
use super::node_ref::is_same_content;
use super::symbols::{Dictionary, Symbols};
use super::weak_table::WeakTable;
use crate::panics::guarded::Owner;
use crate::sync::{Mutex, RwLock};

/// How many dictionaries share the bytes that all may take.
const GENERATIONS: usize = 4;

/// A handle on everything that fragments share: the dictionaries and the table by which equal content is found.
///
/// A dictionary only grows. When the current one is full, the next generation of fragments gets another; the old one goes
/// with the last fragment that was packed with it. So what nobody uses any more makes room, and no reader takes a lock.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Generations>);

#[derive(Debug)]
struct Generations {
    current: RwLock<Arc<BlockPool>>,
    /// Those before, as long as somebody uses them.
    former: Mutex<Vec<Weak<BlockPool>>>,
    all: Arc<AllBlocks>,
    dictionary_bytes: usize,
}

/// The store as one packer uses it: everything that it packs is of one generation.
#[derive(Debug, Clone)]
pub(super) struct Packing {
    pool: Arc<BlockPool>,
    /// Whether the dictionary takes up what it does not know.
    learns: bool,
}

impl Store {
    /// An empty store whose dictionaries grow to about `dictionary_bytes`.
    pub(crate) fn new(dictionary_bytes: usize) -> Self {
        let all = AllBlocks {
            known: WeakTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes: AtomicUsize::new(0),
            owner: OnceLock::new(),
        };
        let all = Arc::new(all);
        let first = BlockPool { symbols: Symbols::new(dictionary_bytes / GENERATIONS), all: Arc::clone(&all) };
        let current = RwLock::new(Arc::new(first));
        Self(Arc::new(Generations { current, former: Mutex::default(), all, dictionary_bytes }))
    }

    /// The engine that is told if an action panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: Owner) {
        self.0.all.owner.get_or_init(|| owner);
    }

    /// Starts to pack. What an untrusted peer gave makes use of the dictionary and adds nothing to it.
    pub(super) fn pack(&self, is_untrusted: bool) -> Packing {
        Packing { pool: Arc::clone(&self.0.current.read()), learns: !is_untrusted }
    }

    /// Bytes held by all live fragments, the dictionaries not counted.
    pub(crate) fn fragment_bytes(&self) -> usize {
        self.0.all.bytes.load(Ordering::Relaxed)
    }

    /// About how many bytes the dictionaries hold.
    pub(crate) fn dictionary_bytes(&self) -> usize {
        self.0.current.read().symbols.bytes() + self.former_bytes()
    }

    fn former_bytes(&self) -> usize {
        // A generation may end here with its last handle, which is dropped without the lock.
        let former: Vec<_> = self.0.former.lock().iter().filter_map(Weak::upgrade).collect();
        former.iter().map(|pool| pool.symbols.bytes()).sum()
    }

    /// Starts another dictionary if the current one is full and all together would not become too large. Answers whether
    /// there is no room: then what is not known yet is packed less compactly.
    pub(crate) fn renew_dictionary(&self) -> bool {
        if !self.0.current.read().symbols.is_full() {
            return false;
        }
        let limit = self.0.dictionary_bytes / GENERATIONS;
        let held = self.former_bytes() + self.0.current.read().symbols.bytes();
        if limit == 0 || held + limit > self.0.dictionary_bytes {
            return true;
        }
        let next = Arc::new(BlockPool { symbols: Symbols::new(limit), all: Arc::clone(&self.0.all) });
        let full = std::mem::replace(&mut *self.0.current.write(), next);
        let mut former = self.0.former.lock();
        former.retain(|pool| pool.strong_count() > 0);
        former.push(Arc::downgrade(&full));
        drop(former);
        drop(full);
        false
    }
}

impl Packing {
    /// The dictionary for whoever packs.
    pub(super) fn dictionary(&self) -> Dictionary<'_> {
        self.pool.symbols.for_packing(self.learns)
    }

    pub(super) fn symbols(&self) -> &Symbols {
        &self.pool.symbols
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.pool.all.owner.get()
    }

    /// By which content is hashed.
    pub(super) fn hasher(&self) -> &DefaultHashBuilder {
        &self.pool.all.hasher
    }

    /// Turns packed nodes into a fragment, or finds the one that holds the same already, of whatever generation.
    pub(super) fn intern(&self, packed: PackedNodes) -> Fragment {
        let hash = packed.hash;
        let fresh = Fragment::new(&self.pool, packed);
        let is_same = |known: &Fragment| is_same_content(known, &fresh);
        // Compared and dropped without a lock: the last handle of a block takes the table's.
        if let Some(same) = Fragment::known(&self.pool, hash).find(is_same) {
            return same;
        }
        fresh.publish();
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills the current dictionary.
    fn fill(store: &Store) -> Packing {
        let packing = store.pack(false);
        (0..).take_while(|n| packing.dictionary().intern(&n.to_string()).is_some()).for_each(drop);
        packing
    }

    #[test]
    fn a_full_dictionary_is_followed_by_another_until_all_are_in_use() {
        let store = Store::new(8_000);
        assert!(!store.renew_dictionary(), "it is not full");
        let mut used = Vec::new();
        for _ in 0..3 {
            used.push(fill(&store));
            assert!(!store.renew_dictionary());
        }
        let last = fill(&store);
        assert!(store.renew_dictionary(), "all are in use");
        assert!(store.dictionary_bytes() <= 8_000 && last.dictionary().intern("new").is_none());
        used.remove(1);
        assert!(!store.renew_dictionary(), "one is not used any more");
        assert!(store.pack(false).dictionary().intern("new").is_some());
        assert!(store.dictionary_bytes() <= 8_000);
    }
}
