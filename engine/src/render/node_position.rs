//! Where a node stands while its tree is built.

use crate::model::nesting::TREE_LEVELS;
use crate::model::path::segments;

/// The position of a node, and how many levels may still follow. The path is put together only when somebody needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodePosition<'p> {
    /// The path, for the topmost; the id, for those below.
    name: &'p str,
    above: Option<&'p Self>,
    /// Levels from this node on, itself included.
    pub(super) depth: u32,
}

impl<'p> NodePosition<'p> {
    /// The topmost node of what is built, at a path in the normal spelling: at most `depth` levels from here on, and no
    /// more than a tree may have.
    pub(super) fn top(path: &'p str, depth: u32) -> Self {
        let above = u32::try_from(segments(path).count()).unwrap_or(u32::MAX);
        Self { name: path, above: None, depth: depth.min(TREE_LEVELS.saturating_sub(above)) }
    }

    pub(super) fn below<'c>(&'c self, id: &'c str) -> NodePosition<'c> {
        NodePosition { name: id, above: Some(self), depth: self.depth.saturating_sub(1) }
    }

    /// The path in the normal spelling.
    pub(super) fn path(&self) -> String {
        let Some(above) = self.above else { return self.name.to_owned() };
        let mut path = above.path();
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(self.name);
        path
    }
}
