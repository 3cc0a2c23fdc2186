//! A tree with its version.

use std::sync::Arc;

use crate::render::tree::Tree;

/// A tree and the version that its messages carry.
#[derive(Debug, Clone)]
pub(crate) struct Versioned {
    pub(crate) tree: Arc<Tree>,
    pub(crate) version: u64,
}
