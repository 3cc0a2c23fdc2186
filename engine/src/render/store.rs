//! Where fragments are made: equal content is one fragment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::DefaultHashBuilder;

use super::fragment::{BlockPool, Fragment, PackedNodes};
use super::node_ref::is_same_content;
use super::symbols::{Dictionary, Symbols};
use super::weak_table::WeakTable;
use crate::panics::guarded::Owner;

/// A handle on everything that fragments share: the dictionary and the table by which equal content is found.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: Arc<BlockPool>,
    /// Whether the dictionary takes up what it does not know.
    learns: bool,
}

impl Store {
    /// An empty store whose dictionary grows to about `dictionary_bytes`.
    pub(crate) fn new(dictionary_bytes: usize) -> Self {
        let pool = BlockPool {
            symbols: Symbols::new(dictionary_bytes),
            known: WeakTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes: AtomicUsize::new(0),
            owner: OnceLock::new(),
        };
        Self { pool: Arc::new(pool), learns: true }
    }

    /// The same store, for what an untrusted peer gave: it makes use of the dictionary and adds nothing to it.
    pub(super) fn for_untrusted(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), learns: false }
    }

    /// The dictionary for whoever packs.
    pub(super) fn dictionary(&self) -> Dictionary<'_> {
        self.pool.symbols.for_packing(self.learns)
    }

    /// The engine that is told if an action panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: Owner) {
        self.pool.owner.get_or_init(|| owner);
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.pool.owner.get()
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        &self.pool.symbols
    }

    /// By which content is hashed.
    pub(super) fn hasher(&self) -> &DefaultHashBuilder {
        &self.pool.hasher
    }

    /// Bytes held by all live fragments, the dictionary not counted.
    pub(crate) fn fragment_bytes(&self) -> usize {
        self.pool.bytes.load(Ordering::Relaxed)
    }

    /// Turns packed nodes into a fragment, or finds the one that holds the same already.
    pub(super) fn intern(&self, packed: PackedNodes) -> Fragment {
        let hash = packed.hash;
        let fresh = Fragment::new(&self.pool, packed);
        // Compared and dropped without a lock: the last handle of a block takes the table's.
        if let Some(same) = Fragment::known(&self.pool, hash).find(|known| is_same_content(known, &fresh)) {
            return same;
        }
        fresh.publish();
        fresh
    }
}
