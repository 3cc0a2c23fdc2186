//! What every step of every subscription needs.

use crate::clock::millis;
use crate::config::Config;
use crate::protocol::encode::ENVELOPE_BYTES;
use crate::render::memo::Memo;

/// Bounds and cached texts that every step needs.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) memo: Memo,
    /// How long a tree or the operations of a patch may be, so that the frame around it keeps its bound.
    pub(crate) max_tree_bytes: usize,
    pub(crate) rebase_bytes: usize,
    pub(crate) max_nodes: usize,
    pub(crate) first_patch_ms: u64,
}

impl Delivery {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            memo: Memo::new(config.memory.cache_bytes),
            max_tree_bytes: config.sizes.frame_bytes.saturating_sub(ENVELOPE_BYTES),
            rebase_bytes: config.sizes.rebase_bytes,
            max_nodes: config.sizes.nodes,
            first_patch_ms: millis(config.times.first_patch_delay),
        }
    }
}
