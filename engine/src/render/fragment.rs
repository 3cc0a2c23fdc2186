//! Fragments: rendered subtrees, immutable and packed, shared by whoever has the same.
//!
//! A fragment is a run of sibling nodes in one block of bytes. A long list of children is cut into runs of their own, at
//! places that depend on the child ids alone, so a change in one item shares all other runs with the previous tree.
//! Equal content is one fragment: the store finds it by hash *and* compares it.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;

use super::action::Action;
use super::node_ref::{NodeRef, Siblings};
use super::symbols::Symbols;

/// How many locks guard the table of known fragments.
const SHARDS: usize = 16;

/// Bytes of a block beside its packed nodes: counters, header, allocations, its place in the table.
const BLOCK_BYTES: usize = size_of::<Block>() + 48;

/// More than one session has the block.
const SHARED: u32 = 1 << 31;

/// A shared handle on packed sibling nodes; most often on exactly one node.
#[derive(Debug, Clone)]
pub(crate) struct Fragment(Arc<Block>);

/// Keeps a fragment's address from meaning another one, and nothing else.
#[derive(Debug)]
pub(crate) struct WeakFragment(#[expect(dead_code, reason = "held, never read")] Weak<Block>);

/// The packed nodes.
#[derive(Debug)]
pub(crate) struct Block {
    hash: u64,
    /// How many nodes stand side by side.
    top: u32,
    /// How many nodes there are in all, those in runs included; and [`SHARED`], in the same word because there are so many
    /// blocks.
    nodes: AtomicU32,
    bytes: Box<[u8]>,
    links: Links,
    store: Arc<Store>,
}

/// Most blocks have one link, the actions that all their nodes offer; that one needs no allocation.
#[derive(Debug)]
enum Links {
    None,
    One(Link),
    Many(Box<[Link]>),
}

impl Links {
    fn as_slice(&self) -> &[Link] {
        match self {
            Self::None => &[],
            Self::One(link) => std::slice::from_ref(link),
            Self::Many(links) => links,
        }
    }
}

impl From<Vec<Link>> for Links {
    fn from(mut links: Vec<Link>) -> Self {
        match links.len() {
            0 => Self::None,
            1 => links.pop().map_or(Self::None, Self::One),
            _ => Self::Many(links.into()),
        }
    }
}

/// What packed bytes point to by index.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// A run of children.
    Run(Fragment),
    /// The actions that a node offers.
    Offers(Arc<[Action]>),
}

/// What a packer hands over to become a fragment.
pub(crate) struct Packed {
    pub(crate) hash: u64,
    pub(crate) top: u32,
    pub(crate) nodes: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) links: Vec<Link>,
}

/// Known fragments by the hash of their content. Weak: whoever drops the last handle removes the entry.
type Known = HashTable<(u64, Weak<Block>)>;

/// Everything that fragments share: the dictionary and the table by which equal content is found.
#[derive(Debug)]
pub(crate) struct Store {
    symbols: Symbols,
    shards: [Mutex<Known>; SHARDS],
    pub(super) hasher: DefaultHashBuilder,
    bytes: AtomicUsize,
    blocks: AtomicUsize,
}

impl Store {
    /// An empty store whose dictionary grows to about `symbol_bytes`.
    pub(crate) fn new(symbol_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            symbols: Symbols::new(symbol_bytes),
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: DefaultHashBuilder::default(),
            bytes: AtomicUsize::new(0),
            blocks: AtomicUsize::new(0),
        })
    }

    pub(crate) const fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Bytes held by all live fragments, the dictionary not counted.
    pub(crate) fn fragment_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn shard(&self, hash: u64) -> &Mutex<Known> {
        &self.shards[hash as usize % SHARDS]
    }

    fn rehash(&self) -> impl Fn(&(u64, Weak<Block>)) -> u64 {
        let hasher = self.hasher.clone();
        move |(hash, _)| hasher.hash_one(hash)
    }

    /// Turns packed nodes into a fragment, or finds the one that holds the same already.
    pub(crate) fn keep(self: &Arc<Self>, packed: Packed) -> Fragment {
        let hash = packed.hash;
        let fresh = Fragment(Arc::new(Block {
            hash,
            top: packed.top,
            nodes: AtomicU32::new(packed.nodes & !SHARED),
            bytes: packed.bytes.into(),
            links: packed.links.into(),
            store: Arc::clone(self),
        }));
        self.bytes.fetch_add(fresh.0.own_bytes(), Ordering::Relaxed);
        self.blocks.fetch_add(1, Ordering::Relaxed);
        let slot = self.hasher.hash_one(hash);
        let known = {
            let table = self.shard(hash).lock();
            table.iter_hash(slot).filter(|(other, _)| *other == hash).filter_map(|(_, weak)| weak.upgrade()).collect()
        };
        let known: Vec<Arc<Block>> = known;
        // Compared outside the lock: dropping a block takes it.
        if let Some(same) = known.into_iter().map(Fragment).find(|other| other.same_content(&fresh)) {
            return same;
        }
        let entry = (hash, Arc::downgrade(&fresh.0));
        self.shard(hash).lock().insert_unique(slot, entry, self.rehash());
        fresh
    }
}

impl Fragment {
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

    /// How many nodes there are in all.
    pub(crate) fn nodes(&self) -> usize {
        self.0.count() as usize
    }

    pub(crate) fn hash(&self) -> u64 {
        self.0.hash
    }

    /// The only node of a fragment that holds one.
    pub(crate) fn root(&self) -> NodeRef<'_> {
        self.siblings().next().expect("a source's fragment holds one node")
    }

    /// The nodes side by side.
    pub(crate) fn siblings(&self) -> Siblings<'_> {
        Siblings::of_block(&self.0)
    }

    /// Whether both hold the same, wherever it lives.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash && self.same_content(other)
    }

    fn same_content(&self, other: &Self) -> bool {
        let (mine, theirs) = (&self.0, &other.0);
        mine.top == theirs.top
            && mine.count() == theirs.count()
            && (mine.same_bytes(theirs) || self.siblings().zip(other.siblings()).all(|(a, b)| a.same_content(&b)))
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
        &self.store.symbols
    }

    pub(super) const fn top(&self) -> u32 {
        self.top
    }

    pub(super) fn run(&self, link: u64) -> &Fragment {
        match &self.links.as_slice()[link as usize] {
            Link::Run(run) => run,
            Link::Offers(_) => unreachable!("children point to a run"),
        }
    }

    pub(super) fn offers(&self, link: u64) -> &Arc<[Action]> {
        match &self.links.as_slice()[link as usize] {
            Link::Offers(offers) => offers,
            Link::Run(_) => unreachable!("offers point to actions"),
        }
    }

    fn own_bytes(&self) -> usize {
        let links = match &self.links {
            Links::None | Links::One(_) => 0,
            Links::Many(links) => links.len() * size_of::<Link>(),
        };
        BLOCK_BYTES + self.bytes.len() + links
    }

    fn same_bytes(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.links.as_slice(), other.links.as_slice());
        self.bytes == other.bytes && mine.len() == theirs.len() && mine.iter().zip(theirs).all(same_link)
    }
}

fn same_link((mine, theirs): (&Link, &Link)) -> bool {
    match (mine, theirs) {
        (Link::Run(mine), Link::Run(theirs)) => mine.is(theirs),
        (Link::Offers(mine), Link::Offers(theirs)) => Action::are_same(mine, theirs),
        _ => false,
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.store.bytes.fetch_sub(self.own_bytes(), Ordering::Relaxed);
        self.store.blocks.fetch_sub(1, Ordering::Relaxed);
        let slot = self.store.hasher.hash_one(self.hash);
        let address = std::ptr::from_ref(self);
        let mut table = self.store.shard(self.hash).lock();
        if let Ok(entry) = table.find_entry(slot, |(_, weak)| std::ptr::eq(weak.as_ptr(), address)) {
            entry.remove();
        }
    }
}
