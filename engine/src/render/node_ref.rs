//! Reading packed nodes.

use std::sync::Arc;

use super::action::Action;
use super::codec::meta::{read_meta, read_pinned, read_salience};
use super::codec::{Reader, field};
use super::fragment::{Block, Fragment};
use super::props::Props;
use super::symbols::Symbols;
use super::template::Template;
use crate::model::meta::Meta;

/// One node inside a fragment. Cheap to copy; reads its bytes when asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRef<'a> {
    block: &'a Block,
    body: &'a [u8],
}

/// The fields of a node, found but not yet read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) props: Option<Props<'a>>,
    /// Packed: the same `meta` is the same bytes.
    pub(crate) meta: Option<&'a [u8]>,
    pub(crate) actions: &'a [Action],
    /// The text of a JSON object.
    pub(crate) content_ref: Option<&'a str>,
    pub(crate) children: Siblings<'a>,
    /// The list of actions itself, and its number in this block.
    pub(super) action_list: Option<(u64, &'a Arc<[Action]>)>,
    /// If the node has one.
    pub(super) template: Option<&'a Template>,
    symbols: &'a Symbols,
}

/// What a node is like, and what follows.
struct Header<'a> {
    template: Option<&'a Template>,
    has: u8,
    reader: Reader<'a>,
}

impl<'a> NodeRef<'a> {
    /// The only node of a fragment that holds one.
    pub(crate) fn root_of(fragment: &'a Fragment) -> Self {
        Siblings::of(fragment).next().expect("a source's fragment holds one node")
    }

    /// The node's id.
    pub(crate) fn id(&self) -> &'a str {
        self.header().reader.text()
    }

    /// Whether its symbols are found in this dictionary.
    pub(super) fn is_in(&self, symbols: &Symbols) -> bool {
        std::ptr::eq(self.block.symbols(), symbols)
    }

    /// The packed bytes, without their length.
    pub(super) const fn body(&self) -> &'a [u8] {
        self.body
    }

    fn header(&self) -> Header<'a> {
        let mut reader = Reader::new(self.body, self.block.symbols());
        let header = reader.varint();
        let template = (header & 1 == 1).then(|| reader.symbols().template(header >> 1));
        Header { template, has: template.map_or((header >> 1) as u8, |template| template.has), reader }
    }

    /// Whether both are the same bytes in memory: then they are equal, at no cost.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.body, other.body)
    }

    /// The node's children, those of its runs included.
    pub(crate) fn children(&self) -> Siblings<'a> {
        self.fields().children
    }

    /// Finds every field in one go.
    pub(crate) fn fields(&self) -> Fields<'a> {
        let Header { template, has, mut reader } = self.header();
        let id = reader.text();
        let kind = template.map_or_else(|| reader.text(), |template| &template.kind);
        let props = (has & field::PROPS != 0).then(|| Props::take(&mut reader, template));
        let meta = (has & field::META != 0).then(|| {
            template.and_then(|template| template.meta.as_deref()).unwrap_or_else(|| {
                let length = reader.varint() as usize;
                reader.take(length)
            })
        });
        let action_list = (has & field::ACTIONS != 0).then(|| reader.varint()).map(|at| (at, self.block.actions(at)));
        let actions = action_list.map_or(&[] as &[Action], |(_, list)| list);
        let content_ref = (has & field::CONTENT != 0).then(|| reader.text());
        let symbols = reader.symbols();
        let children = Siblings::after(self.block, has, reader);
        Fields { id, kind, props, meta, actions, content_ref, children, action_list, template, symbols }
    }

    /// Whether both are equal, children and the identity of actions included.
    fn is_same_as(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.fields(), other.fields());
        mine.id == theirs.id
            && mine.has_same_own_fields(&theirs)
            && Action::are_same(mine.actions, theirs.actions)
            && mine.children.len() == theirs.children.len()
            && mine.children.zip(theirs.children).all(|(a, b)| a.is(&b) || a.is_same_as(&b))
    }
}

/// Whether both fragments hold the same, wherever it lives.
pub(crate) fn is_same_content(mine: &Fragment, theirs: &Fragment) -> bool {
    mine.hash() == theirs.hash()
        && mine.len() == theirs.len()
        && mine.nodes() == theirs.nodes()
        && (mine.has_same_bytes(theirs)
            || Siblings::of(mine).zip(Siblings::of(theirs)).all(|(mine, theirs)| mine.is_same_as(&theirs)))
}

impl Fields<'_> {
    /// Whether type, properties, meta and content reference are equal.
    fn has_same_own_fields(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.content_ref == other.content_ref
            && self.meta == other.meta
            && match (self.props, other.props) {
                (Some(mine), Some(theirs)) => mine.is_same_as(&theirs),
                (None, None) => true,
                _ => false,
            }
    }

    fn meta_reader(&self) -> Option<Reader<'_>> {
        self.meta.map(|bytes| Reader::new(bytes, self.symbols))
    }

    /// The node's `meta`.
    pub(crate) fn read_meta(&self) -> Meta {
        self.meta_reader().map(read_meta).unwrap_or_default()
    }

    /// Whether it must not be collapsed.
    pub(crate) fn is_pinned(&self) -> bool {
        self.meta_reader().is_some_and(read_pinned)
    }

    /// The salience, where consumers read an absent one as 0.5 (contract 1.4).
    pub(crate) fn salience(&self) -> f64 {
        self.meta_reader().and_then(read_salience).unwrap_or(0.5)
    }
}

/// Nodes side by side, across the runs in which they may stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Siblings<'a> {
    left: usize,
    /// Nodes of the current block that stand here.
    block: &'a Block,
    here: usize,
    nodes: Reader<'a>,
    /// Further runs, as link numbers of `owner`.
    owner: &'a Block,
    runs: Reader<'a>,
}

impl<'a> Siblings<'a> {
    /// The nodes of a fragment.
    pub(crate) fn of(fragment: &'a Fragment) -> Self {
        let block = fragment.block();
        let count = block.top() as usize;
        let nodes = Reader::new(block.bytes(), block.symbols());
        Self { left: count, block, here: count, nodes, owner: block, runs: Reader::new(&[], block.symbols()) }
    }

    fn after(block: &'a Block, has: u8, mut reader: Reader<'a>) -> Self {
        let left = if has & field::CHILDREN != 0 { reader.varint() as usize } else { 0 };
        if has & field::RUNS != 0 {
            let nodes = Reader::new(&[], reader.symbols());
            Self { left, block, here: 0, nodes, owner: block, runs: reader }
        } else {
            Self { left, block, here: left, nodes: reader, owner: block, runs: Reader::new(&[], reader.symbols()) }
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.left
    }

    /// The runs in which all of them stand, if they do and none was taken yet.
    pub(crate) fn whole_runs(self) -> impl Iterator<Item = &'a Fragment> + use<'a> {
        let (owner, mut runs) = (self.owner, self.runs);
        std::iter::from_fn(move || (!runs.rest().is_empty()).then(|| owner.run(runs.varint())))
    }
}

impl<'a> Iterator for Siblings<'a> {
    type Item = NodeRef<'a>;

    fn next(&mut self) -> Option<NodeRef<'a>> {
        if self.left == 0 {
            return None;
        }
        while self.here == 0 {
            let run = Siblings::of(self.owner.run(self.runs.varint()));
            (self.block, self.here, self.nodes) = (run.block, run.here, run.nodes);
        }
        self.left -= 1;
        self.here -= 1;
        let length = self.nodes.varint() as usize;
        Some(NodeRef { block: self.block, body: self.nodes.take(length) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
