//! Packs nodes, top down. What is the same as before is copied or linked instead.

use super::action_lists::ActionLists;
use super::block_builder::{BlockBuilder, HashedFields};
use super::cut::{CUT_FROM, ends_run};
use super::prior::{Prior, is_same_leaf};
use crate::model::Text;
use crate::model::content_ref::ContentRef;
use crate::model::meta::Meta;
use crate::model::value::Value;
use crate::render::codec::meta::put_meta;
use crate::render::codec::value::put_value;
use crate::render::codec::{field, put_text};
use crate::render::fragment::Fragment;
use crate::render::node_position::NodePosition;
use crate::render::node_ref::{Fields, NodeRef, Siblings};
use crate::render::sanitise::child::Child;
use crate::render::sanitise::violation::Violations;
use crate::render::sanitise::{CleanNode, Sanitiser};
use crate::render::store::Packing;
use crate::render::template::TemplateKey;

/// Packs the nodes of one fragment.
pub(super) struct Packer {
    packing: Packing,
    sanitiser: Sanitiser,
    action_lists: ActionLists,
    /// For `meta` on its way into a node.
    scratch: Vec<u8>,
}

impl Packer {
    pub(super) fn new(packing: Packing, sanitiser: Sanitiser) -> Self {
        Self { packing, sanitiser, action_lists: ActionLists::default(), scratch: Vec::new() }
    }

    /// An empty block.
    pub(super) fn block(&self) -> BlockBuilder {
        BlockBuilder::new(self.packing.hasher())
    }

    /// The fragment of a finished block.
    pub(super) fn finish(&self, block: BlockBuilder) -> Fragment {
        self.packing.intern(block.finish())
    }

    pub(super) fn into_violations(self) -> Violations {
        self.sanitiser.into_violations()
    }

    /// Whether a list is shown only in part because there were too many nodes.
    pub(super) const fn is_cut(&self) -> bool {
        self.sanitiser.is_cut()
    }

    pub(super) fn node(
        &mut self,
        block: &mut BlockBuilder,
        at: &NodePosition<'_>,
        child: Child<'_>,
        prior: Option<NodeRef<'_>>,
    ) {
        let prior = prior.map(|prior| prior.fields());
        let known_ids = prior.map(|prior| prior.children.map(|node| node.id()));
        let node = self.sanitiser.node(at, child, known_ids);
        block.count_node();
        block.framed(|block| self.body(block, at, &node, prior));
    }

    fn body(
        &mut self,
        block: &mut BlockBuilder,
        at: &NodePosition<'_>,
        node: &CleanNode<'_>,
        prior: Option<Fields<'_>>,
    ) {
        let meta = self.packed_meta(&node.meta);
        let props = node.props.as_deref().unwrap_or_default();
        let key = TemplateKey { has: fields_of(node), kind: node.kind, props, meta: Some(&*meta) };
        let shape_hash = self.put_head(block, node.id, key);
        block.hash_fields(&HashedFields { shape_hash, meta: &meta, id: node.id, props, actions: &node.actions });
        self.scratch = meta;
        if !node.actions.is_empty() {
            let list = prior.and_then(|prior| prior.action_list).map(|(_, list)| list);
            let link = block.link_actions(self.action_lists.shared(&node.actions, list, self.packing.owner()));
            block.put_varint(link);
        }
        if let Some(content) = node.content_ref {
            block.put_hashed_text(&content_json(content, at));
        }
        if !node.children.is_empty() {
            block.put_child_count(node.children.len());
            let prior = prior.map(|prior| prior.children);
            block.below(|block| self.children(block, at, &node.children, prior));
        }
    }

    /// Writes what the node has in common with others, its id, its values, and its `meta` if the template does not hold
    /// that. Returns the hash of the template without `meta`.
    fn put_head(&self, block: &mut BlockBuilder, id: &str, key: TemplateKey<'_>) -> u64 {
        let symbols = self.packing.dictionary();
        let shape_hash = key.shape_hash(self.packing.hasher());
        let without_meta = TemplateKey { meta: None, ..key };
        let meta = key.meta.filter(|meta| !meta.is_empty());
        let whole = meta.and_then(|_| symbols.notice_template(&key, shape_hash));
        let template = whole.or_else(|| symbols.notice_template(&without_meta, shape_hash));
        block.put_varint(template.map_or(u64::from(key.has) << 1, |template| u64::from(template) << 1 | 1));
        put_text(&mut block.bytes, symbols.notice(id), id);
        if template.is_none() {
            put_text(&mut block.bytes, symbols.intern(key.kind), key.kind);
        }
        if key.has & field::PROPS != 0 {
            self.put_props(block, key.props, template.is_none());
        }
        if let Some(meta) = meta.filter(|_| whole.is_none()) {
            block.put_varint(meta.len() as u64);
            block.bytes.extend_from_slice(meta);
        }
        shape_hash
    }

    fn put_props(&self, block: &mut BlockBuilder, props: &[(Text, Value)], with_keys: bool) {
        if with_keys {
            block.put_varint(props.len() as u64);
        }
        block.framed(|block| {
            for (key, value) in props {
                if with_keys {
                    put_text(&mut block.bytes, None, key);
                }
                put_value(&mut block.bytes, self.packing.dictionary(), value);
            }
        });
    }

    /// The packed `meta`, empty if there is none.
    fn packed_meta(&mut self, meta: &Meta) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        if !meta.is_empty() {
            put_meta(&mut bytes, meta);
        }
        bytes
    }

    fn children(
        &mut self,
        block: &mut BlockBuilder,
        at: &NodePosition<'_>,
        children: &[Child<'_>],
        prior: Option<Siblings<'_>>,
    ) {
        if children.len() >= CUT_FROM {
            self.runs(block, at, children, prior);
            return;
        }
        let mut prior = Prior::new(prior);
        for child in children {
            self.child(block, at, *child, prior.find(child.id));
        }
    }

    /// Writes a child: as it was packed before, if it has nothing below and is the same.
    fn child(
        &mut self,
        block: &mut BlockBuilder,
        parent: &NodePosition<'_>,
        child: Child<'_>,
        prior: Option<NodeRef<'_>>,
    ) {
        if !prior.is_some_and(|prior| self.copy(block, prior, child)) {
            self.node(block, &parent.below(child.id), child, prior);
        }
    }

    /// Writes children in runs of their own. A run of which every node is the same as before is the run of before.
    fn runs(
        &mut self,
        block: &mut BlockBuilder,
        at: &NodePosition<'_>,
        children: &[Child<'_>],
        prior: Option<Siblings<'_>>,
    ) {
        let mut before: Vec<&Fragment> = prior.into_iter().flat_map(Siblings::whole_runs).collect();
        let mut rest = children;
        while let Some(first) = rest.first() {
            let starts = |run: &&Fragment| Siblings::of(run).next().is_some_and(|node| node.id() == first.id);
            let known = before.iter().position(starts).and_then(|at| before.drain(..=at).next_back());
            let run = match known.filter(|known| self.is_same_run(known, rest)) {
                Some(known) => {
                    rest = &rest[known.len()..];
                    known.clone()
                }
                None => self.run(at, &mut rest, known),
            };
            block.put_run(run);
        }
    }

    /// Packs the next run of children and takes them off the front.
    fn run(&mut self, at: &NodePosition<'_>, rest: &mut &[Child<'_>], known: Option<&Fragment>) -> Fragment {
        let mut prior = Prior::new(known.map(Siblings::of));
        let mut block = self.block();
        while let Some((child, after)) = rest.split_first() {
            *rest = after;
            self.child(&mut block, at, *child, prior.find(child.id));
            if ends_run(block.len(), child.id) {
                break;
            }
        }
        self.finish(block)
    }

    /// Whether a run of before is what the next children would be packed into.
    fn is_same_run(&mut self, known: &Fragment, rest: &[Child<'_>]) -> bool {
        let Some(last) = rest.get(known.len() - 1) else { return false };
        (known.len() == rest.len() || ends_run(known.len(), last.id))
            && Siblings::of(known).zip(rest).all(|(node, child)| self.is_same(&node.fields(), *child))
    }

    /// Whether a node of before has nothing below and is what would be packed now.
    fn is_same(&mut self, known: &Fields<'_>, child: Child<'_>) -> bool {
        is_same_leaf(known, child) && self.is_same_meta(known.meta, &child.shape.meta)
    }

    fn is_same_meta(&mut self, known: Option<&[u8]>, meta: &Meta) -> bool {
        let Some(known) = known else { return meta.is_empty() };
        self.scratch.clear();
        put_meta(&mut self.scratch, meta);
        known == &*self.scratch
    }

    /// Writes a node as it was packed before, if that is what is wanted now. False if it has to be packed.
    fn copy(&mut self, block: &mut BlockBuilder, prior: NodeRef<'_>, child: Child<'_>) -> bool {
        let known = prior.fields();
        let has_symbols = prior.is_in(self.packing.symbols());
        let Some(template) = known.template.filter(|_| has_symbols && self.is_same(&known, child)) else {
            return false;
        };
        if let Some((link, list)) = known.action_list {
            // The copied bytes name the list by its number, which has to mean the same list here.
            if block.link_actions(self.action_lists.shared(list, Some(list), None)) != link {
                return false;
            }
        }
        block.count_node();
        block.hash_fields(&HashedFields {
            shape_hash: template.shape_hash,
            meta: known.meta.unwrap_or_default(),
            id: child.id,
            props: child.shape.props.as_deref().unwrap_or_default(),
            actions: known.actions,
        });
        block.put_varint(prior.body().len() as u64);
        block.bytes.extend_from_slice(prior.body());
        true
    }
}

/// See [`field`].
fn fields_of(node: &CleanNode<'_>) -> u8 {
    [
        (node.props.is_some(), field::PROPS),
        (!node.meta.is_empty(), field::META),
        (!node.actions.is_empty(), field::ACTIONS),
        (node.content_ref.is_some(), field::CONTENT),
        (!node.children.is_empty(), field::CHILDREN),
        (node.children.len() >= CUT_FROM, field::RUNS),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .fold(0, |has, (_, bit)| has | bit)
}

/// The JSON of a content reference. One without a location gets that of its node (contract 2.1).
fn content_json(content: &ContentRef, at: &NodePosition<'_>) -> String {
    let uri = content.uri.clone().unwrap_or_else(|| format!("slop://content/{}", at.path()).into());
    serde_json::to_string(&ContentRef { uri: Some(uri), ..content.clone() }).unwrap_or_default()
}
