//! A tree as a session sees it at one version.

use super::node::Node;

/// A node with all that was asked for below it, at one version of the session's tree. Later changes do not reach it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub(super) version: u64,
    pub(super) root: Node,
}

impl View {
    /// The version of the tree. It rises with every change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The node that was asked for.
    #[must_use]
    pub const fn root(&self) -> &Node {
        &self.root
    }

    /// The node at a path below the one that was asked for.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Node> {
        self.root.at(path)
    }
}
