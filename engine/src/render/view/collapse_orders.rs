//! The orders in which nodes of views are collapsed, each found once for all budgets.

use std::sync::{Arc, Weak};

use super::collapse_order::CollapseOrder;
use super::options::{TypeSet, ViewOptions};
use crate::model::Text;
use crate::render::cache::Cache;
use crate::render::tree::Tree;
use crate::sync::{AtomicU64, Ordering};

/// Orders that were found, bounded in bytes. An entry holds its tree weakly: the address cannot come to mean another tree,
/// and the tree's content is freed when nobody else needs it.
#[derive(Debug)]
pub(crate) struct CollapseOrders {
    orders: Cache<Key, (Arc<CollapseOrder>, Weak<Tree>)>,
    limit: usize,
    found: AtomicU64,
}

/// All that decides about the order: not the budget, nor which part of a list is asked for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The address of the tree.
    tree: usize,
    path: Text,
    depth: Option<u32>,
    types: Option<TypeSet>,
    /// The bits of a number.
    min_salience: Option<u64>,
    /// A window shows only what is part of the list itself.
    is_windowed: bool,
}

impl CollapseOrders {
    pub(crate) fn new(limit: usize) -> Self {
        Self { orders: Cache::new(limit), limit, found: AtomicU64::new(0) }
    }

    /// The order of a view of this tree through these options, which `find` finds if it is not known.
    pub(super) fn of(
        &self,
        tree: &Arc<Tree>,
        options: &ViewOptions,
        find: impl FnOnce() -> CollapseOrder,
    ) -> Arc<CollapseOrder> {
        let key = key(tree, options);
        if let Some(known) = self.orders.find(&key, |(order, _)| Arc::clone(order)) {
            return known;
        }
        self.found.fetch_add(1, Ordering::Relaxed);
        let order = Arc::new(find());
        let bytes = order.bytes() + options.bytes();
        // One that is too large must not evict all others.
        if bytes <= self.limit / 2 {
            self.orders.insert(key, (Arc::clone(&order), Arc::downgrade(tree)), bytes);
        }
        order
    }

    /// How many were found since the start.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// Evicts what was not used since this was called the last time. Returns false if nothing is left.
    pub(crate) fn forget_unused(&self) -> bool {
        self.orders.forget_unused()
    }

    /// Evicts everything.
    pub(crate) fn clear(&self) {
        self.orders.clear();
    }
}

fn key(tree: &Arc<Tree>, options: &ViewOptions) -> Key {
    let filter = &options.filter;
    Key {
        tree: Arc::as_ptr(tree) as usize,
        path: options.path.clone(),
        depth: options.depth,
        types: filter.types.clone(),
        min_salience: filter.min_salience.map(f64::to_bits),
        is_windowed: options.window.is_some(),
    }
}
