//! Where fragments are made: equal content is one fragment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::DefaultHashBuilder;

use super::fragment::{BlockPool, Fragment, PackedNodes};
use super::node_ref::is_same_content;
use super::symbols::Symbols;
use super::weak_table::WeakTable;
use crate::panics::guarded::Owner;

/// A handle on everything that fragments share: the dictionary and the table by which equal content is found.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<BlockPool>);

impl Store {
    /// An empty store whose dictionary grows to about `dictionary_bytes`.
    pub(crate) fn new(dictionary_bytes: usize) -> Self {
        Self(Arc::new(BlockPool {
            symbols: Symbols::new(dictionary_bytes),
            known: WeakTable::new(),
            hasher: DefaultHashBuilder::default(),
            bytes: AtomicUsize::new(0),
            owner: OnceLock::new(),
        }))
    }

    /// The engine that is told if an action panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: Owner) {
        self.0.owner.get_or_init(|| owner);
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.0.owner.get()
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        &self.0.symbols
    }

    /// By which content is hashed.
    pub(super) fn hasher(&self) -> &DefaultHashBuilder {
        &self.0.hasher
    }

    /// Bytes held by all live fragments, the dictionary not counted.
    pub(crate) fn fragment_bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Turns packed nodes into a fragment, or finds the one that holds the same already.
    pub(super) fn intern(&self, packed: PackedNodes) -> Fragment {
        let hash = packed.hash;
        let fresh = Fragment::new(&self.0, packed);
        // Compared and dropped without a lock: the last handle of a block takes the table's.
        if let Some(same) = Fragment::known(&self.0, hash).find(|known| is_same_content(known, &fresh)) {
            return same;
        }
        fresh.publish();
        fresh
    }
}
