//! Which nodes of a view are collapsed so that it stays within its budget (contract 1.4).

use crate::render::tree::TreeNode;

/// The projected tree in pre-order, and which of its nodes are collapsed.
#[derive(Debug, Default)]
pub(super) struct Plan<'t> {
    nodes: Vec<Planned<'t>>,
}

/// One node of a plan.
#[derive(Debug)]
pub(super) struct Planned<'t> {
    pub(super) node: TreeNode<'t>,
    level: u32,
    /// Index behind the last descendant.
    end: usize,
    /// It is below the depth that was asked for.
    pub(super) is_stub: bool,
    pub(super) is_collapsed: bool,
}

impl<'t> Plan<'t> {
    /// How many nodes there are before any is collapsed.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, at: usize) -> &Planned<'t> {
        &self.nodes[at]
    }

    /// The indexes of the children of a node.
    pub(super) fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[at].end;
        let first = (at + 1 < end).then_some(at + 1);
        std::iter::successors(first, move |child| Some(self.nodes[*child].end).filter(|next| *next < end))
    }

    /// Adds a node behind all others. Returns its index, for [`Plan::close`].
    pub(super) fn open(&mut self, node: TreeNode<'t>, level: u32, is_stub: bool) -> usize {
        let at = self.nodes.len();
        self.nodes.push(Planned { node, level, end: at + 1, is_stub, is_collapsed: false });
        at
    }

    /// Everything below the node was added.
    pub(super) fn close(&mut self, at: usize) {
        self.nodes[at].end = self.nodes.len();
    }

    /// Collapses nodes until no more than `budget` are shown, as far as roots of lists and pinned nodes allow. `None` if
    /// nothing is collapsed: then no plan is needed.
    pub(super) fn collapse(mut self, budget: usize) -> Option<Self> {
        let mut order = self.candidates();
        if self.nodes.len() <= budget || order.is_empty() {
            return None;
        }
        order.sort_by(|(_, mine), (_, theirs)| mine.total_cmp(theirs));
        let mut count = self.nodes.len();
        let mut is_gone = vec![false; self.nodes.len()];
        for (at, _) in order {
            if count <= budget {
                break;
            }
            self.nodes[at].is_collapsed = true;
            for below in &mut is_gone[at + 1..self.nodes[at].end] {
                count -= usize::from(!*below);
                *below = true;
            }
        }
        Some(self)
    }

    /// The nodes that may be collapsed, with their scores: lower goes first, ties stay in pre-order.
    fn candidates(&self) -> Vec<(usize, f64)> {
        let protected = self.protected();
        let candidate = |(at, planned): (usize, &Planned<'_>)| {
            let descendants = planned.end - at - 1;
            if planned.level < 2 || descendants == 0 || protected[at] {
                return None;
            }
            let salience = planned.node.fields().map_or(0.5, |fields| fields.salience());
            Some((at, salience - f64::from(planned.level) * 0.01 - descendants as f64 * 0.001))
        };
        self.nodes.iter().enumerate().filter_map(candidate).collect()
    }

    /// Pinned nodes, what is below them and what is above them.
    fn protected(&self) -> Vec<bool> {
        let mut protected = vec![false; self.nodes.len()];
        let mut above: Vec<usize> = Vec::new();
        for (at, planned) in self.nodes.iter().enumerate() {
            above.retain(|ancestor| self.nodes[*ancestor].end > at);
            if planned.node.fields().is_some_and(|fields| fields.is_pinned()) {
                above.iter().for_each(|ancestor| protected[*ancestor] = true);
                protected[at..planned.end].fill(true);
            }
            above.push(at);
        }
        protected
    }
}
