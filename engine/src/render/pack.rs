//! From a descriptor to a fragment: each node is sanitised, then packed into bytes.

mod action_lists;
mod block_builder;
mod cut;
mod prior;
mod packer;

#[cfg(test)]
mod tests;

use super::descriptor::{Descriptor, Item};
use super::fragment::Fragment;
use super::node_position::NodePosition;
use super::node_ref::NodeRef;
use super::sanitise::child::Child;
use super::sanitise::violation::Violations;
use super::sanitise::{Sanitiser, kind_of};
use super::store::{Packing, Store};
use packer::Packer;

/// How much one fragment may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackLimits {
    pub(crate) nodes: u32,
    pub(crate) depth: u32,
    /// Per node.
    pub(crate) properties: usize,
}

/// A packed fragment, and what had to be dropped on the way.
pub(crate) struct PackedResult {
    pub(crate) fragment: Fragment,
    /// A list is shown only in part because there were too many nodes.
    pub(crate) is_cut: bool,
    pub(crate) violations: Violations,
}

/// Packs one node and all below it. `path` is where the node will stand, in the normal spelling; `prior` is what stood
/// there before, of which whatever is still the same is reused.
pub(super) fn node(
    packing: Packing,
    limits: PackLimits,
    path: &str,
    id: &str,
    shape: &Descriptor,
    prior: Option<&Fragment>,
) -> PackedResult {
    let sanitiser = Sanitiser::new(limits.nodes.saturating_sub(1), limits.properties);
    let mut packer = Packer::new(packing, sanitiser);
    let mut block = packer.block();
    let child = Child { id, kind: kind_of(shape), shape };
    packer.node(&mut block, &NodePosition::top(path, limits.depth), child, prior.map(NodeRef::root_of));
    let fragment = packer.finish(block);
    // It was found, and not as what this session had before: somebody else has the same.
    if fragment.holders() > 1 && !prior.is_some_and(|prior| prior.is(&fragment)) {
        fragment.share();
    }
    PackedResult { fragment, is_cut: packer.is_cut(), violations: packer.into_violations() }
}

/// Packs items that stand side by side under `parent`.
pub(crate) fn items(store: &Store, limits: PackLimits, parent: &str, items: Vec<Item>) -> PackedResult {
    let holder = Descriptor::default().items(items);
    let position = NodePosition::top(parent, limits.depth);
    let mut sanitiser = Sanitiser::new(limits.nodes, limits.properties);
    let children = sanitiser.children(&position, &holder, None::<std::iter::Empty<_>>).shown;
    siblings(store, sanitiser, &position, children)
}

/// Packs some children of a node that is too long to be shown whole: `choose` is given the place of each, and its id.
pub(crate) fn some_children(
    store: &Store,
    limits: PackLimits,
    parent: &str,
    shape: &Descriptor,
    choose: impl Fn(u64, &str) -> bool,
) -> PackedResult {
    let position = NodePosition::top(parent, limits.depth);
    // What is wrong with the list was reported when it was rendered.
    let mut whole = Sanitiser::new(u32::MAX, limits.properties);
    let all = whole.children(&position, shape, None::<std::iter::Empty<_>>).shown;
    let chosen = (0..).zip(all).filter(|(place, child)| choose(*place, child.id)).map(|(_, child)| child);
    let chosen: Vec<_> = chosen.take(limits.nodes as usize).collect();
    let left = limits.nodes.saturating_sub(chosen.len() as u32);
    siblings(store, Sanitiser::new(left, limits.properties), &position, chosen)
}

fn siblings(
    store: &Store,
    sanitiser: Sanitiser,
    position: &NodePosition<'_>,
    children: Vec<Child<'_>>,
) -> PackedResult {
    let mut packer = Packer::new(store.pack(false), sanitiser);
    let mut block = packer.block();
    for child in children {
        packer.node(&mut block, &position.below(child.id), child, None);
    }
    let fragment = packer.finish(block);
    PackedResult { fragment, is_cut: packer.is_cut(), violations: packer.into_violations() }
}
