//! What one subscription or query sees of a tree: subtree, filter, depth, budget, window, in this order (contract 1.4).
//!
//! A view is read lazily: nothing is built for nodes that are shown as they are.

mod affordances;
mod options;
mod collapse_order;
mod collapse_orders;

pub(crate) use affordances::Affordances;
pub(crate) use collapse_orders::CollapseOrders;
pub(crate) use options::{Filter, TypeSet, ViewOptions};

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::action::Action;
use super::codec::value::raw;
use super::fragment::Fragment;
use super::node_ref::{Fields, Siblings};
use super::props::Props;
use super::tree::{Changed, Tree, TreeNode};
use crate::model::meta::Meta;
use collapse_order::{CollapseOrder, Outline};

/// A tree seen through the options of one consumer.
#[derive(Debug, Clone)]
pub(crate) struct View<'t> {
    options: &'t ViewOptions,
    root: TreeNode<'t>,
    /// Children that were loaded for this query, with the offset of the first.
    loaded: Option<(u64, &'t Fragment)>,
    /// Found only if a budget may be exceeded.
    order: Option<Arc<CollapseOrder>>,
    /// How many of the first in the order are collapsed; 0 if there is none.
    collapsed: u32,
}

/// The tree that a view shows nothing but a part of, and where the order in which nodes are collapsed may be known already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownOrders<'a> {
    pub(crate) orders: &'a CollapseOrders,
    pub(crate) tree: &'a Arc<Tree>,
}

/// How a node is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projection {
    /// With everything it has.
    Full,
    /// Below the depth: id, type and meta with the number of children.
    Stub(u64),
    /// Over the budget: without children and content, with their number.
    Collapsed(u64),
}

/// One node of a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViewNode<'v> {
    view: &'v View<'v>,
    node: TreeNode<'v>,
    level: u32,
    /// Its index in the order in which nodes are collapsed, if it or something below it is.
    affected: Option<usize>,
}

impl<'t> View<'t> {
    /// A view without a budget; [`View::within`] gives it one.
    pub(crate) const fn new(options: &'t ViewOptions, root: TreeNode<'t>, loaded: Option<(u64, &'t Fragment)>) -> Self {
        Self { options, root, loaded, order: None, collapsed: 0 }
    }

    /// The same view within the budget that was asked for and a bound of the engine's own, as far as roots of lists and
    /// pinned nodes allow. Nothing is known if what was loaded for a query is part of the view.
    pub(crate) fn within(mut self, bound: Option<usize>, known: Option<KnownOrders<'_>>) -> Self {
        self.collapsed = 0;
        // What cannot be over the budget need not be counted node by node.
        if let Some(budget) = bound.into_iter().chain(self.options.max_nodes).min()
            && known.is_none_or(|known| known.tree.nodes_at_most() > budget)
        {
            let order = self.order.take().unwrap_or_else(|| self.find_order(known));
            self.collapsed = order.collapsed_within(budget);
            self.order = Some(order);
        }
        self
    }

    /// How many nodes there were before some were collapsed to keep the budget.
    pub(crate) fn compacted_from(&self) -> Option<usize> {
        self.order.as_ref().filter(|_| self.collapsed > 0).map(|order| order.len())
    }

    fn find_order(&self, known: Option<KnownOrders<'_>>) -> Arc<CollapseOrder> {
        let find = || {
            let mut outline = Outline::default();
            self.outline(&mut outline, self.root, 0, false);
            outline.rank()
        };
        match known {
            Some(known) => known.orders.of(known.tree, self.options, find),
            None => Arc::new(find()),
        }
    }

    /// Adds a node and what is below it. Returns whether anything there is pinned: pinned nodes, what is below them and
    /// what is above them are never collapsed.
    fn outline(&self, outline: &mut Outline, node: TreeNode<'t>, level: u32, is_below_pinned: bool) -> bool {
        let at = outline.open();
        let fields = node.fields();
        let mut has_pinned = fields.as_ref().is_some_and(Fields::is_pinned);
        let protects = is_below_pinned || has_pinned;
        if !self.is_below_depth(level) {
            for child in self.admitted(node, level) {
                has_pinned |= self.outline(outline, child, level + 1, protects);
            }
        }
        let descendants = outline.close(at);
        if level >= 2 && descendants > 0 && !is_below_pinned && !has_pinned {
            let salience = fields.map_or(0.5, |fields| fields.salience());
            outline.may_collapse(at, salience - f64::from(level) * 0.01 - descendants as f64 * 0.001);
        }
        has_pinned
    }

    fn is_below_depth(&self, level: u32) -> bool {
        self.options.depth.is_some_and(|depth| level >= depth)
    }

    /// The children that the filter lets through.
    fn admitted(&self, node: TreeNode<'t>, level: u32) -> impl Iterator<Item = TreeNode<'t>> + use<'t> {
        let filter = &self.options.filter;
        let loaded = self.loaded.filter(|_| level == 0);
        // A window is cut from the list itself: what is registered below a list of which only a part is inline is not
        // part of it.
        let windowed = level == 0 && self.options.window.is_some();
        let list = if windowed { node.listed() } else { None };
        let own = loaded.is_none().then(|| node.children()).into_iter().flatten().take(list.unwrap_or(usize::MAX));
        let instead =
            loaded.into_iter().flat_map(move |(_, run)| Siblings::of(run).map(move |child| node.foreign(child)));
        own.chain(instead).filter(move |child| filter.admits(child))
    }

    pub(crate) fn root(&self) -> ViewNode<'_> {
        ViewNode { view: self, node: self.root, level: 0, affected: (self.collapsed > 0).then_some(0) }
    }

    /// How many nodes are shown.
    pub(crate) fn count(&self) -> usize {
        self.root().count()
    }

    /// Whether it shows the whole tree as it is.
    fn is_whole(&self) -> bool {
        let options = self.options;
        let unlimited = options.depth.is_none() && options.window.is_none() && options.filter == Filter::default();
        unlimited && self.collapsed == 0 && self.loaded.is_none() && self.root.is_tree_root()
    }

    /// Where the inline children of the requested node start in the whole list.
    fn base(&self, meta: &Meta) -> u64 {
        self.loaded.map(|(offset, _)| offset).or(meta.window.map(|window| window[0])).unwrap_or(0)
    }
}

impl<'v> ViewNode<'v> {
    pub(crate) fn id(&self) -> &'v str {
        self.node.id()
    }

    pub(crate) fn kind(&self) -> &'v str {
        self.node.kind()
    }

    /// Whether both are the same bytes, of which no budget collapses anything, or both the whole: then they are equal, at no
    /// cost. Only for two views with the same options.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let is_as_collapsed = || match (self.affected, other.affected) {
            (None, None) => true,
            _ => self.is_collapsed() && other.is_collapsed(),
        };
        !self.windowed() && self.node.is(&other.node) && is_as_collapsed()
    }

    fn is_collapsed(&self) -> bool {
        let order = self.affected.zip(self.view.order.as_ref());
        order.is_some_and(|(at, order)| order.is_collapsed(at, self.view.collapsed))
    }

    /// The whole fragment that this node shows, with the levels that the depth leaves, if its text may be cached.
    pub(crate) fn whole_fragment(&self) -> Option<&'v Fragment> {
        if self.affected.is_some() || self.windowed() { None } else { self.node.whole_fragment() }
    }

    /// The paths at which this view of a whole tree and another one differ, with the nodes there, if they differ only in
    /// what single sources rendered. Looks at nothing else, so it costs almost nothing.
    pub(crate) fn changed_leaves<'o>(&self, old: &ViewNode<'o>) -> Option<Vec<(String, ViewNode<'o>, Self)>> {
        if self.level > 0 || !self.view.is_whole() || !old.view.is_whole() {
            return None;
        }
        let changed = old.node.tree().changed_leaves(self.node.tree())?;
        let pair = |(path, before, after): Changed<'o, 'v>| {
            let level = path.split('/').count() as u32;
            let old = ViewNode { view: old.view, node: before, level, affected: None };
            (format!("/{path}"), old, Self { view: self.view, node: after, level, affected: None })
        };
        Some(changed.into_iter().map(pair).collect())
    }

    /// Whether children of this node are rendered by sources of their own.
    pub(crate) fn joins_fragments(&self) -> bool {
        self.affected.is_none()
            && !self.windowed()
            && self.projection() == Projection::Full
            && self.node.joins_fragments()
    }

    pub(crate) const fn level(&self) -> u32 {
        self.level
    }

    pub(crate) const fn options(&self) -> &'v ViewOptions {
        self.view.options
    }

    /// The node without its children, which the caller writes itself.
    pub(crate) const fn head(self) -> Head<'v> {
        Head(self)
    }

    fn windowed(&self) -> bool {
        self.level == 0 && (self.view.options.window.is_some() || self.view.loaded.is_some())
    }

    pub(crate) fn projection(&self) -> Projection {
        if self.is_collapsed() {
            Projection::Collapsed(self.admitted_count())
        } else if self.view.is_below_depth(self.level) && self.view.admitted(self.node, self.level).next().is_some() {
            Projection::Stub(self.admitted_count())
        } else {
            Projection::Full
        }
    }

    fn admitted_count(&self) -> u64 {
        self.view.admitted(self.node, self.level).count() as u64
    }

    /// The children of both that do not stand in runs which both begin or end with, and how many are shown in the runs
    /// that both begin with.
    pub(crate) fn differing_children<'o>(&self, old: &ViewNode<'o>) -> (usize, Vec<ViewNode<'o>>, Vec<Self>) {
        let runs = |node: &ViewNode<'_>| node.affected.is_none() && !node.windowed();
        let both = runs(self) && runs(old);
        let both = both.then(|| old.node.runs().zip(self.node.runs())).flatten();
        let Some((before, after)) = both else { return (0, old.children(), self.children()) };
        let same = |(mine, theirs): &(&&Fragment, &&Fragment)| mine.is(theirs);
        let front = before.iter().zip(&after).take_while(same).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before.iter().rev().zip(after.iter().rev()).take_while(same).count();
        let skipped = self.node.runs().into_iter().flatten().take(front).map(|run| self.shown_of(run).count()).sum();
        let of = |node: &ViewNode<'o>, runs: &[&'o Fragment]| -> Vec<ViewNode<'o>> {
            runs.iter().flat_map(|run| node.shown_of(run)).collect()
        };
        let old = of(old, &before[..before.len() - back]);
        let new = after[..after.len() - back].iter().flat_map(|run| self.shown_of(run)).collect();
        (skipped, old, new)
    }

    /// What of a run of children is shown.
    fn shown_of(&self, run: &'v Fragment) -> impl Iterator<Item = Self> + use<'v> {
        let (view, node, level) = (self.view, self.node, self.level + 1);
        let children = Siblings::of(run).map(move |child| node.foreign(child));
        let admitted = children.filter(move |child| view.options.filter.admits(child));
        admitted.map(move |node| Self { view, node, level, affected: None })
    }

    /// The children that are shown.
    pub(crate) fn children(&self) -> Vec<Self> {
        match self.projection() {
            Projection::Full => self.sliced(self.all_children()),
            Projection::Stub(_) | Projection::Collapsed(_) => Vec::new(),
        }
    }

    fn all_children(&self) -> Vec<Self> {
        let (view, level) = (self.view, self.level + 1);
        let admitted = view.admitted(self.node, self.level);
        match (self.affected, &view.order) {
            (Some(at), Some(order)) => {
                let affected = |child: usize| order.is_affected(child, view.collapsed).then_some(child);
                let ranked = admitted.zip(order.children(at));
                ranked.map(|(node, child)| Self { view, node, level, affected: affected(child) }).collect()
            }
            _ => admitted.map(|node| Self { view, node, level, affected: None }).collect(),
        }
    }

    fn sliced(&self, children: Vec<Self>) -> Vec<Self> {
        match self.view.options.window {
            Some([offset, count]) if self.level == 0 => {
                // Absolute offsets: what lies in front of the first inline child is not here.
                let base = self.view.base(&self.own_meta());
                let (skip, absent) = (offset.saturating_sub(base), base.saturating_sub(offset));
                children.into_iter().skip(clamp(skip)).take(clamp(count.saturating_sub(absent))).collect()
            }
            _ => children,
        }
    }

    /// The node's own fields, as far as its projection shows them.
    fn shown(&self) -> Option<Fields<'v>> {
        match self.projection() {
            Projection::Stub(_) => None,
            Projection::Full | Projection::Collapsed(_) => self.node.fields(),
        }
    }

    pub(crate) fn props(&self) -> Option<Props<'v>> {
        self.shown()?.props
    }

    pub(crate) fn actions(&self) -> &'v [Action] {
        self.shown().map_or(&[], |fields| fields.actions)
    }

    /// The text of a JSON object.
    pub(crate) fn content_ref(&self) -> Option<&'v str> {
        if matches!(self.projection(), Projection::Collapsed(_)) { None } else { self.shown()?.content_ref }
    }

    /// Whether both surely have the same `meta`, as far as that can be seen without reading it.
    pub(crate) fn has_same_meta(&self, other: &ViewNode<'_>) -> bool {
        let as_it_is = |node: &ViewNode<'_>| node.projection() == Projection::Full && !node.windowed();
        let same = || self.node.fields().map(|fields| fields.meta) == other.node.fields().map(|fields| fields.meta);
        as_it_is(self) && as_it_is(other) && same()
    }

    fn own_meta(&self) -> Meta {
        self.node.fields().map(|fields| fields.read_meta()).unwrap_or_default()
    }

    /// The node's `meta`, with the number of children that are not shown.
    pub(crate) fn meta(&self) -> Meta {
        let mut meta = self.own_meta();
        match self.projection() {
            Projection::Full if self.windowed() => self.describe_window(&mut meta),
            Projection::Full => {}
            Projection::Stub(count) => hide_children(&mut meta, count),
            Projection::Collapsed(count) => {
                hide_children(&mut meta, count);
                meta.summary.get_or_insert_with(|| format!("{count} children").into());
            }
        }
        meta
    }

    fn describe_window(&self, meta: &mut Meta) {
        let children = self.all_children();
        let total = meta.total_children.unwrap_or(0).max(children.len() as u64);
        let base = self.view.base(meta);
        let shown = self.sliced(children).len() as u64;
        let offset = match self.view.options.window {
            Some([offset, _]) if shown == 0 => offset,
            Some([offset, _]) => offset.max(base),
            None => base,
        };
        meta.total_children = Some(total);
        meta.window = Some([offset, shown]);
    }

    fn write_head<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("id", self.id())?;
        map.serialize_entry("type", self.kind())?;
        if let Some(props) = self.props() {
            map.serialize_entry("properties", &props)?;
        }
        let meta = self.meta();
        if !meta.is_empty() {
            map.serialize_entry("meta", &meta)?;
        }
        if !self.actions().is_empty() {
            map.serialize_entry("affordances", &Affordances(self.actions()))?;
        }
        if let Some(content) = self.content_ref() {
            map.serialize_entry("content_ref", raw(content))?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        1 + self.children().iter().map(Self::count).sum::<usize>()
    }

    /// Whether an empty list of children is written: only for the root of the whole tree, and for a list of which a slice
    /// was asked for.
    fn has_no_children(&self) -> bool {
        self.windowed() || (self.level == 0 && self.node.is_tree_root())
    }
}

fn clamp(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A list that shows only a slice keeps its real total (contract 1.4).
fn hide_children(meta: &mut Meta, count: u64) {
    meta.total_children = Some(meta.total_children.unwrap_or(0).max(count));
    meta.window = None;
}

impl Serialize for ViewNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.write_head(&mut map)?;
        let children = self.children();
        if !children.is_empty() || (self.projection() == Projection::Full && self.has_no_children()) {
            map.serialize_entry("children", &children)?;
        }
        map.end()
    }
}

/// A node without its children.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'v>(ViewNode<'v>);

impl Serialize for Head<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.write_head(&mut map)?;
        map.end()
    }
}
