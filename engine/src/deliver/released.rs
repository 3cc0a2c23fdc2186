//! What is let go of while an outbox is locked.

use std::sync::Arc;

use smallvec::SmallVec;

use super::query::PendingQuery;
use super::versioned::Versioned;
use crate::render::tree::Tree;

/// Values that may be the last handle of something of the application's: a tree holds fragments, these hold actions, and
/// actions hold closures, whose `Drop` may call the engine. They are collected here while a lock is held, and dropped
/// when it is released.
#[derive(Debug, Default)]
pub(crate) struct Released {
    trees: SmallVec<[Arc<Tree>; 2]>,
    queries: Vec<PendingQuery>,
}

impl Released {
    pub(crate) fn tree(&mut self, tree: Option<Versioned>) {
        self.trees.extend(tree.map(|tree| tree.tree));
    }

    pub(crate) fn query(&mut self, query: PendingQuery) {
        self.queries.push(query);
    }
}
