//! Fragments: rendered subtrees, immutable and packed, shared by everybody who has the same.
//!
//! A fragment is a run of sibling nodes in one block of bytes. A long list of children is cut into runs of their own, at
//! places that depend on the child ids alone, so a change in one item shares all other runs with the previous tree.
//! Equal content is one fragment: the [`Store`](super::store::Store) finds it by hash *and* compares it.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use hashbrown::DefaultHashBuilder;

use super::action::Action;
use super::symbols::Symbols;
use super::weak_table::WeakTable;
use crate::panics::guarded::Owner;

/// Bytes of a block beside its packed nodes: counters, header, allocations, its entry in the table.
const BLOCK_BYTES: usize = size_of::<Block>() + 48;

/// More than one session has the block.
const SHARED: u32 = 1 << 31;

/// A shared handle on packed sibling nodes; most often on exactly one node.
#[derive(Debug, Clone)]
pub(crate) struct Fragment(Arc<Block>);

/// Keeps a fragment's address from being reused, and nothing else.
#[derive(Debug)]
pub(crate) struct WeakFragment(#[expect(dead_code, reason = "held, never read")] Weak<Block>);

/// The packed nodes.
#[derive(Debug)]
pub(crate) struct Block {
    hash: u64,
    /// How many nodes stand side by side.
    top: u32,
    /// How many nodes there are in all, those in runs included; and [`SHARED`], in the same word because there are so many
    /// blocks. The flag is only ever set, so the order in which it is set decides nothing.
    nodes: AtomicU32,
    bytes: Box<[u8]>,
    links: Links,
    pool: Arc<BlockPool>,
}

/// What the blocks of one generation have in common: the dictionary in which their symbols are found. It goes with the last
/// of them.
#[derive(Debug)]
pub(super) struct BlockPool {
    pub(super) symbols: Symbols,
    pub(super) all: Arc<AllBlocks>,
}

/// What all blocks have in common.
#[derive(Debug)]
pub(super) struct AllBlocks {
    /// Blocks by the hash of their content.
    pub(super) known: WeakTable<Block>,
    pub(super) hasher: DefaultHashBuilder,
    /// Bytes held by all live blocks; a statistic.
    pub(super) bytes: AtomicUsize,
    /// The engine to which they belong.
    pub(super) owner: OnceLock<Owner>,
}

/// Most blocks have one link, the actions that all their nodes offer; that one needs no allocation.
#[derive(Debug)]
enum Links {
    None,
    One(BlockLink),
    Many(Box<[BlockLink]>),
}

impl Links {
    fn as_slice(&self) -> &[BlockLink] {
        match self {
            Self::None => &[],
            Self::One(link) => std::slice::from_ref(link),
            Self::Many(links) => links,
        }
    }
}

impl From<Vec<BlockLink>> for Links {
    fn from(mut links: Vec<BlockLink>) -> Self {
        match links.len() {
            0 => Self::None,
            1 => links.pop().map_or(Self::None, Self::One),
            _ => Self::Many(links.into()),
        }
    }
}

/// What packed bytes refer to by index.
#[derive(Debug, Clone)]
pub(crate) enum BlockLink {
    /// A run of children.
    Run(Fragment),
    /// The actions that a node offers.
    Actions(Arc<[Action]>),
}

/// What a packer hands over to become a fragment.
pub(super) struct PackedNodes {
    pub(super) hash: u64,
    pub(super) top: u32,
    pub(super) nodes: u32,
    pub(super) bytes: Vec<u8>,
    pub(super) links: Vec<BlockLink>,
}

impl Fragment {
    /// A block of its own, which the pool does not know yet.
    pub(super) fn new(pool: &Arc<BlockPool>, packed: PackedNodes) -> Self {
        let block = Block {
            hash: packed.hash,
            top: packed.top,
            nodes: AtomicU32::new(packed.nodes & !SHARED),
            bytes: packed.bytes.into(),
            links: packed.links.into(),
            pool: Arc::clone(pool),
        };
        pool.all.bytes.fetch_add(block.own_bytes(), Ordering::Relaxed);
        Self(Arc::new(block))
    }

    /// The live fragments whose content has this hash.
    pub(super) fn known(pool: &BlockPool, hash: u64) -> impl Iterator<Item = Self> {
        pool.all.known.find(hash).into_iter().map(Self)
    }

    /// Lets others find it by its content.
    pub(super) fn publish(&self) {
        self.0.pool.all.known.insert(self.0.hash, &self.0);
    }

    /// Whether its symbols are those of this generation.
    pub(super) fn is_of(&self, pool: &Arc<BlockPool>) -> bool {
        Arc::ptr_eq(&self.0.pool, pool)
    }

    pub(super) fn block(&self) -> &Block {
        &self.0
    }

    /// Whether both are one allocation: then they are equal, at no cost.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn downgrade(&self) -> WeakFragment {
        WeakFragment(Arc::downgrade(&self.0))
    }

    /// How many trees, caches and passes hold it.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// A second session takes it.
    pub(crate) fn share(&self) {
        // Looked at first, so that ten thousand sessions do not write to one place.
        if !self.is_shared() {
            self.0.nodes.fetch_or(SHARED, Ordering::Relaxed);
        }
    }

    /// Whether it is, or was, more than one session's.
    pub(crate) fn is_shared(&self) -> bool {
        self.0.nodes.load(Ordering::Relaxed) & SHARED != 0
    }

    /// Where the fragment lives: a key as long as somebody holds it.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// How many nodes stand side by side.
    pub(crate) fn len(&self) -> usize {
        self.0.top as usize
    }

    /// How many bytes it takes in all, runs included, whoever else has some of them.
    pub(crate) fn total_bytes(&self) -> usize {
        let run = |link: &BlockLink| match link {
            BlockLink::Run(run) => run.total_bytes(),
            BlockLink::Actions(_) => 0,
        };
        self.0.own_bytes() + self.0.links.as_slice().iter().map(run).sum::<usize>()
    }

    /// How many nodes there are in all.
    pub(crate) fn nodes(&self) -> usize {
        self.0.count() as usize
    }

    pub(crate) fn hash(&self) -> u64 {
        self.0.hash
    }

    /// Whether the packed bytes alone show that both hold the same.
    pub(super) fn has_same_bytes(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.0.links.as_slice(), other.0.links.as_slice());
        other.is_of(&self.0.pool)
            && self.0.bytes == other.0.bytes
            && mine.len() == theirs.len()
            && mine.iter().zip(theirs).all(is_same_link)
    }
}

fn is_same_link((mine, theirs): (&BlockLink, &BlockLink)) -> bool {
    match (mine, theirs) {
        (BlockLink::Run(mine), BlockLink::Run(theirs)) => mine.is(theirs),
        (BlockLink::Actions(mine), BlockLink::Actions(theirs)) => Action::are_same(mine, theirs),
        _ => false,
    }
}

impl Block {
    /// How many nodes there are in all.
    fn count(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed) & !SHARED
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn symbols(&self) -> &Symbols {
        &self.pool.symbols
    }

    pub(super) const fn top(&self) -> u32 {
        self.top
    }

    pub(super) fn run(&self, link: u64) -> &Fragment {
        match &self.links.as_slice()[link as usize] {
            BlockLink::Run(run) => run,
            BlockLink::Actions(_) => unreachable!("children refer to a run"),
        }
    }

    pub(super) fn actions(&self, link: u64) -> &Arc<[Action]> {
        match &self.links.as_slice()[link as usize] {
            BlockLink::Actions(actions) => actions,
            BlockLink::Run(_) => unreachable!("actions refer to a list of actions"),
        }
    }

    fn own_bytes(&self) -> usize {
        let links = match &self.links {
            Links::None | Links::One(_) => 0,
            Links::Many(links) => links.len() * size_of::<BlockLink>(),
        };
        BLOCK_BYTES + self.bytes.len() + links
    }
}

/// Only the entry in the table is removed under its lock. The links, which may hold the last handle of something of the
/// application's, are dropped after that.
impl Drop for Block {
    fn drop(&mut self) {
        self.pool.all.bytes.fetch_sub(self.own_bytes(), Ordering::Relaxed);
        self.pool.all.known.remove(self.hash, std::ptr::from_ref(self));
    }
}
