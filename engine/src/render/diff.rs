//! The steps from one view to the next, in the dialect that every known mirror applies correctly (contract 1.6).

mod props;

use hashbrown::HashMap;
use serde::{Serialize, Serializer};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::action::Action;
use super::codec::value::{ValueRef, raw};
use super::props::Props;
use super::view::{Affordances, Projection, ViewNode};
use crate::model::meta::Meta;
use crate::model::patch::{OpKind, PatchOp};
use crate::model::path::escape_key;
use props::{PropChanges, SetProp, changes};

/// The steps cannot be expressed as operations, or not sensibly: a new snapshot is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rebase;

/// A leaf whose text is not longer is sent whole after its meta or actions changed, since some mirrors keep typed nodes
/// only then (contract 1.6, rule 6).
const SMALL_LEAF_BYTES: usize = 1024;

/// Child lists whose reordering would take more comparisons than this are sent anew.
const ORDER_WORK: usize = 1 << 22;

/// What an operation carries.
#[derive(Debug)]
pub(crate) enum OpValue<'v> {
    Property(ValueRef<'v>),
    Props(Props<'v>),
    Node(ViewNode<'v>),
    Meta(Box<Meta>),
    Actions(Affordances<'v>),
    Content(&'v str),
    EmptyObject,
    EmptyList,
    Null,
}

impl Serialize for OpValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Property(value) => value.serialize(serializer),
            Self::Props(props) => props.serialize(serializer),
            Self::Node(node) => node.serialize(serializer),
            Self::Meta(meta) => meta.serialize(serializer),
            Self::Actions(actions) => actions.serialize(serializer),
            Self::Content(text) => raw(text).serialize(serializer),
            Self::EmptyObject => serializer.collect_map::<&str, &str, _>([]),
            Self::EmptyList => serializer.collect_seq::<[&str; 0]>([]),
            Self::Null => serializer.serialize_unit(),
        }
    }
}

/// One operation of a view's patch.
pub(crate) type ViewOp<'v> = PatchOp<OpValue<'v>>;

/// What leads from one view to another.
pub(crate) struct Steps<'o, 'v> {
    pub(crate) ops: Vec<ViewOp<'v>>,
    /// Changed fragments below, left to the caller, who may have compared them already: path, before, after.
    /// Their operations touch nothing that `ops` touch, so they may follow.
    pub(crate) fragments: Vec<(String, ViewNode<'o>, ViewNode<'v>)>,
}

/// The operations that turn `old` into `new`. `at` is the path of both from the subscription's root.
///
/// # Errors
/// [`Rebase`] if the subscription's root itself became another node.
pub(crate) fn diff<'o, 'v>(old: ViewNode<'o>, new: ViewNode<'v>, at: &str) -> Result<Steps<'o, 'v>, Rebase> {
    if let Some(fragments) = new.changed_leaves(&old) {
        return Ok(Steps { ops: Vec::new(), fragments });
    }
    let mut differ = Differ { ops: Vec::new(), fragments: Vec::new() };
    differ.node(at, old, new)?;
    Ok(Steps { ops: differ.ops, fragments: differ.fragments })
}

struct Differ<'o, 'v> {
    ops: Vec<ViewOp<'v>>,
    fragments: Vec<(String, ViewNode<'o>, ViewNode<'v>)>,
}

impl<'o, 'v> Differ<'o, 'v> {
    fn push(&mut self, op: OpKind, path: String, value: Option<OpValue<'v>>) {
        self.ops.push(PatchOp { op, path, index: None, value });
    }

    fn replace(&mut self, path: String, value: OpValue<'v>) {
        self.push(OpKind::Replace, path, Some(value));
    }

    fn node(&mut self, at: &str, old: ViewNode<'o>, new: ViewNode<'v>) -> Result<(), Rebase> {
        if old.is(&new) {
            return Ok(());
        }
        let same_projection = std::mem::discriminant(&old.projection()) == std::mem::discriminant(&new.projection());
        if old.kind() != new.kind() || !same_projection {
            return self.whole(at, new);
        }
        self.props(at, old.props(), new.props());
        let before = self.ops.len();
        self.actions(at, old, new);
        self.meta(at, old, new);
        self.content(at, old, new);
        let field_changed = self.ops.len() > before;
        if new.projection() == Projection::Full {
            let (before, old, new) = new.differing_children(&old);
            self.children(at, before, &old, &new)?;
        }
        if field_changed && !at.is_empty() && is_small_leaf(new) {
            self.replace(at.to_owned(), OpValue::Node(new));
        }
        Ok(())
    }

    fn whole(&mut self, at: &str, new: ViewNode<'v>) -> Result<(), Rebase> {
        if at.is_empty() {
            return Err(Rebase);
        }
        self.replace(at.to_owned(), OpValue::Node(new));
        Ok(())
    }

    fn props(&mut self, at: &str, old: Option<Props<'_>>, new: Option<Props<'v>>) {
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                // Most mirrors need the whole map first, one of them each key.
                self.replace(format!("{at}/properties"), OpValue::Props(new));
                for (key, value) in new.iter() {
                    self.replace(property(at, key), OpValue::Property(value));
                }
            }
            (Some(old), None) => {
                for (key, _) in old.iter() {
                    self.push(OpKind::Remove, property(at, key), None);
                }
                self.push(OpKind::Remove, format!("{at}/properties"), None);
            }
            (Some(old), Some(new)) if old.is_same_as(&new) => {}
            (Some(old), Some(new)) => self.keys(at, old, new),
        }
    }

    fn keys(&mut self, at: &str, old: Props<'_>, new: Props<'v>) {
        let PropChanges { removed, set } = changes(old, new);
        let is_escaped = |key: &str| key.contains(['/', '~']);
        for key in &removed {
            self.push(OpKind::Remove, property(at, key), None);
        }
        for SetProp { key, value, is_new } in &set {
            let op = if *is_new { OpKind::Add } else { OpKind::Replace };
            self.push(op, property(at, key), Some(OpValue::Property(*value)));
        }
        // A mirror that ignores `null`, or does not unescape keys, is right after the whole map (contract 1.6).
        if removed.into_iter().any(is_escaped)
            || set.iter().any(|set| set.value == ValueRef::Null || is_escaped(set.key))
        {
            self.replace(format!("{at}/properties"), OpValue::Props(new));
        }
    }

    fn actions(&mut self, at: &str, old: ViewNode<'_>, new: ViewNode<'v>) {
        let (old, new) = (old.actions(), new.actions());
        if std::ptr::eq(old, new) {
            return;
        }
        let same = |(a, b): (&Action, &Action)| a.is(b) || a.affordance() == b.affordance();
        if old.len() == new.len() && old.iter().zip(new).all(same) {
            return;
        }
        let value = (!new.is_empty()).then_some(OpValue::Actions(Affordances(new)));
        self.field(at, "affordances", value, OpValue::EmptyList);
    }

    fn meta(&mut self, at: &str, old: ViewNode<'_>, new: ViewNode<'v>) {
        if old.has_same_meta(&new) {
            return;
        }
        let (old, new) = (old.meta(), new.meta());
        if old != new {
            let value = (!new.is_empty()).then(|| OpValue::Meta(Box::new(new)));
            self.field(at, "meta", value, OpValue::EmptyObject);
        }
    }

    fn content(&mut self, at: &str, old: ViewNode<'_>, new: ViewNode<'v>) {
        if old.content_ref() != new.content_ref() {
            self.field(at, "content_ref", new.content_ref().map(OpValue::Content), OpValue::Null);
        }
    }

    /// A field is always replaced, never added. One that goes is emptied first: some mirrors cannot remove it.
    fn field(&mut self, at: &str, name: &str, value: Option<OpValue<'v>>, empty: OpValue<'v>) {
        let path = format!("{at}/{name}");
        match value {
            Some(value) => self.replace(path, value),
            None => {
                self.replace(path.clone(), empty);
                self.push(OpKind::Remove, path, None);
            }
        }
    }

    /// `before` is how many children stand in front of those given, the same in both lists.
    fn children(&mut self, at: &str, before: usize, old: &[ViewNode<'o>], new: &[ViewNode<'v>]) -> Result<(), Rebase> {
        if old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.is(b) || a.id() == b.id()) {
            for (old, new) in old.iter().zip(new) {
                self.child(at, *old, *new)?;
            }
            return Ok(());
        }
        let known: HashMap<&str, usize> = old.iter().enumerate().map(|(index, node)| (node.id(), index)).collect();
        let wanted: HashMap<&str, usize> = new.iter().enumerate().map(|(index, node)| (node.id(), index)).collect();
        for gone in old.iter().filter(|node| !wanted.contains_key(node.id())) {
            self.push(OpKind::Remove, format!("{at}/{}", gone.id()), None);
        }
        let staying: Vec<usize> = old.iter().filter_map(|node| wanted.get(node.id()).copied()).collect();
        self.order(at, before, staying, new)?;
        for node in new {
            if let Some(index) = known.get(node.id()) {
                self.child(at, old[*index], *node)?;
            }
        }
        Ok(())
    }

    fn child(&mut self, at: &str, old: ViewNode<'o>, new: ViewNode<'v>) -> Result<(), Rebase> {
        if old.is(&new) {
            return Ok(());
        }
        let path = format!("{at}/{}", new.id());
        if old.whole_fragment().is_some() && new.whole_fragment().is_some() {
            self.fragments.push((path, old, new));
            return Ok(());
        }
        self.node(&path, old, new)
    }

    /// Adds and moves children until the list reads `0, 1, 2, ...`, where a number is an index in `new`. What is part of a
    /// longest common subsequence stays where it is; everything else is put right behind its predecessor.
    fn order(&mut self, at: &str, before: usize, mut list: Vec<usize>, new: &[ViewNode<'v>]) -> Result<(), Rebase> {
        let stays = stable(&list, new.len());
        let movers = stays.iter().filter(|stays| !**stays).count();
        if movers.saturating_mul(new.len()) > ORDER_WORK {
            return Err(Rebase);
        }
        let mut present = vec![false; new.len()];
        list.iter().for_each(|index| present[*index] = true);
        for (wanted, node) in new.iter().enumerate() {
            if stays[wanted] {
                continue;
            }
            let path = format!("{at}/{}", node.id());
            if present[wanted] {
                list.retain(|index| *index != wanted);
            }
            let index = wanted.checked_sub(1).map_or(0, |previous| {
                list.iter().position(|index| *index == previous).map_or(list.len(), |position| position + 1)
            });
            list.insert(index, wanted);
            let (op, value) =
                if present[wanted] { (OpKind::Move, None) } else { (OpKind::Add, Some(OpValue::Node(*node))) };
            self.ops.push(PatchOp { op, path, index: Some(before + index), value });
        }
        Ok(())
    }
}

/// Which indexes of the new list keep their order among each other.
fn stable(list: &[usize], len: usize) -> Vec<bool> {
    let wanted: Vec<usize> = {
        let mut sorted = list.to_vec();
        sorted.sort_unstable();
        sorted
    };
    let mut stays = vec![false; len];
    for op in capture_diff_slices(Algorithm::Myers, list, &wanted) {
        if let DiffOp::Equal { old_index, len, .. } = op {
            list[old_index..old_index + len].iter().for_each(|index| stays[*index] = true);
        }
    }
    stays
}

fn property(at: &str, key: &str) -> String {
    format!("{at}/properties/{}", escape_key(key))
}

fn is_small_leaf(node: ViewNode<'_>) -> bool {
    node.children().is_empty() && serde_json::to_string(&node).is_ok_and(|text| text.len() <= SMALL_LEAF_BYTES)
}
