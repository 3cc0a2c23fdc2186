//! Writes a view within the engine's bounds.

use super::delivery::Delivery;
use crate::render::fragment::Fragment;
use crate::render::text;
use crate::render::tree::TreeNode;
use crate::render::view::{View, ViewOptions};

/// A view that fits a frame, as JSON text.
pub(super) struct Fitted {
    pub(super) tree: String,
    /// The budget that it took.
    pub(super) budget: Option<usize>,
    /// How many nodes there were, if some had to be collapsed for it.
    pub(super) compacted: Option<usize>,
}

/// Writes a view within the engine's bounds; `None` if no budget makes it small enough.
pub(super) fn fit(
    options: &ViewOptions,
    node: TreeNode<'_>,
    loaded: Option<(u64, &Fragment)>,
    nodes: usize,
    delivery: &Delivery,
) -> Option<Fitted> {
    let mut budget = (nodes > delivery.max_nodes).then_some(delivery.max_nodes);
    let mut can_fit = false;
    loop {
        let view = View::new(options, node, loaded).within_bound(budget);
        if let Ok(tree) = text::node(view.root(), &delivery.memo, delivery.max_tree_bytes) {
            return Some(Fitted { tree, budget, compacted: budget.and_then(|_| view.compacted_from()) });
        }
        // Half as many nodes each time, until it fits or nothing is left to collapse.
        let shown = view.count();
        let half = budget.unwrap_or(shown).min(shown) / 2;
        can_fit = can_fit || fits_collapsed(options, node, loaded, delivery);
        if half == 0 || !can_fit {
            return None;
        }
        budget = Some(half);
    }
}

/// Whether the view fits when all is collapsed that may be: if not, no budget helps, and none need be tried.
fn fits_collapsed(
    options: &ViewOptions,
    node: TreeNode<'_>,
    loaded: Option<(u64, &Fragment)>,
    delivery: &Delivery,
) -> bool {
    let view = View::new(options, node, loaded).within(1);
    text::node(view.root(), &delivery.memo, delivery.max_tree_bytes).is_ok()
}
