//! The bytes, links and hash of a block that is being packed.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::model::Text;
use crate::model::value::Value;
use crate::render::action::Action;
use crate::render::codec::value::hash_value;
use crate::render::codec::{put_text, put_varint};
use crate::render::fragment::{BlockLink, Fragment, PackedNodes};

/// A block of sibling nodes that is being packed.
pub(super) struct BlockBuilder {
    pub(super) bytes: Vec<u8>,
    links: Vec<BlockLink>,
    hasher: <DefaultHashBuilder as BuildHasher>::Hasher,
    /// How many nodes stand side by side.
    top: u32,
    /// How many nodes there are in all.
    nodes: u32,
}

/// What goes into the hash of a node, whatever its bytes are: it finds equal content however that was packed.
pub(super) struct HashedFields<'a> {
    pub(super) shape_hash: u64,
    pub(super) meta: &'a [u8],
    pub(super) id: &'a str,
    pub(super) props: &'a [(Text, Value)],
    pub(super) actions: &'a [Action],
}

impl BlockBuilder {
    pub(super) fn new(hasher: &DefaultHashBuilder) -> Self {
        Self { bytes: Vec::with_capacity(1024), links: Vec::new(), hasher: hasher.build_hasher(), top: 0, nodes: 0 }
    }

    pub(super) fn finish(self) -> PackedNodes {
        PackedNodes {
            hash: self.hasher.finish(),
            top: self.top,
            nodes: self.nodes,
            bytes: self.bytes,
            links: self.links,
        }
    }

    /// How many nodes stand side by side so far.
    pub(super) const fn len(&self) -> usize {
        self.top as usize
    }

    /// Counts a node beside those that are there.
    pub(super) const fn count_node(&mut self) {
        self.top += 1;
        self.nodes += 1;
    }

    /// Writes what stands below the last node: it is not beside it.
    pub(super) fn below(&mut self, write: impl FnOnce(&mut Self)) {
        let top = self.top;
        write(self);
        self.top = top;
    }

    pub(super) fn put_varint(&mut self, number: u64) {
        put_varint(&mut self.bytes, number);
    }

    /// Writes a section with its length in front.
    pub(super) fn framed(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        // Most sections are shorter than 128 bytes, so one byte nearly always holds their length.
        self.bytes.push(0);
        write(self);
        let length = self.bytes.len() - start - 1;
        if length < 0x80 {
            self.bytes[start] = length as u8;
            return;
        }
        let mut prefix = Vec::with_capacity(4);
        put_varint(&mut prefix, length as u64);
        self.bytes.splice(start..=start, prefix);
    }

    /// Writes a text that is also part of the hash.
    pub(super) fn put_hashed_text(&mut self, text: &str) {
        put_text(&mut self.bytes, None, text);
        self.hash_text(text);
    }

    /// Writes how many children follow.
    pub(super) fn put_child_count(&mut self, count: usize) {
        self.put_varint(count as u64);
        self.hasher.write_usize(count);
    }

    /// Writes a run of children that stand in a block of their own.
    pub(super) fn put_run(&mut self, run: Fragment) {
        self.nodes += run.nodes() as u32;
        self.hasher.write_u64(run.hash());
        self.put_varint(self.links.len() as u64);
        self.links.push(BlockLink::Run(run));
    }

    /// The number of a list of actions in this block.
    pub(super) fn link_actions(&mut self, actions: Arc<[Action]>) -> u64 {
        let same = |link: &BlockLink| matches!(link, BlockLink::Actions(known) if Arc::ptr_eq(known, &actions));
        let at = self.links.iter().position(same).unwrap_or_else(|| {
            self.links.push(BlockLink::Actions(actions));
            self.links.len() - 1
        });
        at as u64
    }

    pub(super) fn hash_fields(&mut self, fields: &HashedFields<'_>) {
        self.hasher.write_u64(fields.shape_hash);
        self.hasher.write(fields.meta);
        self.hash_text(fields.id);
        for (_, value) in fields.props {
            hash_value(&mut self.hasher, value);
        }
        for action in fields.actions {
            self.hasher.write_usize(action.address());
        }
    }

    fn hash_text(&mut self, text: &str) {
        self.hasher.write(text.as_bytes());
        self.hasher.write_u8(0xff);
    }
}
