//! Reading packed nodes.

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::action::Action;
use super::codec::{Reader, ValueRef, field, meta_field};
use super::form::Form;
use super::fragment::{Block, Fragment};
use super::symbols::Symbols;
use crate::model::Text;
use crate::model::meta::{Meta, Urgency};

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
    pub(crate) offers: &'a [Action],
    /// The text of a JSON object.
    pub(crate) content_ref: Option<&'a str>,
    pub(crate) children: Siblings<'a>,
    /// The list of actions itself, and its number in this block.
    pub(super) list: Option<&'a Arc<[Action]>>,
    pub(super) offers_link: Option<u64>,
    /// If what nodes like this one have in common is known.
    pub(super) form: Option<&'a Form>,
    symbols: &'a Symbols,
}

/// What a node is like, and what follows.
struct Header<'a> {
    form: Option<&'a Form>,
    has: u8,
    reader: Reader<'a>,
}

impl<'a> NodeRef<'a> {
    /// The node's id.
    pub(crate) fn id(&self) -> &'a str {
        self.header().reader.text()
    }

    /// The packed bytes, without their length.
    pub(super) const fn body(&self) -> &'a [u8] {
        self.body
    }

    fn header(&self) -> Header<'a> {
        let mut reader = Reader::new(self.body, self.block.symbols());
        let header = reader.varint();
        let form = (header & 1 == 1).then(|| reader.symbols().form(header >> 1));
        Header { form, has: form.map_or((header >> 1) as u8, |form| form.has), reader }
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
        let Header { form, has, mut reader } = self.header();
        let id = reader.text();
        let kind = form.map_or_else(|| reader.text(), |form| &form.kind);
        let props = (has & field::PROPS != 0).then(|| Props::skip(&mut reader, form));
        let meta = (has & field::META != 0).then(|| {
            form.and_then(|form| form.meta.as_deref()).unwrap_or_else(|| {
                let length = reader.varint() as usize;
                reader.take(length)
            })
        });
        let offers_link = (has & field::OFFERS != 0).then(|| reader.varint());
        let list = offers_link.map(|link| self.block.offers(link));
        let offers = list.map_or(&[] as &[Action], |list| list);
        let content_ref = (has & field::CONTENT != 0).then(|| reader.text());
        let symbols = reader.symbols();
        let children = Siblings::after(self.block, has, reader);
        Fields { id, kind, props, meta, offers, content_ref, children, list, offers_link, form, symbols }
    }

    /// Whether both say the same, children and the identity of actions included.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.fields(), other.fields());
        mine.id == theirs.id
            && mine.same_own(&theirs)
            && Action::are_same(mine.offers, theirs.offers)
            && mine.children.len() == theirs.children.len()
            && mine.children.zip(theirs.children).all(|(a, b)| a.is(&b) || a.same_content(&b))
    }
}

impl Fields<'_> {
    /// Whether type, properties, meta and content reference say the same.
    fn same_own(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.content_ref == other.content_ref
            && self.meta == other.meta
            && match (self.props, other.props) {
                (Some(mine), Some(theirs)) => mine.same(&theirs),
                (None, None) => true,
                _ => false,
            }
    }

    fn meta_reader(&self) -> Option<Reader<'_>> {
        self.meta.map(|bytes| Reader::new(bytes, self.symbols))
    }

    /// What the node says about itself.
    pub(crate) fn read_meta(&self) -> Meta {
        self.meta_reader().map(read_meta).unwrap_or_default()
    }

    /// The salience, where peers read an absent one as 0.5 (contract 1.4).
    pub(crate) fn salience(&self) -> f64 {
        self.meta_reader().and_then(read_salience).unwrap_or(0.5)
    }
}

fn read_salience(mut meta: Reader<'_>) -> Option<f64> {
    let has = meta.varint();
    if has & meta_field::SALIENCE == 0 {
        return None;
    }
    if has & meta_field::SUMMARY != 0 {
        meta.text();
    }
    Some(meta.fraction())
}

fn read_meta(mut reader: Reader<'_>) -> Meta {
    let has = reader.varint();
    let flag = |bit: u64| (has & bit != 0).then_some(has & bit << 1 != 0);
    Meta {
        summary: (has & meta_field::SUMMARY != 0).then(|| reader.text().into()),
        salience: (has & meta_field::SALIENCE != 0).then(|| reader.fraction()),
        pinned: flag(meta_field::PINNED),
        focus: flag(meta_field::FOCUS),
        changed: flag(meta_field::CHANGED),
        urgency: (has & meta_field::URGENCY != 0).then(|| URGENCIES[reader.byte() as usize]),
        reason: (has & meta_field::REASON != 0).then(|| reader.text().into()),
        total_children: (has & meta_field::TOTAL != 0).then(|| reader.varint()),
        window: (has & meta_field::WINDOW != 0).then(|| [reader.varint(), reader.varint()]),
        extra: (has & meta_field::EXTRA != 0).then(|| serde_json::from_str(reader.text()).unwrap_or_default()),
    }
}

/// The order in which urgencies are numbered in packed meta.
pub(super) const URGENCIES: [Urgency; 5] =
    [Urgency::None, Urgency::Low, Urgency::Medium, Urgency::High, Urgency::Critical];

/// The properties of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Props<'a> {
    count: usize,
    /// Absent if each value follows its key.
    keys: Option<&'a [Text]>,
    entries: Reader<'a>,
}

impl<'a> Props<'a> {
    fn skip(reader: &mut Reader<'a>, form: Option<&'a Form>) -> Self {
        let keys = form.map(|form| &*form.keys);
        let count = keys.map_or_else(|| reader.varint() as usize, <[Text]>::len);
        let length = reader.varint() as usize;
        let entries = Reader::new(reader.take(length), reader.symbols());
        Self { count, keys, entries }
    }

    /// Whether both say the same, in the same order. The same bytes under the same keys do, at nearly no cost.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let same_keys = match (self.keys, other.keys) {
            (Some(mine), Some(theirs)) => std::ptr::eq(mine, theirs),
            (None, None) => true,
            _ => false,
        };
        self.count == other.count
            && (same_keys && self.entries.rest() == other.entries.rest() || self.iter().eq(other.iter()))
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Keys and values in declaration order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        let (keys, mut entries) = (self.keys, self.entries);
        (0..self.count).map(move |at| {
            let key = keys.map_or_else(|| entries.text(), |keys| keys[at].as_str());
            (key, entries.value())
        })
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<ValueRef<'a>> {
        self.iter().find_map(|(known, value)| (known == key).then_some(value))
    }
}

impl Serialize for Props<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.count))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

impl Serialize for ValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(flag) => serializer.serialize_bool(*flag),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Uint(number) => serializer.serialize_u64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(text) => raw(text).serialize(serializer),
        }
    }
}

/// Packed JSON text, to be written as it is.
pub(crate) fn raw(text: &str) -> &RawValue {
    serde_json::from_str(text).expect("packed JSON is JSON")
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
    pub(super) fn of_block(block: &'a Block) -> Self {
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
            let run = self.owner.run(self.runs.varint()).siblings();
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
