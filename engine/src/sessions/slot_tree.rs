//! The tree that a session shows, and its version. Only here does a slot get a tree or lose it, so each is counted.

use std::sync::Arc;

use super::committed_trees::CommittedTrees;
use crate::deliver::versioned::Versioned;
use crate::render::tree::Tree;

/// The current tree of one slot.
#[derive(Debug, Default)]
pub(super) struct SlotTree {
    tree: Option<Arc<Tree>>,
    /// The version of the latest tree, whether it is still here or not; 0 before the first.
    version: u64,
}

impl SlotTree {
    pub(super) const fn get(&self) -> Option<&Arc<Tree>> {
        self.tree.as_ref()
    }

    /// The version of the latest tree; 0 if there was none.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn current(&self) -> Option<Versioned> {
        self.tree.clone().map(|tree| Versioned { tree, version: self.version })
    }

    /// The same content by other sources: the version stays. Returns the tree before.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn exchange(&mut self, tree: Arc<Tree>) -> Arc<Tree> {
        std::mem::replace(self.tree.as_mut().expect("it is exchanged for one that is here"), tree)
    }

    /// Another tree becomes the current one. Returns its version, and the tree before. It is counted first: whoever sees the
    /// tree sees the counts.
    pub(super) fn replace(
        &mut self,
        tree: Arc<Tree>,
        trees: &CommittedTrees,
        pass_started_ms: u64,
    ) -> (u64, Option<Arc<Tree>>) {
        self.version = trees.add(self.version, self.tree.is_none(), pass_started_ms);
        (self.version, self.tree.replace(tree))
    }

    /// Lets the tree go.
    pub(super) fn take(&mut self, trees: &CommittedTrees) -> Option<Arc<Tree>> {
        trees.remove(self.tree.is_some());
        self.tree.take()
    }
}
