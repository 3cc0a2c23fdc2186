//! In which order nodes of a view are collapsed so that it stays within a budget (contract 1.4): the same for all budgets.

/// No node has this rank: it is never collapsed.
const NEVER: u32 = u32::MAX;

/// The nodes of a view in pre-order, each with its rank among those that may be collapsed. It holds nothing of the tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CollapseOrder {
    nodes: Box<[Ranked]>,
    /// How many nodes are shown when the first 0, 1, 2, ... are collapsed.
    shown: Box<[u32]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ranked {
    /// Index behind the last descendant.
    end: u32,
    rank: u32,
    /// The least rank in the whole subtree.
    least: u32,
}

/// Collects the nodes of a view, each between those above it and those below it.
#[derive(Debug, Default)]
pub(super) struct Outline {
    nodes: Vec<Ranked>,
    /// Which nodes may be collapsed, with their scores: lower goes first, ties stay in pre-order.
    candidates: Vec<(u32, f64)>,
}

impl Outline {
    /// Adds a node behind all others. Returns its index.
    pub(super) fn open(&mut self) -> usize {
        self.nodes.push(Ranked { end: 0, rank: NEVER, least: NEVER });
        self.nodes.len() - 1
    }

    /// Everything below the node was added. Returns how much that was.
    pub(super) fn close(&mut self, at: usize) -> usize {
        let end = self.nodes.len();
        self.nodes[at].end = end as u32;
        end - at - 1
    }

    /// The node may be collapsed.
    pub(super) fn may_collapse(&mut self, at: usize, score: f64) {
        self.candidates.push((at as u32, score));
    }

    pub(super) fn rank(mut self) -> CollapseOrder {
        self.candidates.sort_by(|(at, mine), (other, theirs)| mine.total_cmp(theirs).then(at.cmp(other)));
        let mut shown = Shown::all(self.nodes.len());
        let mut counts = vec![shown.count];
        for (rank, (at, _)) in self.candidates.iter().enumerate() {
            let node = &mut self.nodes[*at as usize];
            node.rank = rank as u32;
            shown.hide(at + 1..node.end);
            counts.push(shown.count);
        }
        find_least(&mut self.nodes);
        CollapseOrder { nodes: self.nodes.into(), shown: counts.into() }
    }
}

/// What is still shown. Each node is hidden once, however often it is below one that is collapsed.
struct Shown {
    /// A node at or behind each that is perhaps still shown, and is if it stands for itself.
    next: Vec<u32>,
    count: u32,
}

impl Shown {
    fn all(count: usize) -> Self {
        let count = count as u32;
        Self { next: (0..=count).collect(), count }
    }

    fn first_from(&mut self, mut at: u32) -> u32 {
        while self.next[at as usize] != at {
            let next = self.next[at as usize];
            self.next[at as usize] = self.next[next as usize];
            at = self.next[at as usize];
        }
        at
    }

    fn hide(&mut self, range: std::ops::Range<u32>) {
        let mut at = self.first_from(range.start);
        while at < range.end {
            self.next[at as usize] = at + 1;
            self.count -= 1;
            at = self.first_from(at + 1);
        }
    }
}

/// Descendants stand behind their ancestors, so from the back each subtree is complete when its root's turn comes.
fn find_least(nodes: &mut [Ranked]) {
    for at in (0..nodes.len()).rev() {
        let Ranked { end, rank, .. } = nodes[at];
        let mut least = rank;
        let mut child = at + 1;
        while child < end as usize {
            least = least.min(nodes[child].least);
            child = nodes[child].end as usize;
        }
        nodes[at].least = least;
    }
}

impl CollapseOrder {
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.nodes) + size_of_val(&*self.shown)
    }

    /// How many nodes there are before any is collapsed.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many of the first must be collapsed so that no more than `budget` are shown, as far as that goes.
    pub(super) fn collapsed_within(&self, budget: usize) -> u32 {
        let all = self.shown.len() - 1;
        self.shown.partition_point(|count| *count as usize > budget).min(all) as u32
    }

    /// Whether the node is one of the first `collapsed`.
    pub(super) fn is_collapsed(&self, at: usize, collapsed: u32) -> bool {
        self.nodes[at].rank < collapsed
    }

    /// Whether the node or one below it is one of the first `collapsed`.
    pub(super) fn is_affected(&self, at: usize, collapsed: u32) -> bool {
        self.nodes[at].least < collapsed
    }

    /// The indexes of the children of a node.
    pub(super) fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.nodes[at].end as usize;
        let first = (at + 1 < end).then_some(at + 1);
        std::iter::successors(first, move |child| Some(self.nodes[*child].end as usize).filter(|next| *next < end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A subtree: whether its root may be collapsed, with which score, and what is below.
    #[derive(Debug, Clone)]
    struct Subtree {
        score: Option<i8>,
        below: Vec<Self>,
    }

    fn subtree() -> impl Strategy<Value = Subtree> {
        let leaf = Just(Subtree { score: None, below: Vec::new() });
        leaf.prop_recursive(5, 60, 6, |inner| {
            (prop::option::of(-3_i8..3), prop::collection::vec(inner, 1..6))
                .prop_map(|(score, below)| Subtree { score, below })
        })
    }

    fn add(outline: &mut Outline, subtree: &Subtree) {
        let at = outline.open();
        subtree.below.iter().for_each(|child| add(outline, child));
        outline.close(at);
        if let Some(score) = subtree.score {
            outline.may_collapse(at, f64::from(score));
        }
    }

    fn order_of(subtree: &Subtree) -> CollapseOrder {
        let mut outline = Outline::default();
        add(&mut outline, subtree);
        outline.rank()
    }

    /// Each node in pre-order: its score, and how many there are in its subtree.
    fn flat(subtree: &Subtree, found: &mut Vec<(Option<i8>, usize)>) {
        let at = found.len();
        found.push((subtree.score, 0));
        subtree.below.iter().for_each(|child| flat(child, found));
        found[at].1 = found.len() - at;
    }

    /// By the letter of the contract: which nodes are collapsed, one after the other.
    fn by_the_letter(subtree: &Subtree, budget: usize) -> Vec<bool> {
        let mut nodes = Vec::new();
        flat(subtree, &mut nodes);
        let mut candidates: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].0.is_some()).collect();
        candidates.sort_by_key(|at| nodes[*at].0);
        let (mut collapsed, mut hidden) = (vec![false; nodes.len()], vec![false; nodes.len()]);
        for at in candidates {
            if hidden.iter().filter(|hidden| !**hidden).count() <= budget {
                break;
            }
            collapsed[at] = true;
            hidden[at + 1..at + nodes[at].1].fill(true);
        }
        collapsed
    }

    proptest! {
        #[test]
        fn one_order_serves_every_budget(subtree in subtree(), budget in 0_usize..70) {
            let order = order_of(&subtree);
            let expected = by_the_letter(&subtree, budget);
            let first = order.collapsed_within(budget);
            let collapsed: Vec<bool> = (0..order.len()).map(|at| order.is_collapsed(at, first)).collect();
            prop_assert_eq!(&collapsed, &expected);
            let mut nodes = Vec::new();
            flat(&subtree, &mut nodes);
            for (at, (_, size)) in nodes.into_iter().enumerate() {
                let affected = expected[at..at + size].contains(&true);
                prop_assert_eq!(order.is_affected(at, first), affected, "node {}", at);
            }
        }
    }

    #[test]
    fn children_are_found_behind_their_parents() {
        let leaf = || Subtree { score: None, below: Vec::new() };
        let inner = Subtree { score: Some(0), below: vec![leaf(), leaf()] };
        let order = order_of(&Subtree { score: None, below: vec![leaf(), inner, leaf()] });
        assert_eq!(order.children(0).collect::<Vec<_>>(), [1, 2, 5]);
        assert_eq!(order.children(2).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(order.children(5).count(), 0);
        assert_eq!(order.len(), 6);
    }
}
