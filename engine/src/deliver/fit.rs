//! Writes a view within the engine's bounds.

use super::delivery::Delivery;
use crate::render::text;
use crate::render::view::{KnownOrders, View};

/// A view that fits a frame, as JSON text.
pub(super) struct Fitted {
    pub(super) tree: String,
    /// The budget that it took.
    pub(super) budget: Option<usize>,
    /// How many nodes there were, if some had to be collapsed for it.
    pub(super) compacted: Option<usize>,
}

/// Writes a view of a tree with so many nodes within the engine's bounds; `None` if no budget makes it small enough.
pub(super) fn fit(
    mut view: View<'_>,
    known: Option<KnownOrders<'_>>,
    nodes: usize,
    delivery: &Delivery,
) -> Option<Fitted> {
    let mut budget = (nodes > delivery.max_nodes).then_some(delivery.max_nodes);
    let mut can_fit = false;
    loop {
        view = view.within(budget, known);
        if let Ok(tree) = text::node(view.root(), &delivery.memo, delivery.max_tree_bytes) {
            return Some(Fitted { tree, budget, compacted: budget.and_then(|_| view.compacted_from()) });
        }
        // Half as many nodes each time, until it fits or nothing is left to collapse.
        let shown = view.count();
        let half = budget.unwrap_or(shown).min(shown) / 2;
        can_fit = can_fit || fits_collapsed(view.clone(), known, delivery);
        if half == 0 || !can_fit {
            return None;
        }
        budget = Some(half);
    }
}

/// Whether the view fits when all is collapsed that may be: if not, no budget helps, and none need be tried.
fn fits_collapsed(view: View<'_>, known: Option<KnownOrders<'_>>, delivery: &Delivery) -> bool {
    text::node(view.within(Some(1), known).root(), &delivery.memo, delivery.max_tree_bytes).is_ok()
}
