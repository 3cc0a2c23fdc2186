//! Checks what an application gave, node by node, before it is packed. What consumers reject (contract 1.10 and 2.5), or
//! what is over a bound, is dropped and reported as a [`Violation`](violation::Violation); the rest passes as it is, without a copy.

pub(crate) mod violation;
mod props;
mod actions;
pub(super) mod child;
mod children;
mod meta;

use std::borrow::Cow;

use super::action::Action;
use super::descriptor::Descriptor;
use super::node_position::NodePosition;
use crate::model::Text;
use crate::model::content_ref::ContentRef;
use crate::model::meta::Meta;
use crate::model::value::Value;
use child::Child;
pub(super) use children::{Listed, kind_of};
use violation::Violations;

/// Goes through the nodes of one fragment, from the top down.
#[derive(Debug)]
pub(super) struct Sanitiser {
    /// How many nodes may still be added. Children are counted when their parent is sanitised, so no list below them can
    /// take their place.
    nodes_left: usize,
    max_properties: usize,
    is_cut: bool,
    violations: Violations,
}

/// A node that may be packed as it is.
#[derive(Debug)]
pub(super) struct CleanNode<'d> {
    pub(super) id: &'d str,
    pub(super) kind: &'d str,
    pub(super) props: Option<Cow<'d, [(Text, Value)]>>,
    pub(super) meta: Cow<'d, Meta>,
    pub(super) actions: Cow<'d, [Action]>,
    pub(super) content_ref: Option<&'d ContentRef>,
    pub(super) children: Vec<Child<'d>>,
}

impl Sanitiser {
    pub(super) fn new(nodes: u32, max_properties: usize) -> Self {
        Self { nodes_left: nodes as usize, max_properties, is_cut: false, violations: Violations::default() }
    }

    /// Sanitises one node. `known_ids` are the ids of the children that passed the last time, in their order, if
    /// there was a last time.
    pub(super) fn node<'d, 'k>(
        &mut self,
        at: &NodePosition<'_>,
        child: Child<'d>,
        known_ids: Option<impl Iterator<Item = &'k str>>,
    ) -> CleanNode<'d> {
        let Child { id, kind, shape } = child;
        let mut meta = meta::of(shape, at, &mut self.violations);
        let actions = actions::unique(&shape.actions, at, &mut self.violations);
        let children = self.children(at, shape, known_ids);
        if children.is_cut() {
            meta::describe_cut(meta.to_mut(), shape, &children);
        }
        CleanNode {
            id,
            kind,
            meta,
            actions,
            children: children.shown,
            props: shape.props.as_deref().map(|props| props::of(props, self.max_properties, at, &mut self.violations)),
            content_ref: shape.content_ref.as_deref(),
        }
    }

    /// Sanitises the list of children of a node.
    pub(super) fn children<'d, 'k>(
        &mut self,
        at: &NodePosition<'_>,
        shape: &'d Descriptor,
        known_ids: Option<impl Iterator<Item = &'k str>>,
    ) -> Listed<'d> {
        let children = children::of(shape, at, self.nodes_left, known_ids, &mut self.violations);
        self.nodes_left -= children.shown.len();
        self.is_cut |= children.is_cut();
        children
    }

    /// Whether a list is shown only in part because there were too many nodes.
    pub(super) const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What was wrong so far.
    pub(super) fn into_violations(self) -> Violations {
        self.violations
    }
}

/// Whether a node has nothing below, and nothing about it could be rejected but its properties and actions. If those are
/// the same as some that passed, it passes.
pub(super) fn is_plain_leaf(shape: &Descriptor) -> bool {
    shape.is_plain() && shape.content_ref.is_none() && shape.meta.salience.is_none_or(f64::is_finite)
}
