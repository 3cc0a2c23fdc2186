//! One session's tree: a layout and a fragment for each registered path.

use std::sync::Arc;

use smallvec::SmallVec;

use super::fragment::Fragment;
use super::layout::{Entry, Layout};
use super::node_ref::{Fields, NodeRef, is_same_content};
use crate::model::path;

/// An immutable tree; a few pointers, cheap to hold twice.
#[derive(Debug)]
pub(crate) struct Tree {
    layout: Arc<Layout>,
    /// One for each entry of the layout. The root's entry is always there.
    fragments: Box<[Fragment]>,
}

/// A path below which nothing is registered, and what two trees show there.
pub(crate) type Changed<'a, 'b> = (&'a str, TreeNode<'a>, TreeNode<'b>);

/// A node of a tree, where the fragments of registered paths are joined.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TreeNode<'t> {
    tree: &'t Tree,
    /// Set as long as something may be registered below.
    place: Option<usize>,
    /// Absent for an ancestor that nothing rendered.
    node: Option<NodeRef<'t>>,
}

impl Tree {
    pub(crate) fn new(layout: Arc<Layout>, fragments: Vec<Fragment>) -> Self {
        debug_assert_eq!(layout.entries().len(), fragments.len(), "each registered path has its fragment");
        Self { layout, fragments: fragments.into() }
    }

    /// Whether it is what these fragments in this layout would make.
    pub(crate) fn is_made_of(&self, layout: &Arc<Layout>, fragments: &[Fragment]) -> bool {
        let mut pairs = self.fragments.iter().zip(fragments);
        Arc::ptr_eq(&self.layout, layout) && pairs.all(|(mine, theirs)| mine.is(theirs))
    }

    pub(crate) fn fragments(&self) -> &[Fragment] {
        &self.fragments
    }

    pub(crate) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn root(&self) -> TreeNode<'_> {
        TreeNode { tree: self, place: Some(0), node: self.rendered(0) }
    }

    /// The fragment that this tree had for the entry at this position of a layout, which may be another one.
    pub(crate) fn fragment_of(&self, layout: &Arc<Layout>, at: usize) -> Option<&Fragment> {
        let same = Arc::ptr_eq(&self.layout, layout);
        let at = if same { at } else { self.layout.position(&layout.entries()[at].path)? };
        Some(&self.fragments[at])
    }

    /// Whether every path shows the same. Pointers decide nearly always; the content decides what raced.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let entries = self.layout.entries();
        (Arc::ptr_eq(&self.layout, &other.layout)
            || entries.iter().map(|e| &e.path).eq(other.layout.entries().iter().map(|e| &e.path)))
            && self.fragments.iter().zip(&other.fragments).all(|(a, b)| a.is(b) || is_same_content(a, b))
    }

    /// What one tree shows where `is_mine` says so, and another one elsewhere, in the layout of one of the two.
    pub(crate) fn merged(layout: &Arc<Layout>, mine: &Self, other: &Self, is_mine: impl Fn(&str) -> bool) -> Self {
        let fragment = |(at, entry): (usize, &Entry)| {
            let (mine, other) = (mine.fragment_of(layout, at), other.fragment_of(layout, at));
            let shown = if is_mine(&entry.path) { mine.or(other) } else { other.or(mine) };
            shown.cloned().unwrap_or_else(|| unreachable!("the layout is that of one of the trees"))
        };
        Self::new(Arc::clone(layout), layout.entries().iter().enumerate().map(fragment).collect())
    }

    /// How many nodes the fragments hold in all.
    pub(crate) fn nodes(&self) -> usize {
        self.fragments.iter().map(Fragment::nodes).sum()
    }

    /// At least as many as there are nodes in all, with ancestors that nothing rendered.
    pub(crate) fn nodes_at_most(&self) -> usize {
        self.nodes() + self.layout.places()
    }

    /// Where another tree of the same layout shows something else, if every such place is one below which nothing is
    /// registered: the path and both nodes. `None` if that cannot be said so simply.
    pub(crate) fn changed_leaves<'a, 'b>(&'a self, other: &'b Self) -> Option<Vec<Changed<'a, 'b>>> {
        if !Arc::ptr_eq(&self.layout, &other.layout) {
            return None;
        }
        let mut changed = Vec::new();
        for (at, (mine, theirs)) in self.fragments.iter().zip(&other.fragments).enumerate() {
            if mine.is(theirs) {
                continue;
            }
            let entry = &self.layout.entries()[at];
            if !self.layout.place(entry.place).below.is_empty() || entry.path.is_empty() {
                return None;
            }
            changed.push((entry.path.as_str(), self.leaf(entry.place, mine), other.leaf(entry.place, theirs)));
        }
        Some(changed)
    }

    fn leaf<'a>(&'a self, place: usize, fragment: &'a Fragment) -> TreeNode<'a> {
        TreeNode { tree: self, place: Some(place), node: Some(NodeRef::root_of(fragment)) }
    }

    fn rendered(&self, place: usize) -> Option<NodeRef<'_>> {
        let entry = self.layout.place(place).entry?;
        Some(NodeRef::root_of(&self.fragments[entry]))
    }

    /// Resolves a path as consumers write it: from the root, or with the root's own id in front (contract 1.3).
    pub(crate) fn resolve(&self, path: &str) -> Option<Located<'_>> {
        self.resolve_literally(path).or_else(|| {
            let mut segments = path::segments(path);
            let prefixed = segments.next() == Some(self.root().id());
            let rest = segments.collect::<Vec<_>>().join("/");
            prefixed.then(|| self.resolve_literally(&rest)).flatten()
        })
    }

    fn resolve_literally(&self, path: &str) -> Option<Located<'_>> {
        let node = path::segments(path).try_fold(self.root(), |node, id| node.child(id))?;
        Some(Located { node, path: path::normal(path) })
    }
}

/// A node and the path from the root that leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Located<'t> {
    pub(crate) node: TreeNode<'t>,
    /// In the normal spelling.
    pub(crate) path: crate::model::Text,
}

impl<'t> TreeNode<'t> {
    pub(crate) const fn tree(&self) -> &'t Tree {
        self.tree
    }

    pub(crate) fn id(&self) -> &'t str {
        match (self.node, self.place) {
            (Some(node), _) => node.id(),
            (None, Some(place)) => &self.tree.layout.place(place).id,
            (None, None) => unreachable!("a node is rendered or laid out"),
        }
    }

    /// The node's own fields; absent for an ancestor that nothing rendered (a `group` with only children).
    pub(crate) fn fields(&self) -> Option<Fields<'t>> {
        self.node.as_ref().map(NodeRef::fields)
    }

    pub(crate) fn kind(&self) -> &'t str {
        self.fields().map_or("group", |fields| fields.kind)
    }

    /// The fragment of which this node is the root, if nothing is registered below it.
    pub(crate) fn whole_fragment(&self) -> Option<&'t Fragment> {
        let place = self.tree.layout.place(self.place?);
        if place.below.is_empty() { Some(&self.tree.fragments[place.entry?]) } else { None }
    }

    /// Whether both are the same bytes with nothing registered below: then they are equal, at no cost.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let (Some(mine), Some(theirs)) = (&self.node, &other.node) else { return false };
        mine.is(theirs) && self.nothing_below() && other.nothing_below()
    }

    /// Whether something is registered below.
    pub(crate) fn joins_fragments(&self) -> bool {
        !self.nothing_below()
    }

    fn nothing_below(&self) -> bool {
        self.place.is_none_or(|place| self.tree.layout.place(place).below.is_empty())
    }

    pub(crate) fn child(&self, id: &str) -> Option<Self> {
        let below = self.place.and_then(|place| self.tree.layout.below(place, id));
        match below {
            Some(at) if self.tree.rendered(at).is_some() => Some(self.laid_out(at, None)),
            _ => {
                let own = self.node.and_then(|node| node.children().find(|child| child.id() == id));
                match (below, own) {
                    (Some(at), own) => Some(self.laid_out(at, own)),
                    (None, Some(own)) => Some(Self { tree: self.tree, place: None, node: Some(own) }),
                    (None, None) => None,
                }
            }
        }
    }

    fn laid_out(&self, at: usize, inline: Option<NodeRef<'t>>) -> Self {
        Self { tree: self.tree, place: Some(at), node: self.tree.rendered(at).or(inline) }
    }

    /// The node's own children, replaced where something is registered under their id, then what else is registered.
    pub(crate) fn children(&self) -> impl Iterator<Item = Self> + use<'t> {
        let (tree, node) = (self.tree, *self);
        let place = self.place.filter(|place| !tree.layout.place(*place).below.is_empty());
        let own = node.node.map(|node| node.children()).into_iter().flatten().map(move |child| {
            let below = place.and_then(|place| tree.layout.below(place, child.id()));
            match below {
                Some(at) => node.laid_out(at, Some(child)),
                None => Self { tree, place: None, node: Some(child) },
            }
        });
        let rest = place.map(|place| node.only_registered(place)).unwrap_or_default();
        own.chain(rest.into_iter().map(move |at| node.laid_out(at, None)))
    }

    /// What is registered below and stands in for none of the node's own children, in order. Each child is looked at once,
    /// however much is registered.
    fn only_registered(&self, place: usize) -> SmallVec<[usize; 8]> {
        let layout = &self.tree.layout;
        let below = layout.in_order(place);
        let own = self.node.into_iter().flat_map(|node| node.children());
        let mut replaced: SmallVec<[usize; 8]> = own.filter_map(|child| layout.below(place, child.id())).collect();
        if replaced.is_empty() {
            return below.into();
        }
        replaced.sort_unstable();
        below.iter().copied().filter(|at| replaced.binary_search(at).is_err()).collect()
    }

    /// How many of the first children are the inline part of a longer list.
    pub(crate) fn listed(&self) -> Option<usize> {
        let window = self.fields()?.read_meta().window?;
        usize::try_from(window[1]).ok()
    }

    /// The runs in which the children stand, if they stand in runs and nothing is registered among them.
    pub(crate) fn runs(&self) -> Option<Vec<&'t Fragment>> {
        let runs: Vec<_> = self.node.filter(|_| self.nothing_below())?.children().whole_runs().collect();
        (!runs.is_empty()).then_some(runs)
    }

    /// A node that stands here only for one view, such as an item that a query loaded.
    pub(crate) const fn foreign(&self, node: NodeRef<'t>) -> Self {
        Self { tree: self.tree, place: None, node: Some(node) }
    }

    pub(crate) fn is_tree_root(&self) -> bool {
        self.place == Some(0)
    }
}
