//! What every step of every subscription needs.

use std::sync::Arc;

use crate::clock::millis;
use crate::config::Config;
use crate::protocol::encode::ENVELOPE_BYTES;
use crate::render::memo::Memo;
use crate::render::tree::Tree;
use crate::render::view::{CollapseOrders, KnownOrders};

/// One part in so many of the cache is for the orders in which nodes are collapsed, the rest for texts: neither evicts the
/// other, since both are at the mercy of what consumers choose.
const ORDERS_SHARE: usize = 4;

/// Bounds and cached texts that every step needs.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) memo: Memo,
    pub(crate) orders: CollapseOrders,
    /// How long a tree or the operations of a patch may be, so that the frame around it keeps its bound.
    pub(crate) max_tree_bytes: usize,
    pub(crate) rebase_bytes: usize,
    pub(crate) max_nodes: usize,
    pub(crate) first_patch_ms: u64,
}

impl Delivery {
    pub(crate) fn new(config: &Config) -> Self {
        let orders_bytes = config.memory.cache_bytes / ORDERS_SHARE;
        Self {
            memo: Memo::new(config.memory.cache_bytes - orders_bytes),
            orders: CollapseOrders::new(orders_bytes),
            max_tree_bytes: config.sizes.frame_bytes.saturating_sub(ENVELOPE_BYTES),
            rebase_bytes: config.sizes.rebase_bytes,
            max_nodes: config.sizes.nodes,
            first_patch_ms: millis(config.times.first_patch_delay),
        }
    }

    /// For views that show nothing but a part of this tree.
    pub(crate) const fn known_orders<'a>(&'a self, tree: &'a Arc<Tree>) -> KnownOrders<'a> {
        KnownOrders { orders: &self.orders, tree }
    }

    /// Evicts what was cached and not used since this was called the last time. Returns false if nothing is left.
    pub(crate) fn forget_unused(&self) -> bool {
        let texts_left = self.memo.forget_unused();
        self.orders.forget_unused() || texts_left
    }

    /// Evicts all that was cached.
    pub(crate) fn clear_caches(&self) {
        self.memo.clear();
        self.orders.clear();
    }
}
