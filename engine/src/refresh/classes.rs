//! Trees that are the same for many sessions, within one pass.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use crate::render::fragment::Fragment;
use crate::render::layout::Layout;
use crate::render::tree::Tree;
use crate::sync::Mutex;

/// Sessions of which every part is shared share the tree as well: one view of ten thousand is one tree.
#[derive(Debug, Default)]
pub(super) struct Classes {
    trees: Mutex<HashTable<Arc<Tree>>>,
    hasher: DefaultHashBuilder,
}

impl Classes {
    /// The tree of these fragments, the same one for everybody who has all of them.
    pub(super) fn tree(&self, layout: Arc<Layout>, fragments: Vec<Fragment>) -> Arc<Tree> {
        if !fragments.iter().all(Fragment::is_shared) {
            return Arc::new(Tree::new(layout, fragments));
        }
        let hash = self.hash(&fragments);
        let mut trees = self.trees.lock();
        let same = |tree: &Arc<Tree>| tree.is_made_of(&layout, &fragments);
        match trees.entry(hash, same, |tree| self.hash(tree.fragments())) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(gap) => Arc::clone(gap.insert(Arc::new(Tree::new(layout, fragments))).get()),
        }
    }

    fn hash(&self, fragments: &[Fragment]) -> u64 {
        let addresses = fragments.iter().map(Fragment::address);
        addresses.fold(0, |hash, address| self.hasher.hash_one((hash, address)))
    }
}
